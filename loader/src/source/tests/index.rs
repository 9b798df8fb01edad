//! A set opened by its index is the set that was read, wherever it lies; what differs from the index is found.

mod refused;

use super::formats::batches;
use super::*;
use crate::source::index_file::IndexFile;
use mixfeed_pipeline::spec::ImageSize;
use mixfeed_pipeline::{Fault, Split};
use std::os::unix::fs::PermissionsExt as _;

/// The images of a set in a place of the format. One of folders has a file that is no image, too.
fn written(format: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let (train, test) = (write::drawings(Split::Train, 60), write::drawings(Split::Test, 20));
    match format {
        "folder" => {
            write::folder(place.path(), &train, &test);
            std::fs::write(place.path().join("train/class-000/notes.txt"), "notes").unwrap();
        }
        "tables" => write::tables(place.path(), &train, &test),
        _ => write::shards(place.path(), &train, &test),
    }
    place
}

fn opened(place: &Path, options: &Options) -> Result<(Dataset, Report), String> {
    let place = Place { location: Location::Path(place.into()), options: options.clone() };
    open_with_report(&place, &[]).map_err(|error| error.to_string())
}

fn index_of(place: &Path, options: &Options) -> IndexFile {
    let options = Options { write_index: true, no_digest_cache: true, ..options.clone() };
    opened(place, &options).unwrap().1.index.unwrap()
}

fn by(index: &Path) -> Options {
    Options { data_index: Some(index.into()), cache: Cache::None, ..Options::default() }
}

fn beside() -> Options {
    Options { cache: Cache::None, ..Options::default() }
}

/// Reads all files, whatever lies beside them.
fn reading() -> Options {
    Options { no_digest_cache: true, ..beside() }
}

/// The same files in another place, later, and not to be written to.
fn moved(place: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                std::fs::copy(from, &to).unwrap();
                std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o444)).unwrap();
            }
        }
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let other = tempfile::tempdir().unwrap();
    let set = other.path().join(place.file_name().unwrap());
    copy(place, &set);
    other
}

/// Makes what [`moved`] copied writable again, so that it can be removed by whoever may not do all.
fn release(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            release(&path);
        }
    }
}

/// All that tells two sets apart, and what is said of each.
fn told((data, report): &(Dataset, Report)) -> String {
    let of = |split| {
        let samples = data.samples(split);
        let each = (0..samples.count()).map(|sample| {
            let image = samples.image(sample, &mut Vec::new()).map(blake3::hash);
            format!(
                "{:?} {:?} {} {image:?}\n",
                samples.record(sample),
                samples.size(sample),
                samples.label(sample)
            )
        });
        let each: String = each.collect();
        format!("{each} {:?} {:?} {:?}", samples.formats(), samples.known_bad(9), samples.left_out())
    };
    let digests = [Some(data.digest), data.whole_digest].map(|digest| digest.map(hex::encode));
    let said = format!("{} {} {:?} {:?}", report.train, report.test, report.left_out, report.warnings);
    let (name, classes) = (&data.name, &data.classes);
    format!("{name} {classes:?} {:?} {digests:?} {said} {} {}", data.image, of(Split::Train), of(Split::Test))
}

fn first_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).min().unwrap()
}

#[test]
fn a_set_is_the_same_by_its_index_and_by_reading_it_wherever_it_lies() {
    for format in ["folder", "shards", "tables"] {
        let place = written(format);
        let index = index_of(place.path(), &Options { order: Order::Name, ..Options::default() });
        let kept = tempfile::tempdir().unwrap();
        let given = kept.path().join("any.name");
        index.write(&given).unwrap();
        let expected = opened(place.path(), &reading()).unwrap();
        index.write(&place.path().join("mixfeed.index")).unwrap();
        let other = moved(place.path());
        let set = other.path().join(place.path().file_name().unwrap());
        for options in [by(&given), beside()] {
            let found = opened(&set, &options).unwrap();
            assert!(found.1.opened_by.is_some() && expected.1.opened_by.is_none());
            assert_eq!(told(&found), told(&expected), "{format}");
            assert!(batches(&found.0) == batches(&expected.0), "{format}");
        }
        // An index that lies in the set is taken for nothing else.
        assert_eq!(told(&opened(place.path(), &reading()).unwrap()), told(&expected));
        assert_eq!(opened(&set, &reading()).unwrap().1.opened_by, None);
        release(other.path());
    }
}

