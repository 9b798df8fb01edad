//! What folders, shards and tables are taken for, what is left out, and that both are said.

use super::*;
use mixfeed_pipeline::Split;
use write::tar_file;

/// A folder with an image at each of these paths, or a text where the name is not an image's.
pub(super) fn place(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = write::drawings(Split::Train, 1)[0].png();
    for path in paths {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &image).unwrap();
    }
    folder
}

pub(super) fn options(train: Option<&str>, test: Option<&str>) -> Options {
    let owned = |text: Option<&str>| text.map(Into::into);
    Options { train: owned(train), test: owned(test), no_digest_cache: true, ..Options::default() }
}

pub(super) fn open_at(place: &Path, options: Options) -> Result<(Dataset, Report), SourceError> {
    let place = Place { location: Location::Path(place.into()), options };
    open_with_report(&place, &[])
}

/// Training and test images, classes, and what to look at.
fn read(paths: &[&str], train: Option<&str>, test: Option<&str>) -> (u64, u64, Vec<String>, Vec<String>) {
    let place = place(paths);
    let (data, report) = open_at(place.path(), options(train, test)).unwrap();
    (data.train.count(), data.test.count(), data.classes, report.warnings())
}

fn refused(paths: &[&str], train: Option<&str>, test: Option<&str>) -> String {
    let place = place(paths);
    open_at(place.path(), options(train, test)).unwrap_err().to_string()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_split_folder_is_known_by_a_word_of_its_name() {
    for (train, test) in
        [("Train", "TEST"), ("my-training", "my.holdout"), ("train2017", "val2017"), ("x_train", "x_dev")]
    {
        let paths = [format!("{train}/a/0.png"), format!("{train}/b/0.png"), format!("{test}/b/0.png")];
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(read(&paths, None, None), (2, 1, names(&["a", "b"]), vec![]), "{train} {test}");
    }
}

#[test]
fn a_class_may_have_a_splits_name() {
    let (train, _, classes, said) = read(&["dev/0.png", "ops/0.png", "test/0.png", "test/1.png"], None, None);
    assert_eq!((train, classes), (4, names(&["dev", "ops", "test"])));
    assert_eq!(said, ["taken for a class, beside ops/: dev/, test/; --train and --test choose splits"]);
    let tubes = ["beaker/0.png", "test tube/0.png", "test tube/old/1.png", "valid/0.png", "invalid/0.png"];
    let (train, test, classes, _) = read(&tubes, None, None);
    assert_eq!((train, test, classes.len()), (5, 0, 4));
    // A class of classes, beside classes.
    let trains = ["bus/0.png", "car/0.png", "train/night/0.png", "train/goods/0.png"];
    let (train, test, classes, said) = read(&trains, None, None);
    assert_eq!((train, test, classes), (4, 0, names(&["bus", "car", "train"])));
    assert!(said[0].contains("beside bus/, car/: train/"), "{said:?}");
    // Within a split, a name is a class's.
    let within = ["train/train/0.png", "train/val/0.png", "train/cat/0.png", "test/train/0.png"];
    assert_eq!(read(&within, None, None), (3, 1, names(&["cat", "train", "val"]), vec![]));
}

#[test]
fn where_both_can_be_meant_both_are_named() {
    let message = refused(&["extra/0.png", "train/a/0.png", "train/b/0.png"], None, None);
    assert!(message.contains("train/ may be the training split, of classes a, b, or a class beside extra/"));
    assert!(message.ends_with("choose with --train train, or with --train . for a class"), "{message}");
    let message = refused(&["a/0.png", "b/0.png", "test/a/0.png", "test/b/0.png"], None, None);
    assert!(message.contains("test/ may be the test split") && message.contains("--train . --test test"));
    let message = refused(&["train/0.png", "test/0.png"], None, None);
    assert!(message.contains("test/, train/ may be splits without class folders, or classes"), "{message}");
    let message = refused(&["train/a/0.png", "train-val/a/0.png"], None, None);
    assert!(message.contains("train-val/ may be of two splits, train and val"), "{message}");
    let message = refused(&["dev_test/a/0.png", "dev_test/b/0.png"], None, None);
    assert!(message.contains("dev_test/ may be of two splits, dev and test"), "{message}");
    let message = refused(&["train2014/a/0.png", "train2017/a/0.png"], None, None);
    assert!(message.contains("train2014/, train2017/ may all be the training split"), "{message}");
    let message = refused(&["train/a/0.png", "val1/a/0.png", "val2/a/0.png"], None, None);
    assert!(message.contains("val1/ and val2/ may both be the val split"), "{message}");
    let message = refused(&["val/a/0.png", "test/a/0.png"], None, None);
    assert!(message.contains("test/, val/ and no training split"), "{message}");
    let message = refused(&["pets/train/a/0.png", "pets/val/a/0.png"], None, None);
    assert!(message.contains("pets/ with a training split inside"), "{message}");
    let message = refused(&["cat/train/0.png", "cat/test/0.png", "dog/train/0.png"], None, None);
    assert!(message.contains("cat/, dog/ with a training split inside"), "{message}");
}

#[test]
fn a_pattern_may_have_a_folder_part() {
    let place = place(&["sets/train1/a/0.png", "sets/val1/a/0.png", "sets/val1/a/1.png", "more/0.png"]);
    let path = |inner: &str| place.path().join(inner).to_string_lossy().into_owned();
    for (train, test) in [
        ("sets/train*".to_owned(), "sets/val?".to_owned()),
        ("./sets/train*".to_owned(), path("sets/v*")),
        (path("sets/train*"), "sets/val1".to_owned()),
    ] {
        let (data, report) = open_at(place.path(), options(Some(&train), Some(&test))).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (1, 2), "{train} {test}");
        assert_eq!(report.train.from, "sets/train1/");
    }
    let message = open_at(place.path(), options(Some("sets/x*"), None)).unwrap_err().to_string();
    let expected = "--train sets/x* matches none of sets/train1/, sets/val1/; it takes names, words of names, paths, and";
    assert!(message.contains(expected), "{message}");
    let place = tempfile::tempdir().unwrap();
    for shard in ["a/b0.tar", "a/b1.tar", "a/c0.tar", "d/b0.tar"] {
        let path = place.path().join(shard);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        self::shard(&path, &["0"]);
    }
    for train in ["a/b*.tar", "./a/b*.tar", &place.path().join("a/b?.tar").to_string_lossy()] {
        let (data, report) = open_at(place.path(), options(Some(train), Some("d"))).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (2, 1), "{train}");
        assert_eq!(report.train.from, "a/b0.tar … a/b1.tar, 2 files");
    }
    let message = open_at(place.path(), options(Some("a/x*.tar"), None)).unwrap_err().to_string();
    assert!(
        message.contains("--train a/x*.tar matches none of a/b0.tar, a/b1.tar, a/c0.tar, d/b0.tar; it takes"),
        "{message}"
    );
}

