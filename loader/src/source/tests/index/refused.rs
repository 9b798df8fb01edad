//! Indexes that are not used: they are refused where they were given, and warned of where they were found.

use super::*;

#[test]
fn a_damaged_index_is_refused_where_it_was_given_and_passed_over_where_it_was_found() {
    for format in ["folder", "shards"] {
        let place = written(format);
        let index = place.path().join("mixfeed.index");
        index_of(place.path(), &Options::default()).write(&index).unwrap();
        let whole = std::fs::read(&index).unwrap();
        let digest = opened(place.path(), &reading()).unwrap().0.digest;
        let refused = |bytes: &[u8], reason: &str| {
            std::fs::write(&index, bytes).unwrap();
            let message = opened(place.path(), &by(&index)).unwrap_err();
            assert!(message.contains("mixfeed.index: ") && message.contains(reason), "{message}");
            assert!(!message.contains('\n'), "{message}");
            let (data, report) = opened(place.path(), &beside()).unwrap();
            assert_eq!((data.digest, report.opened_by), (digest, None));
            let warned = format!("index not used, all files are read: {message}");
            assert_eq!(report.warnings, [warned]);
        };
        for damage in (16..whole.len()).step_by(whole.len() / 30) {
            let mut damaged = whole.clone();
            damaged[damage] ^= 0x10;
            refused(&damaged, "its hash is not that of its bytes");
            refused(&whole[..damage], "damaged or cut short");
        }
        refused(b"", "it is no index");
        refused(
            b"mixfeed index 3\n",
            "form 3, and this release reads 2: make it again with `mixfeed-loader inspect",
        );
        refused(b"[settings]", "it is no index");
        std::fs::remove_file(&index).unwrap();
        assert!(
            opened(place.path(), &by(&index)).unwrap_err().ends_with("mixfeed.index: no such file or folder")
        );
    }
}

#[test]
fn settings_that_chose_other_files_are_named() {
    let place = written("folder");
    let index = place.path().join("mixfeed.index");
    index_of(place.path(), &Options::default()).write(&index).unwrap();
    let train = |train: &str| Options { train: Some(train.into()), ..by(&index) };
    let message = opened(place.path(), &train("test")).unwrap_err();
    assert!(
        message.ends_with("it was made without --train, and the set is opened with --train test"),
        "{message}"
    );
    let none = Options { test: Some("none".into()), ..beside() };
    let (data, report) = opened(place.path(), &none).unwrap();
    assert_eq!(data.test.count(), 0, "it was read");
    assert!(report.warnings[0].ends_with("made without --test, and the set is opened with --test none"));
    index_of(place.path(), &Options { train: Some("train".into()), ..Options::default() })
        .write(&index)
        .unwrap();
    assert!(
        opened(place.path(), &by(&index))
            .unwrap_err()
            .contains("made with --train train, and the set is opened without")
    );
    // The same folder by another path.
    for same in ["train".into(), format!("{}/train", place.path().display())] {
        assert!(opened(place.path(), &train(&same)).is_ok(), "{same}");
    }
    let both = crate::config::SourceArgs {
        data_index: Some(index),
        no_digest_cache: Some(true),
        ..Default::default()
    };
    assert!(both.options().unwrap_err().contains("--data-index"));
}

#[test]
fn an_index_of_another_set_is_refused() {
    let (place, shards) = (written("folder"), written("shards"));
    let [index, of_shards] = ["a", "b"].map(|name| place.path().join(name));
    index_of(place.path(), &Options::default()).write(&index).unwrap();
    index_of(shards.path(), &Options::default()).write(&of_shards).unwrap();
    let message = opened(shards.path(), &by(&index)).unwrap_err();
    assert!(message.contains("a: it is of another set: train/class-000/"), "{message}");
    let message = opened(place.path(), &by(&of_shards)).unwrap_err();
    assert!(
        message.contains("b: ") && message.contains("test-0000.tar, of which it is, cannot be read"),
        "{message}"
    );
    let shard = shards.path().join("train-0000.tar");
    let length = std::fs::metadata(&shard).unwrap().len();
    std::fs::File::options().write(true).open(&shard).unwrap().set_len(length / 2).unwrap();
    assert!(opened(shards.path(), &by(&of_shards)).unwrap_err().contains("and its records have "));
    let tables = written("tables");
    let of_tables = place.path().join("c");
    index_of(tables.path(), &Options::default()).write(&of_tables).unwrap();
    let table = tables.path().join("data/test-00000-of-00001.parquet");
    let images = write::drawings(Split::Test, 21);
    let rows: Vec<_> = images.iter().map(|image| (Some(image.png()), Some(1))).collect();
    write::table(&table, &[rows]);
    let message = opened(tables.path(), &by(&of_tables)).unwrap_err();
    assert!(
        message.ends_with("00001.parquet has 21 rows, and 20 are in it: it is of another set"),
        "{message}"
    );
    std::fs::write(&table, "PAR1").unwrap();
    let message = opened(tables.path(), &by(&of_tables)).unwrap_err();
    assert!(
        message.contains("00001.parquet, of which it is, cannot be read: EOF: Parquet file"),
        "{message}"
    );
    // A folder that lies elsewhere, and nothing at all.
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(opened(elsewhere.path(), &by(&index)).unwrap_err().contains("it is of another set"));
    assert!(
        opened(&elsewhere.path().join("no"), &by(&index))
            .unwrap_err()
            .ends_with("no: no such file or folder")
    );
}

#[test]
fn sets_that_need_no_index_have_none() {
    let place = tempfile::tempdir().unwrap();
    let (train, test) = (write::drawings(Split::Train, 20), write::drawings(Split::Test, 5));
    let making = Options { write_index: true, ..Options::default() };
    write::cifar10(place.path(), &train, &test);
    assert!(opened(place.path(), &making).unwrap_err().ends_with("and it needs none"));
    let synthetic = |options| open(&Place { location: Location::Synthetic(5), options }).unwrap_err();
    assert!(synthetic(making).to_string().contains("synthetic:5: --write-index is for image files"));
    let given = synthetic(by(Path::new("any")));
    assert!(given.to_string().contains("--data-index: only for image files"), "{given}");
}

/// A hash is of whoever made the file: what it says is not believed beyond it.
#[test]
fn an_index_that_says_another_size_fails_the_record() {
    let place = written("folder");
    let index = place.path().join("mixfeed.index");
    index_of(place.path(), &Options::default()).write(&index).unwrap();
    let mut bytes = std::fs::read(&index).unwrap();
    // All are of one size, so that it stands there once.
    let size = (32_u32 << 16 | 32).to_le_bytes();
    let at = bytes.windows(4).position(|part| part == size).unwrap();
    bytes[at] = 31;
    let end = bytes.len() - 32;
    let hash = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(hash.as_bytes());
    std::fs::write(&index, bytes).unwrap();
    let (data, _) = opened(place.path(), &by(&index)).unwrap();
    let error = data.train.image(0, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().ends_with("its image is not of the size in the index"), "{error}");
}
