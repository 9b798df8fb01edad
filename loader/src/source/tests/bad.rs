//! What is wrong with data is said with the place and the reason.

use super::*;
use mixfeed_pipeline::spec::{ImageSize, Output};
use mixfeed_pipeline::{CheckedSpec, Split, StreamSpec};

fn folder() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    write::folder(place.path(), &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 5));
    place
}

fn first_image(place: &Path, class: &str) -> PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(place.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

#[test]
fn a_damaged_image_fails_where_it_is_used_and_nothing_else_does() {
    let place = folder();
    let path = first_image(place.path(), "train/class-001");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    for cache in [Cache::Decoded, Cache::Encoded, Cache::None] {
        let data = read_with(place.path(), Options { cache, ..Options::default() });
        let errors: Vec<String> = (0..20)
            .filter_map(|sample| data.train.image(sample, &mut Vec::new()).err())
            .map(|error| error.to_string())
            .collect();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(&format!("train/class-001/{name}: cannot decode image")), "{errors:?}");
    }
}

#[test]
fn an_image_that_is_gone_or_changed_after_the_start_is_named() {
    let place = folder();
    let data = read_with(place.path(), Options { cache: Cache::None, ..Options::default() });
    let path = first_image(place.path(), "train/class-000");
    std::fs::remove_file(&path).unwrap();
    let error = data.train.image(0, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("class-000") && error.contains("No such file"), "{error}");
    std::fs::write(&path, write::drawings(Split::Train, 7)[6].png()).unwrap();
    let error = data.train.image(0, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("class-000") && error.contains("changed since the start"), "{error}");
}

#[test]
fn images_of_two_sizes_need_a_size() {
    let place = folder();
    let odd = place.path().join("train/class-002/zz.png");
    let large = image::imageops::resize(
        &write::drawings(Split::Train, 1)[0].pixels,
        48,
        40,
        image::imageops::FilterType::Nearest,
    );
    large.save(odd).unwrap();
    let data = read_with(place.path(), Options::default());
    assert_eq!((data.image, data.train.count()), (None, 21));
    let message = CheckedSpec::new(StreamSpec::train(1, 4), &data).unwrap_err().to_string();
    assert_eq!(
        message,
        "output: missing is not allowed, a size, because the images are of many: train/class-002/zz.png is 40×48×3, others are 32×32×3"
    );
    let size = ImageSize { height: 32, width: 32 };
    let output = Some(Output::center_crop(size));
    assert!(CheckedSpec::new(StreamSpec { output, ..StreamSpec::train(1, 4) }, &data).is_ok());
    let data = read_with(place.path(), Options { image_size: Some(size), ..Options::default() });
    assert!(CheckedSpec::new(StreamSpec::train(1, 4), &data).is_ok());
    assert_eq!(data.train.count(), 21);
}

#[test]
fn contradictions_between_data_and_settings_are_named() {
    let place = folder();
    let divided = Options { test_fraction: 0.5, ..Options::default() };
    assert!(refusal_with(place.path(), divided.clone()).contains("it has a test split"));
    std::fs::create_dir(place.path().join("test/class-new")).unwrap();
    let message = refusal_with(place.path(), Options::default());
    assert!(message.contains("class folder test/class-new has no counterpart"), "{message}");
    let synthetic = Place::from(Location::Synthetic(10)).with(divided);
    let message = open(&synthetic).unwrap_err().to_string();
    assert!(message.contains("synthetic:10: --test-fraction: only for image files"), "{message}");
    let cached = Options { cache: Cache::None, cache_bytes: Some(1), ..Options::default() };
    let report = open_with_report(&Place::from(Location::Synthetic(10)).with(cached), &[]).unwrap().1;
    assert_eq!(
        report.warnings,
        ["no effect on this dataset, which is in memory whole: --cache, --cache-memory"]
    );
}

#[test]
fn a_python_batch_that_is_damaged_or_would_run_code_is_named() {
    let place = tempfile::tempdir().unwrap();
    write::batches(place.path(), &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 5));
    let path = place.path().join("data_batch_3");
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        refusal_with(place.path(), Options::default())
    };
    let message = refused(&whole[..whole.len() - 100]);
    assert!(message.contains("data_batch_3: not a pickle of a CIFAR batch: it ends too early"), "{message}");
    let message = refused(b"\x80\x02cos\nsystem\nU\x04true\x85R.");
    assert!(message.contains("data_batch_3") && message.contains("\"os\".\"system\""), "{message}");
    let message = refused(b"\x80\x02}.");
    assert!(message.ends_with("data_batch_3: it has no array of bytes named data"), "{message}");

    let at = whole.windows(8).position(|part| part == b"labels](").unwrap() + 8;
    let mut other = whole.clone();
    other[at + 1] = 10;
    let message = refused(&other);
    assert!(message.ends_with("record 0 has label 10, but labels are 0 to 9"), "{message}");
    other = whole;
    other[at..at + 2].copy_from_slice(b"NN");
    assert!(refused(&other).contains("expected 5 images of 3072, one for each label"));
    std::fs::remove_file(&path).unwrap();
    assert!(refusal_with(place.path(), Options::default()).contains("data_batch_3: missing"));
}