#[test]
fn settings_are_applied_to_an_index_as_to_the_files() {
    for format in ["folder", "shards", "tables"] {
        let place = written(format);
        // One is cut short behind its header, and one is none.
        if format == "folder" {
            let bad = [
                first_file(&place.path().join("train/class-001")),
                first_file(&place.path().join("test/class-002")),
            ];
            let whole = std::fs::read(&bad[0]).unwrap();
            std::fs::write(&bad[0], &whole[..whole.len() - 30]).unwrap();
            std::fs::write(&bad[1], "no image").unwrap();
            std::fs::write(place.path().join("train/class-001/empty.png"), "").unwrap();
        } else if format == "tables" {
            let image = |label| write::drawings(Split::Train, 50)[label as usize].png();
            let rows = [(0, Some(1)), (1, None), (2, Some(-1)), (3, Some(4)), (4, None)];
            let rows: Vec<_> = rows.map(|(at, label)| (Some(image(at)), label)).into();
            let bad = vec![(Some(b"no image".to_vec()), Some(3)), (None, Some(5))];
            write::table(&place.path().join("data/train-00000-of-00002.parquet"), &[rows, bad]);
            let (from, to) = ("train-00000-of-00001", "train-00001-of-00002");
            let path = |name: &str| place.path().join(format!("data/{name}.parquet"));
            std::fs::rename(path(from), path(to)).unwrap();
        } else {
            let lacking = [tar_file("7.cls", b'0', b"3"), vec![0; 1024]].concat();
            std::fs::write(place.path().join("train-0009.tar"), lacking).unwrap();
        }
        let skip = |text: &str| Options { bad_records: text.parse().unwrap(), ..Options::default() };
        let index = place.path().join("mixfeed.index");
        index_of(place.path(), &skip("skip")).write(&index).unwrap();
        let size = Some(ImageSize { height: 8, width: 16 });
        let settings = [
            skip("skip"),
            skip("skip=5"),
            Options { order: Order::Name, ..skip("skip") },
            Options { image_size: size, ..skip("skip") },
            Options { test_fraction: 0.25, ..skip("skip") },
            skip("skip=0"),
            skip("fail"),
        ];
        for options in settings {
            let found = opened(place.path(), &Options { cache: Cache::None, ..options.clone() });
            let mut expected = opened(place.path(), &Options { no_digest_cache: true, ..options.clone() });
            if let (Ok(found), Ok(expected)) = (&found, &mut expected) {
                assert!(found.1.opened_by.is_some());
                // All that is bad is known from an index; who only reads knows what no header can be read of.
                if options.bad_records == BadRecords::Fail {
                    let all =
                        opened(place.path(), &Options { write_index: true, ..options.clone() }).unwrap();
                    assert_eq!(found.0.digest, expected.0.digest);
                    *expected = all;
                }
            }
            let say =
                |set: Result<(Dataset, Report), String>| set.map_or_else(|error| error, |set| told(&set));
            assert_eq!(say(found), say(expected), "{format} {options:?}");
        }
    }
}

#[test]
fn one_shard_is_opened_by_its_index_too() {
    let place = written("shards");
    let shard = place.path().join("train-0001.tar");
    let index = place.path().join("one.index");
    index_of(&shard, &Options::default()).write(&index).unwrap();
    let expected = opened(&shard, &reading()).unwrap();
    assert_eq!(told(&opened(&shard, &by(&index)).unwrap()), told(&expected));
    index_of(place.path(), &Options::default()).write(&index).unwrap();
    assert!(opened(&shard, &by(&index)).unwrap_err().contains("it is of a folder, and "));
}