#[test]
fn flags_choose_among_folders() {
    let both = ["a/0.png", "b/0.png", "b/1.png", "test/a/0.png", "test/b/0.png"];
    assert_eq!(read(&both, Some("."), Some("test")), (3, 2, names(&["a", "b"]), vec![]));
    assert_eq!(read(&both, Some("."), None), (5, 0, names(&["a", "b", "test"]), vec![]));
    let many = ["train1/a/0.png", "train2/a/0.png", "train2/a/1.png", "val/a/0.png", "test/a/0.png"];
    let (train, test, _, said) = read(&many, Some("train2"), Some("val"));
    assert_eq!((train, test), (2, 1));
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(read(&many, Some("train1"), Some("none")).1, 0);
    let place = place(&many);
    let absolute = place.path().join("train2").to_string_lossy().into_owned();
    let (_, report) = open_at(place.path(), options(Some(&absolute), Some("val"))).unwrap();
    assert_eq!(report.train.from, "train2/");
    assert_eq!(report.warnings().len(), 2, "{:?}", report.warnings());
    // One folder is one, however it is written.
    let opened = |train: &str, test| open_at(place.path(), options(Some(train), test));
    assert_eq!(opened("train1/../train2", Some("val")).unwrap().1.train.from, "train2/");
    assert_eq!(opened(&place.path().join("test").to_string_lossy(), None).unwrap().1.test.from, "val/");
    std::os::unix::fs::symlink("train2", place.path().join("link")).unwrap();
    for same in ["train2", &absolute, "val/../train2", "link"] {
        let message = opened("train2", Some(same)).unwrap_err().to_string();
        assert!(message.contains("matches both --train and --test"), "{same}: {message}");
    }
    assert_eq!(read(&["sets/one/a/0.png", "sets/two/a/0.png"], Some("sets/one"), Some("sets/two/")).1, 1);
    let message = refused(&many, Some("train"), None);
    assert!(message.contains("--train train matches train1/, train2/; a split is one folder"), "{message}");
    let message = refused(&many, Some("fold"), None);
    assert!(message.contains("--train fold matches none of test/, train1/"), "{message}");
    let message = refused(&["train/a/0.png", "test/0.png"], None, Some("test"));
    assert!(message.ends_with("test/ has no class folders to test by"), "{message}");
    assert!(refused(&many, Some("val"), Some("val")).contains("matches both"));
}

