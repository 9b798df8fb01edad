//! Places where images come in more than one format, or beside something that is not read.

use super::layouts::{open_at, options, place, shard, table};
use super::*;

fn left_out(report: &Report) -> Vec<String> {
    report.left_out.iter().map(ToString::to_string).collect()
}

#[test]
fn class_folders_beside_shards_or_tables_are_refused_with_both_until_a_flag_names_one() {
    let flat = ["a/0.png", "a/1.png", "b/0.png"];
    let split = ["train/a/0.png", "train/a/1.png", "train/b/0.png"];
    for (images, at, images_flag) in
        [(flat, "", "."), (flat, "b/", "."), (split, "", "train"), (split, "train/", "train")]
    {
        for (name, is_tar) in [("x.tar", true), ("x.parquet", false), ("backup.tar", true)] {
            let place = place(&images);
            let file = format!("{at}{name}");
            match is_tar {
                true => shard(&place.path().join(&file), &["0", "1"]),
                false => table(&place.path().join(&file), &[Some(0), Some(1)]),
            }
            let read = |train: Option<&str>| open_at(place.path(), options(train, None));
            let message = read(None).unwrap_err().to_string();
            let kind = if is_tar { "shards" } else { "tables" };
            for part in [
                "it may be read in 2 ways: choose with --train ",
                &format!("--train {file} for {kind} ({file})"),
                &format!("--train {images_flag} for images in folders"),
            ] {
                assert!(message.contains(part), "{part}: {message}");
            }
            let (data, report) = read(Some(images_flag)).unwrap();
            assert_eq!(data.train.count(), 3);
            assert_eq!(left_out(&report)[0], format!("{kind} ({file}) (not chosen by --train or --test)"));
            for flag in [file.as_str(), name] {
                let (data, report) = read(Some(flag)).unwrap();
                assert_eq!(data.train.count(), 2, "{flag}");
                let said = format!("left out: image files: 3 (beside {kind})");
                assert!(report.warnings().contains(&said), "{:?}", report.warnings());
            }
            assert!(read(Some("nothing")).is_err());
        }
    }
}

#[test]
fn an_empty_shard_in_a_class_folder_does_not_hide_the_images() {
    let place = place(&["a/0.png", "b/0.png"]);
    std::fs::write(place.path().join("b/6.tar"), "").unwrap();
    let message = open_at(place.path(), options(None, None)).unwrap_err().to_string();
    assert!(message.contains("images in folders (a/, b/)") && message.contains("b/6.tar"), "{message}");
}

#[test]
fn tables_beside_shards_are_refused_with_both_until_a_flag_names_one() {
    let place = tempfile::tempdir().unwrap();
    for number in 0..2 {
        shard(&place.path().join(format!("train-{number}.tar")), &["0", "1"]);
    }
    shard(&place.path().join("test.tar"), &["1"]);
    table(&place.path().join("train.parquet"), &[Some(0)]);
    let read = |train| open_at(place.path(), options(Some(train), None));
    let message = open_at(place.path(), options(None, None)).unwrap_err().to_string();
    assert!(message.contains("--train train.parquet for tables (train.parquet)"), "{message}");
    assert!(
        message.contains("--train '*train*.tar' for shards (test.tar … train-1.tar, 3 files)"),
        "{message}"
    );
    assert_eq!(read("train.parquet").unwrap().0.train.count(), 1);
    let (data, report) = read("*train*.tar").unwrap();
    assert_eq!((data.train.count(), data.test.count()), (4, 1));
    assert_eq!(left_out(&report), ["tables (train.parquet) (not chosen by --train or --test)"]);
    // What fits both is no choice.
    assert!(read("train").unwrap_err().to_string().contains("2 ways"));
}

#[test]
fn one_folder_of_pictures_beside_shards_is_counted() {
    let place = place(&["docs/0.png", "docs/more/1.png", "banner.jpg"]);
    shard(&place.path().join("train.tar"), &["0", "1"]);
    let (data, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(data.train.count(), 2);
    assert_eq!(report.warnings(), ["left out: image files: 3 (beside shards)"]);
}

#[test]
fn other_files_beside_shards_and_tables_are_counted_by_ending() {
    let others =
        ["val.tgz", "data/b.tar.GZ", "c.tar.zst", "x.arrow", "README.md", "data/NOTES", "t.parquet.tmp"];
    let expected = [
        "without ending: 1 (not WANTED)",
        ".arrow: 1 (not read: data of another format)",
        ".md: 1 (not WANTED)",
        ".tar.gz: 1 (not read: compressed archives; unpack them)",
        ".tar.zst: 1 (not read: compressed archives; unpack them)",
        ".tgz: 1 (not read: compressed archives; unpack them)",
        ".tmp: 1 (not WANTED)",
    ];
    for wanted in ["shards", "tables"] {
        let place = place(&others);
        match wanted {
            "shards" => {
                shard(&place.path().join("train.tar"), &["0", "1"]);
                std::fs::write(place.path().join("classes.txt"), "a\nb\n").unwrap();
            }
            _ => table(&place.path().join("train.parquet"), &[Some(0)]),
        }
        let (_, report) = open_at(place.path(), options(None, None)).unwrap();
        assert_eq!(left_out(&report), expected.map(|line| line.replace("WANTED", wanted)));
        let warned = report.warnings().iter().filter(|line| line.contains("left out")).count();
        assert_eq!(warned, 4, "{:?}", report.warnings());
    }
    // Nothing that is read.
    let place = place(&["val.tgz", "x.tar.gz"]);
    let message = open_at(place.path(), options(None, None)).unwrap_err().to_string();
    assert!(
        message.contains("; found .tar.gz: 1 (not read: compressed archives; unpack them), .tgz: 1"),
        "{message}"
    );
}

#[test]
fn a_numbered_set_with_a_file_missing_is_refused_in_every_format() {
    for ending in ["tar", "parquet"] {
        let place = tempfile::tempdir().unwrap();
        for number in [0, 2] {
            let path = place.path().join(format!("train-0000{number}-of-00003.{ending}"));
            if ending == "tar" { shard(&path, &["0"]) } else { table(&path, &[Some(0)]) }
        }
        let read = |train| open_at(place.path(), options(train, None));
        let message = read(None).unwrap_err().to_string();
        assert!(
            message.contains("2 of 3 files are there: train-00001-of-00003 is missing; --train train"),
            "{message}"
        );
        let (data, report) = read(Some("train")).unwrap();
        assert_eq!(data.train.count(), 2);
        assert!(report.warnings()[0].contains("2 of 3 files are there"), "{:?}", report.warnings());
        assert!(report.train.from.ends_with(", 2 of 3 files"), "{}", report.train.from);
    }
}