#[test]
fn nothing_is_listed_and_what_changed_is_found_when_it_is_read() {
    let place = written("folder");
    index_of(place.path(), &Options::default()).write(&place.path().join("mixfeed.index")).unwrap();
    let digest = opened(place.path(), &reading()).unwrap().0.digest;
    let class = place.path().join("train/class-000");
    let removed = first_file(&class);
    let gone = std::fs::read(&removed).unwrap();
    std::fs::copy(&removed, class.join("more.png")).unwrap();
    std::fs::remove_file(&removed).unwrap();
    let changed = first_file(&place.path().join("train/class-001"));
    let whole = std::fs::read(&changed).unwrap();
    let (data, _) = opened(place.path(), &beside()).unwrap();
    assert_eq!((data.train.count(), data.digest), (60, digest));
    let errors = || {
        let errors = (0..60).filter_map(|sample| data.train.image(sample, &mut Vec::new()).err());
        errors.map(|error| (error.fault, error.to_string())).collect::<Vec<_>>()
    };
    for at in [8, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&changed, bytes).unwrap();
        let [gone, other] = errors().try_into().unwrap();
        assert!(gone.0 == Fault::Changed && gone.1.contains("train/class-000/"), "{gone:?}");
        let name = changed.file_name().unwrap().to_str().unwrap();
        assert_eq!(other.0, Fault::Changed);
        assert!(other.1.ends_with(&format!("train/class-001/{name}: its bytes are not those in the index")));
    }
    std::fs::write(&changed, [&whole[..], b"more"].concat()).unwrap();
    assert!(errors()[1].1.ends_with("its length is not the one in the index"));
    std::fs::write(&changed, whole).unwrap();
    std::fs::write(&removed, gone).unwrap();
    assert_eq!(errors(), []);
}

#[test]
fn a_record_that_an_index_knows_as_bad_is_checked_too() {
    let place = written("folder");
    let file = first_file(&place.path().join("train/class-000"));
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, "no image").unwrap();
    index_of(place.path(), &Options::default()).write(&place.path().join("mixfeed.index")).unwrap();
    let (data, _) = opened(place.path(), &beside()).unwrap();
    let fault = || data.train.image(0, &mut Vec::new()).unwrap_err().fault;
    assert_eq!(fault(), Fault::Damaged);
    std::fs::write(&file, whole).unwrap();
    assert_eq!(fault(), Fault::Changed);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(fault(), Fault::Changed);
    std::fs::create_dir(&file).unwrap();
    index_of(place.path(), &Options::default()).write(&place.path().join("mixfeed.index")).unwrap();
    let (data, _) = opened(place.path(), &beside()).unwrap();
    assert_eq!(
        data.train.image(0, &mut Vec::new()).unwrap_err().fault,
        Fault::Damaged,
        "it is no file, as it was"
    );
}

#[test]
fn a_changed_byte_of_a_shard_is_found_when_its_record_is_read() {
    let place = written("shards");
    index_of(place.path(), &Options::default()).write(&place.path().join("mixfeed.index")).unwrap();
    let shard = place.path().join("train-0001.tar");
    let mut bytes = std::fs::read(&shard).unwrap();
    let at = bytes.windows(4).position(|part| part == b"IDAT").unwrap() + 12;
    bytes[at] ^= 1;
    std::fs::write(&shard, &bytes).unwrap();
    let (data, _) = opened(place.path(), &beside()).unwrap();
    let errors: Vec<_> =
        (0..60).filter_map(|sample| data.train.image(sample, &mut Vec::new()).err()).collect();
    assert_eq!((errors.len(), errors[0].sample, errors[0].fault), (1, 30, Fault::Changed));
    assert!(errors[0].to_string().contains("train-0001.tar at offset "), "{}", errors[0]);
}