#[test]
fn shards_that_are_damaged_or_incomplete_are_named() {
    let place = tempfile::tempdir().unwrap();
    let image = write::drawings(Split::Train, 1)[0].png();
    let path = place.path().join("train.tar");
    let refused = |files: &[Vec<u8>]| {
        std::fs::write(&path, [files.concat(), vec![0; 1024]].concat()).unwrap();
        refusal_with(place.path(), Options::default())
    };
    let png = tar_file("a/7.png", b'0', &image);
    let class = tar_file("a/7.cls", b'0', b"3\n");
    std::fs::write(&path, [png.as_slice(), &class].concat()).unwrap();
    let message = refusal_with(place.path(), Options::default());
    assert!(message.contains("train.tar: the archive is cut short at offset "), "{message}");
    let unlabelled = "a/7.png: the record has no label (.cls, or label in .json)";
    assert!(refused(std::slice::from_ref(&png)).contains(unlabelled));
    let empty = "a/7: the record has no image (png, jpg, webp, bmp, gif, tiff)";
    assert!(refused(std::slice::from_ref(&class)).contains(empty));
    assert!(refused(&[png.clone(), png.clone(), class.clone()]).contains("the record has another image"));
    for label in ["-1", "65536", "cat", ""] {
        let wrong = tar_file("a/7.cls", b'0', label.as_bytes());
        let message = refused(&[png.clone(), wrong]);
        assert!(message.contains("a/7.cls: its label is no whole number from 0 to 65535"), "{message}");
    }
    assert!(refused(&[png.clone(), tar_file("a/7.json", b'0', b"{")]).contains("a/7.json: EOF"));
    assert!(refused(&[vec![1; 512]]).ends_with("train.tar: no tar header at offset 0"));

    // A name that would leave the folder is only a name; one that would forge a log line is escaped.
    let forged =
        [tar_file("../../etc/x\ny.png", b'0', &image[..50]), tar_file("../../etc/x\ny.cls", b'0', b"0")];
    let good = [png, class];
    std::fs::write(&path, [good.concat(), forged.concat(), vec![0; 512]].concat()).unwrap();
    std::fs::write(place.path().join("classes.txt"), "a\nb\nc\nd\n").unwrap();
    let data = read_with(place.path(), Options::default());
    assert_eq!(data.classes, ["a", "b", "c", "d"]);
    let error = data.train.image(1, &mut Vec::new()).unwrap_err().to_string();
    let found =
        error.contains("train.tar at offset ") && error.contains("/../../etc/x\\ny.png: cannot decode");
    assert!(found, "{error}");
    std::fs::write(place.path().join("classes.txt"), "a\nb\n").unwrap();
    let message = refusal_with(place.path(), Options::default());
    assert!(message.ends_with("classes.txt: it names 2 classes, but the shards have 4"), "{message}");
}

#[test]
fn tables_that_are_damaged_or_of_another_kind_are_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    let image = write::drawings(Split::Train, 1)[0].png();
    let row = |label| (Some(image.clone()), label);
    let refused = |options| refusal_with(place.path(), options);

    write::table(&path, &[vec![row(Some(1)), row(Some(-1))]]);
    let message = refused(Options::default());
    assert!(message.contains("train.parquet: row 1 has label -1, but labels are 0 to 65535"), "{message}");
    write::table(&path, &[vec![row(None)]]);
    assert!(refused(Options::default()).contains("row 0 has label none"));

    write::table(&path, &[vec![row(Some(1)), (None, Some(2)), row(Some(3))]]);
    let data = read_with(place.path(), Options::default());
    assert_eq!((data.train.count(), data.train.label(2), data.classes[3].as_str()), (3, 3, "name-3"));
    assert!(data.train.image(2, &mut Vec::new()).is_ok());
    let error = data.train.image(1, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "sample 1: train.parquet row 1: its image is missing");

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(refused(Options::default()).contains("train.parquet: "));
    // Damage anywhere does no more than that. (Each byte was tried once; a panic that the format's reader
    // is caught with takes long to print.)
    for place_of_damage in (0..whole.len()).step_by(whole.len() / 16) {
        let mut damaged = whole.clone();
        damaged[place_of_damage] ^= 0x55;
        std::fs::write(&path, damaged).unwrap();
        drop(open(&Location::Path(place.path().into()).into()));
    }
}

#[test]
fn a_folder_that_leads_into_itself_ends() {
    let place = folder();
    std::os::unix::fs::symlink(place.path(), place.path().join("train/class-000/loop")).unwrap();
    assert!(refusal_with(place.path(), Options::default()).contains("more than 16 deep"));
}

#[test]
fn an_image_file_of_an_absurd_size_is_not_read() {
    let place = folder();
    let file = std::fs::File::create(place.path().join("train/class-000/zz.png")).unwrap();
    // A hole: nothing is written.
    file.set_len(1 << 40).unwrap();
    let data = read_with(place.path(), Options::default());
    let bad = (0..21).find_map(|sample| data.train.image(sample, &mut Vec::new()).err()).unwrap().to_string();
    assert!(bad.contains("zz.png: 1099511627776 bytes are more than"), "{bad}");
}
