//! What is left out for being bad, and evaluation splits that hold nothing: said.

use super::layouts::{open_at, options, place, shard, table};
use super::*;
use mixfeed_pipeline::Split;
use std::os::unix::fs::symlink;

fn skip() -> Options {
    Options { bad_records: "skip".parse().unwrap(), ..options(None, None) }
}

#[test]
fn records_that_are_left_out_for_being_bad_are_counted_with_their_reasons() {
    let paths = ["train/a/0.png", "train/a/1.png", "train/b/0.png", "train/b/1.png", "val/a/0.png"];
    let place = place(&paths);
    for junk in ["train/a/1.png", "val/a/0.png"] {
        std::fs::write(place.path().join(junk), "junk").unwrap();
    }
    let (data, report) = open_at(place.path(), skip()).unwrap();
    assert_eq!((data.train.count(), data.test.count()), (3, 0));
    let said = report.left_out[0].to_string();
    assert!(
        said.starts_with("bad records: 2 (train/a/1.png: ") && said.contains("; val/a/0.png: "),
        "{said}"
    );
    let warnings = report.warnings();
    assert_eq!(warnings[0], format!("left out: {said}"));
    assert_eq!(warnings[1], "no test image is left: val/ is the test split, and all of it is left out");
    // Those that fail their batches are not left out.
    let (_, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(report.warnings(), Vec::<String>::new());
}

#[test]
fn links_to_images_that_are_gone_are_counted_among_them() {
    let place = place(&["train/a/0.png", "train/b/0.png"]);
    symlink("2.png", place.path().join("train/a/1.png")).unwrap();
    symlink("3.png", place.path().join("train/a/2.png")).unwrap();
    let (data, report) = open_at(place.path(), skip()).unwrap();
    assert_eq!(data.train.count(), 2);
    let gone =
        format!("it is a link to {}, which is not there", place.path().join("train/a/3.png").display());
    let said = report.left_out[0].to_string();
    assert_eq!(said, format!("bad records: 2 (train/a/1.png: {gone}; train/a/2.png: {gone})"));
    std::fs::write(place.path().join("train/a/3.png"), write::drawings(Split::Train, 1)[0].png()).unwrap();
    let (data, report) = open_at(place.path(), skip()).unwrap();
    assert_eq!((data.train.count(), report.left_out.len()), (5, 0));
}

#[test]
fn records_that_lack_a_label_are_counted_in_shards_and_tables() {
    for is_tar in [true, false] {
        let place = tempfile::tempdir().unwrap();
        match is_tar {
            true => shard(&place.path().join("train.tar"), &["0", "", "x", "1"]),
            false => table(&place.path().join("train.parquet"), &[Some(0), None, Some(-7), Some(1)]),
        }
        let (data, report) = open_at(place.path(), skip()).unwrap();
        assert_eq!(data.train.count(), 2);
        let said = report.left_out[0].to_string();
        assert!(said.starts_with("bad records: 2 (train."), "{said}");
    }
}

#[test]
fn an_evaluation_folder_or_file_without_an_image_is_warned_of() {
    let train = ["train/a/0.png", "train/b/0.png"];
    for empty in [&["val"][..], &["val/a", "val/b"]] {
        let place = place(&train);
        for folder in empty {
            std::fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        let (data, report) = open_at(place.path(), options(None, None)).unwrap();
        assert_eq!(data.test.count(), 0);
        let expected = "left out: val/: 0 (an evaluation split without an image; --test chooses a split to test by, \
                        --test-fraction makes one)";
        assert_eq!(report.warnings(), [expected]);
    }
    // Beside one that has some, and of images that no decoder reads.
    let place = place(&[&train[..], &["test/a/0.png", "val/a/0.heic"]].concat());
    let (data, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(data.test.count(), 1);
    assert_eq!(report.warnings(), ["left out: val/: 0 (an evaluation split without an image)"]);
    let place = tempfile::tempdir().unwrap();
    shard(&place.path().join("train.tar"), &["0"]);
    shard(&place.path().join("val.tar"), &[]);
    let (_, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(report.warnings(), ["left out: val.tar: 0 (an evaluation split without an image)"]);
}

#[test]
fn a_lone_class_with_folders_of_images_is_warned_of() {
    let said = |paths: &[&str], train: Option<&str>| {
        let place = place(paths);
        let (data, report) = open_at(place.path(), options(train, None)).unwrap();
        (data.classes.len(), report.warnings())
    };
    let split = ["train/images/a/0.png", "train/images/b/0.png", "val/images/a/0.png"];
    let (classes, warnings) = said(&split, None);
    assert_eq!(classes, 1);
    let expected = "train/images/ is the only class, and folders in it have images: a, b; --train train/images takes \
                    them for classes";
    assert_eq!(warnings, [expected]);
    assert_eq!(said(&split[..2], Some("train/images")).0, 2, "as it says");
    let (_, warnings) = said(&["photos/a/0.png", "photos/b/0.png"], None);
    assert!(
        warnings[0].starts_with("photos/ is the only class") && warnings[0].contains("--train photos takes")
    );
    // One folder in it, or two classes, are nothing to warn of.
    assert_eq!(said(&["all/more/0.png", "all/0.png"], None), (1, vec![]));
    assert_eq!(said(&["a/x/0.png", "a/y/0.png", "b/0.png"], None), (2, vec![]));
}

#[test]
fn no_test_split_and_a_share_for_one_contradict_each_other() {
    for paths in [&["train/a/0.png", "val/a/0.png"][..], &["a/0.png"]] {
        let place = place(paths);
        let both = Options { test_fraction: 0.3, ..options(None, Some("none")) };
        let error = open_at(place.path(), both).unwrap_err();
        assert!(matches!(error, SourceError::NoTestAndFraction(_)));
        assert!(error.to_string().contains("--test none and --test-fraction 0.3"), "{error}");
    }
}

#[test]
fn records_of_evaluation_shards_and_tables_that_are_not_taken_are_counted() {
    for is_tar in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let ending = if is_tar { "tar" } else { "parquet" };
        for (name, count) in [("train", 1), ("test", 2), ("dev-0", 3), ("dev-1", 4), ("val", 5)] {
            let path = place.path().join(format!("{name}.{ending}"));
            if is_tar { shard(&path, &vec!["0"; count]) } else { table(&path, &vec![Some(0); count]) }
        }
        let left_out = || open_at(place.path(), options(None, None)).unwrap().1.left_out;
        let counts: Vec<u64> = left_out().iter().map(|left| left.count).collect();
        assert_eq!(counts, [5, 7]);
        let why = format!("test.{ending} is the test split");
        assert_eq!(left_out()[1].to_string(), format!("dev-0.{ending} … dev-1.{ending}, 2 files: 7 ({why})"));
        // What is not read need not be whole.
        std::fs::write(place.path().join(format!("val.{ending}")), "junk").unwrap();
        assert_eq!(left_out()[0].to_string(), format!("val.{ending} ({why})"));
    }
}

#[test]
fn shards_that_a_pattern_leaves_out_are_counted() {
    let place = tempfile::tempdir().unwrap();
    for name in ["train-0.tar", "train-1.tar", "extra-0.tar", "extra-1.tar", "val-0.tar", "dev-0.tar"] {
        shard(&place.path().join(name), &["0"]);
    }
    let counts = |options: Options| {
        let report = open_at(place.path(), options).unwrap().1;
        let counts: Vec<u64> = report.left_out.iter().map(|left| left.count).collect();
        (counts, report.warnings())
    };
    let (count, said) = counts(options(Some("train-0.tar"), Some("val")));
    assert_eq!(count, [4]);
    let expected = "left out: dev-0.tar … train-1.tar, 4 files (not chosen by --train or --test)";
    assert_eq!(said, [expected]);
    let (count, said) = counts(options(Some("train,extra"), None));
    assert_eq!(
        (count, said),
        (vec![1], vec!["left out: dev-0.tar: 1 (val-0.tar is the test split)".to_owned()])
    );
    std::fs::remove_file(place.path().join("dev-0.tar")).unwrap();
    table(&place.path().join("train.parquet"), &[Some(0)]);
    let (count, said) = counts(options(Some("train.parquet"), None));
    assert_eq!(count, [5], "{said:?}");
    assert!(said[0].ends_with("5 files) (not chosen by --train or --test)"), "{said:?}");
}