#[test]
fn names_in_camel_case_tell_splits() {
    let set = ["TrainImages/a/0.png", "TrainImages/b/0.png", "TestImages/b/0.png"];
    assert_eq!(read(&set, None, None), (2, 1, names(&["a", "b"]), vec![]));
}

#[test]
fn classes_with_the_same_folders_in_them_are_told() {
    let (train, test, classes, said) =
        read(&["trainset/a/0.png", "trainset/b/0.png", "testset/a/0.png"], None, None);
    assert_eq!((train, test, classes), (3, 0, names(&["testset", "trainset"])));
    let warning = "taken for classes: testset/, trainset/, which all have folders a; if they are splits, --train and \
                   --test choose them";
    assert_eq!(said, [warning]);
    assert_eq!(read(&["cats/a/0.png", "dogs/b/0.png"], None, None).3, names(&[]));
}

#[test]
fn two_folders_of_one_word_are_refused() {
    let message = refused(&["Train/a/0.png", "train/a/0.png"], None, None);
    assert!(message.contains("may all be the training split: choose with --train"), "{message}");
    let message = refused(&["train/0.png", "val/a/0.png"], Some("train"), None);
    assert!(message.ends_with("train/ has no class folders to train on"), "{message}");
}

#[test]
fn an_evaluation_folder_without_labels_does_not_hide_one_that_has_some() {
    let set = ["train/a/0.png", "train/b/0.png", "valid/b/0.png"];
    let with = |more: &[&'static str]| read(&[&set[..], more].concat(), None, None);
    for unlabelled in [
        &["test/0.png", "test/1.png"][..],
        &["test/images/0.png", "test/images/1.png"],
        &["test/Unknown/0.png", "test/Unknown/more/1.png"],
        &["test/test/0.png", "test/test/1.png"],
    ] {
        let (train, test, _, said) = with(unlabelled);
        assert_eq!((train, test), (2, 1));
        assert_eq!(said, ["left out: test/: 2 (an evaluation split without labels)"]);
    }
    let said = with(&["test/images/a/0.png", "test/images/b/0.png"]).3;
    let remedy = "there are class folders in test/images/: --test test/images";
    assert_eq!(said, [format!("left out: test/: 2 (an evaluation split without labels; {remedy})")]);
    // With labels it comes first, and the other is named.
    assert_eq!(with(&["test/a/0.png"]).3, ["left out: valid/: 1 (test/ is the test split)"]);
    assert_eq!(with(&["eval/a/0.png", "eval/b/0.png"]).1, 2);
    // What has class folders has labels, and they must be known.
    let message = refused(&[&set[..], &["test/c/0.png"]].concat(), None, None);
    assert!(message.contains("class folder test/c has no counterpart among the training classes a, b;"));
}

#[test]
fn what_is_left_out_is_counted_and_named() {
    let place = place(&[
        "train/cat/0.png",
        "train/cat/1.JPG",
        "train/cat/x.HEIC",
        "train/dog/y.heic",
        "train/dog/notes.txt",
        "train/dog/more/LICENSE",
        "train/loose.png",
        "train/__MACOSX/cat/._0.png",
        "train/.cache/0.png",
        "train/cat/.DS_Store",
        "__MACOSX/train/cat/._0.png",
        "masks/0.png",
        "docs/index.html",
        "val/cat/0.png",
    ]);
    let (data, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!((data.train.count(), data.test.count()), (2, 1));
    assert_eq!(data.classes, ["cat", "dog"]);
    let said: Vec<String> = report.left_out.iter().map(ToString::to_string).collect();
    let expected = [
        "masks/: 1 (train/ is the training split)",
        "without ending: 1 (not images)",
        ".heic: 2 (not read: images of another format)",
        ".txt: 1 (not images)",
        "image files in train/: 1 (in no class folder)",
    ];
    assert_eq!(said, expected);
    assert_eq!(report.train.to_string(), "train/ (2 images, 1 class)");
    assert_eq!(report.test.to_string(), "val/ (1 image, 1 class)");
    assert!(report.warnings().contains(&"no training image of class dog".into()), "{report:?}");
    assert!(!report.warnings().iter().any(|line| line.contains(".txt")), "{report:?}");
}

#[test]
fn classes_without_a_training_image_are_named_in_every_format() {
    let place = place(&["train/b/0.png", "test/b/0.png"]);
    for class in ["train/a", "train/c", "test/a"] {
        std::fs::create_dir_all(place.path().join(class)).unwrap();
    }
    let (_, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(report.warnings(), ["no training image of class a, c"]);
    // Labels that begin with 1, and one that is only tested.
    let place = tempfile::tempdir().unwrap();
    for (name, labels) in [("a-train.tar", &["1", "2"][..]), ("a-test.tar", &["1", "3"])] {
        shard(&place.path().join(name), labels);
    }
    let (_, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(report.warnings(), ["no training image of class 0, 3"]);
    let place = tempfile::tempdir().unwrap();
    table(&place.path().join("train.parquet"), &[Some(0), Some(2)]);
    let (_, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(
        report.warnings(),
        ["no training image of class name-1, name-3, name-4, name-5, name-6, name-7, name-8, name-9"]
    );
}

/// A shard of images with these labels; no label file for an empty one.
pub(super) fn shard(path: &Path, labels: &[&str]) {
    let image = write::drawings(Split::Train, 1)[0].png();
    let mut tar = Vec::new();
    for (number, label) in labels.iter().enumerate() {
        tar.extend(tar_file(&format!("./._{number}.png"), b'0', b"\0\x05\x16\x07"));
        tar.extend(tar_file(&format!("./{number}.png"), b'0', &image));
        if !label.is_empty() {
            tar.extend(tar_file(&format!("./._{number}.cls"), b'0', b"\0\x05\x16\x07"));
            tar.extend(tar_file(&format!("./{number}.cls"), b'0', label.as_bytes()));
        }
    }
    tar.extend([0; 1024]);
    std::fs::write(path, tar).unwrap();
}

pub(super) fn table(path: &Path, labels: &[Option<i64>]) {
    let image = write::drawings(Split::Train, 1)[0].png();
    let rows: Vec<write::Row> = labels.iter().map(|label| (Some(image.clone()), *label)).collect();
    write::table(path, &[rows]);
}

#[test]
fn shards_with_hidden_members_are_read() {
    let place = tempfile::tempdir().unwrap();
    shard(&place.path().join("set-train-0.tar"), &["0", "1", "1"]);
    shard(&place.path().join("set-dev-0.tar"), &["1"]);
    let more = ["__MACOSX/._x.png", ".DS_Store", "sub/.hidden/0.cls"].map(|name| tar_file(name, b'0', b"no"));
    std::fs::write(place.path().join("set-train-1.tar"), [more.concat(), vec![0; 1024]].concat()).unwrap();
    let (data, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!((data.train.count(), data.test.count(), report.warnings()), (3, 1, vec![]));
    assert!((0..3).all(|sample| data.train.image(sample, &mut Vec::new()).is_ok()));
}

#[test]
fn shards_without_labels_do_not_hide_those_that_have_some() {
    for unlabelled in ["", "-1"] {
        let place = tempfile::tempdir().unwrap();
        shard(&place.path().join("train-0.tar"), &["0", "1"]);
        shard(&place.path().join("test-0.tar"), &[unlabelled; 3]);
        shard(&place.path().join("test-1.tar"), &[unlabelled; 3]);
        shard(&place.path().join("validation-0.tar"), &["1"]);
        let (data, report) = open_at(place.path(), options(None, None)).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (2, 1));
        let said = "left out: test-0.tar … test-1.tar, 2 files: 6 (an evaluation split without labels)";
        assert_eq!(report.warnings(), [said]);
        let message = open_at(place.path(), options(None, Some("test"))).unwrap_err().to_string();
        assert!(message.contains("has no labels to test by, and --test chooses it"), "{message}");
        // With one label it is a split with records that have none, which is another matter.
        shard(&place.path().join("test-1.tar"), &[unlabelled, "1"]);
        assert!(open_at(place.path(), options(None, None)).is_err() || unlabelled.is_empty());
    }
}

#[test]
fn tables_without_labels_do_not_hide_those_that_have_some() {
    for unlabelled in [Some(-1), None] {
        let place = tempfile::tempdir().unwrap();
        table(&place.path().join("x-train.parquet"), &[Some(0), Some(1)]);
        table(&place.path().join("x-test.parquet"), &[unlabelled; 3]);
        table(&place.path().join("x-eval.parquet"), &[Some(1)]);
        let (data, report) = open_at(place.path(), options(None, None)).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (2, 1));
        assert_eq!(report.warnings()[0], "left out: x-test.parquet: 3 (an evaluation split without labels)");
        let none = open_at(place.path(), options(None, Some("none"))).unwrap().0;
        assert_eq!(none.test.count(), 0);
        let refused = open_at(place.path(), options(Some("x-eval"), None)).unwrap();
        assert_eq!((refused.0.train.count(), refused.0.test.count()), (1, 0));
    }
}

#[test]
fn flags_are_part_of_what_the_digest_cache_knows() {
    let place = tempfile::tempdir().unwrap();
    let (train, test) = (write::drawings(Split::Train, 10), write::drawings(Split::Test, 10));
    write::shards(place.path(), &train, &test);
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for entry in std::fs::read_dir(place.path()).unwrap() {
        let file = std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let read = |train: Option<&str>, test: Option<&str>| {
        let options = Options { no_digest_cache: false, ..options(train, test) };
        open_at(place.path(), options).unwrap().0
    };
    let digest = |data: &Dataset| data.digest;
    let (plain, swapped) = (read(None, None), read(Some("test"), Some("train")));
    let kept = std::fs::read_dir(place.path()).unwrap().count() - 3;
    assert_eq!(kept, 2, "each has a file of its own");
    for _ in 0..2 {
        assert_eq!(digest(&read(None, None)), digest(&plain));
        assert_eq!(digest(&read(Some("test"), Some("train"))), digest(&swapped));
        // The same splits, chosen, are the same set.
        assert_eq!(digest(&read(Some("train"), Some("test"))), digest(&plain));
    }
    assert_ne!(digest(&plain), digest(&swapped));
}

#[test]
fn what_is_no_set_is_told_what_is_missing() {
    let flat = place(&["0.jpg", "1.png", "2.bmp"]);
    let message = open_at(flat.path(), options(None, None)).unwrap_err().to_string();
    assert!(message.contains("found image files at the top: 3 (in no class folder)"), "{message}");
    let unread = place(&["cat/0.avif", "dog/0.avif"]);
    let message = open_at(unread.path(), options(None, None)).unwrap_err().to_string();
    assert!(message.contains("found .avif: 2 (not read: images of another format)"), "{message}");
    let file = place(&["data_batch_1.bin"]);
    let message =
        open_at(&file.path().join("data_batch_1.bin"), options(None, None)).unwrap_err().to_string();
    assert!(message.contains("in this file; give the folder that holds the set"), "{message}");
}
