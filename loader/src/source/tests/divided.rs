//! Splits where nobody looks for them: within classes, in folders of folders, in columns, beside other files.

use super::layouts::{open_at, options, place, shard, table};
use super::*;
use mixfeed_pipeline::Split;

fn refused(paths: &[&str]) -> String {
    let place = place(paths);
    open_at(place.path(), options(None, None)).unwrap_err().to_string()
}

/// Training and test images, and classes.
fn read(paths: &[&str], train: Option<&str>, test: Option<&str>) -> (u64, u64, usize) {
    let place = place(paths);
    let (data, _) = open_at(place.path(), options(train, test)).unwrap();
    (data.train.count(), data.test.count(), data.classes.len())
}

#[test]
fn splits_in_a_class_are_refused_whatever_lies_beside_it() {
    let inner = ["d/train/a/0.png", "d/train/b/0.png", "d/val/a/0.png", "d/readme.png"];
    for (more, train, folder) in [
        (&["preview/0.png"][..], ".", "d"),
        (&["preview/0.png", "more/1.png", "other/x/2.png"], ".", "d"),
        (&["x/train/0.png", "x/TestImages/0.png", "y/0.png", "z/train/0.png"], ".", "x"),
        (&["p/q/train2017/0.png", "p/q/val2017/0.png", "y/0.png"], ".", "p/q"),
        (&["train/c/train/0.png", "train/c/dev/0.png", "train/e/0.png"], "train", "train/c"),
    ] {
        let paths: Vec<&str> = if folder == "d" { [&inner[..], more].concat() } else { more.to_vec() };
        let message = refused(&paths);
        let said = format!("{folder}/ has splits inside, ");
        let remedy = format!(": give it as the place, or --train {train} to take it for a class");
        assert!(message.contains(&said) && message.ends_with(&remedy), "{message}");
        let all = paths.len() as u64;
        assert_eq!(read(&paths, Some(train), Some("none")).0, all, "{paths:?}");
    }
    assert!(refused(&[&inner[..], &["preview/0.png"]].concat()).contains("inside, train/, val/: "));
}

#[test]
fn a_class_with_one_such_folder_or_images_of_its_own_is_one() {
    for paths in [
        &["bus/0.png", "rail/train/0.png", "rail/tram/0.png"][..],
        &["bus/0.png", "rail/train/0.png", "rail/training/0.png"],
        &["bus/0.png", "rail/train/0.png", "rail/test/0.png", "rail/1.png", "rail/2.png"],
    ] {
        assert_eq!(read(paths, None, None), (paths.len() as u64, 0, 2));
    }
    // An empty folder is no split.
    let place = place(&["bus/0.png", "rail/train/0.png"]);
    std::fs::create_dir(place.path().join("rail/val")).unwrap();
    assert!(open_at(place.path(), options(None, None)).is_ok());
}

#[test]
fn splits_in_the_training_folder_are_refused_with_both_readings() {
    let inner = ["training/train/a/0.png", "training/train/b/0.png", "training/val/a/0.png"];
    for (more, classes) in [(&[][..], 2), (&["training/cats/0.png"], 3), (&["training/0.png"], 2)] {
        let paths = [&inner[..], more].concat();
        let message = refused(&paths);
        let expected = "training/ has splits inside, train/, val/: choose with --train training/train --test \
                        training/val, or with --train training for classes";
        assert!(message.ends_with(expected), "{message}");
        assert_eq!(read(&paths, Some("training/train"), Some("training/val")), (2, 1, 2));
        let place = place(&paths);
        let (_, report) = open_at(place.path(), options(Some("training/train"), None)).unwrap();
        let said = "left out: training/val/: 1 (training/train/ is the training split)";
        assert!(report.warnings().iter().any(|line| line == said), "{report:?}");
        assert_eq!(read(&paths, Some("training"), None).2, classes);
    }
    // Unpacked into a folder of its own name.
    let twice = ["train/train/a/0.png", "train/train/b/0.png", "val/val/a/0.png"];
    let message = refused(&twice);
    let expected = "train/ has splits inside, train/: choose with --train train/train, or with --train train for classes";
    assert!(message.ends_with(expected), "{message}");
    assert_eq!(read(&twice, Some("train/train"), Some("val/val")), (2, 1, 2));
}

#[test]
fn a_flag_trains_on_no_shard_or_folder_of_another_split() {
    let place = tempfile::tempdir().unwrap();
    for name in ["coco-train.tar", "coco-test.tar", "coco-unlabeled.tar"] {
        shard(&place.path().join(name), &["0", "1"]);
    }
    let read_at = |train| open_at(place.path(), options(train, None));
    let message = read_at(None).unwrap_err().to_string();
    assert!(message.ends_with("or train on it too with --train train,unlabeled"), "{message}");
    for train in ["train,unlabeled", "train,coco", "coco", "*.tar"] {
        let (data, report) = read_at(Some(train)).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (4, 2), "{train}");
        assert_eq!(report.test.from, "coco-test.tar");
    }
    let (data, _) = open_at(place.path(), options(None, Some("coco"))).unwrap();
    assert_eq!((data.train.count(), data.test.count()), (2, 4));
    let folders = ["coco-train/a/0.png", "coco-val/a/0.png", "x/0.png"];
    assert_eq!(read(&folders, Some("coco"), None), (1, 1, 1));
    assert_eq!(read(&folders, None, Some("coco")), (1, 1, 1));
    let place = layouts::place(&folders[1..]);
    let message = open_at(place.path(), options(Some("coco"), None)).unwrap_err().to_string();
    assert!(message.ends_with("--train coco-val takes it all the same"), "{message}");
}

#[test]
fn tables_and_shards_of_two_sets_are_refused_with_both() {
    for is_tar in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let ending = if is_tar { "tar" } else { "parquet" };
        for (name, labels) in [("fine/train-0", 3), ("coarse/train-0", 2), ("fine/test-0", 1)] {
            let path = place.path().join(format!("{name}.{ending}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match is_tar {
                true => shard(&path, &vec!["0"; labels]),
                false => table(&path, &vec![Some(0); labels]),
            }
        }
        let read = |train| open_at(place.path(), options(train, None));
        let message = read(None).unwrap_err().to_string();
        let expected = "may be of two sets: choose with --train coarse, --train fine, or --train coarse,fine for one set";
        assert!(message.ends_with(expected), "{message}");
        for (train, count) in [("coarse", 2), ("fine", 3), ("coarse,fine", 5)] {
            let (data, _) = read(Some(train)).unwrap();
            assert_eq!((data.train.count(), data.test.count()), (count, 1), "{train}");
        }
    }
}

#[test]
fn a_column_that_divides_a_table_is_not_passed_over() {
    let image = write::drawings(Split::Train, 1)[0].png();
    let rows: Vec<write::Row> = (0..4).map(|label| (Some(image.clone()), Some(label))).collect();
    let read = |column: &str, values: &[&str], train| {
        let place = tempfile::tempdir().unwrap();
        let groups = [rows.clone(), rows.clone()];
        let path = place.path().join("data.parquet");
        write::table_of_splits(&path, &groups, Some((column, values)), Default::default());
        open_at(place.path(), options(train, None)).map_err(|error| error.to_string())
    };
    for (column, values) in [("split", &["train", "test"][..]), ("Subset", &["dev", "train", "val"])] {
        let message = read(column, values, None).unwrap_err();
        let remedy = "make a file of each split, or take all rows with --train data.parquet";
        assert!(
            message.contains(&format!("its column {column} has ")) && message.ends_with(remedy),
            "{message}"
        );
        let (data, report) = read(column, values, Some("data.parquet")).unwrap();
        assert_eq!(data.train.count(), 8);
        assert!(report.warnings()[0].starts_with("all rows of data.parquet are taken"), "{report:?}");
    }
    for (column, values) in
        [("split", &["train"][..]), ("split", &["left", "right"]), ("name", &["train", "test"])]
    {
        let (data, report) = read(column, values, None).unwrap();
        assert_eq!((data.train.count(), report.left_out.len()), (8, 0));
        assert!(!report.warnings().iter().any(|line| line.contains("all rows")), "{report:?}");
    }
}

#[test]
fn what_lies_beside_the_files_of_cifar_is_counted() {
    let place = place(&["train/a/0.png", "train/b/0.png", "x.png"]);
    shard(&place.path().join("train/0.tar"), &["0"]);
    let record = [vec![1], vec![0; 3072]].concat();
    for number in 1..=5 {
        std::fs::write(place.path().join(format!("data_batch_{number}.bin")), &record).unwrap();
    }
    std::fs::write(place.path().join("test_batch.bin"), &record).unwrap();
    let (data, report) = open_at(place.path(), Options::default()).unwrap();
    assert_eq!((data.train.count(), data.test.count()), (5, 1));
    let said = "beside cifar10 in the binary version";
    assert_eq!(
        report.warnings()[..2],
        [format!("left out: image files: 3 ({said})"), format!("left out: .tar: 1 ({said})")]
    );
    let other = place.path().join("cifar-100-python");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("train"), "").unwrap();
    let (_, report) = open_at(place.path(), Options::default()).unwrap();
    assert_eq!(report.warnings()[0], format!("left out: cifar100 in the Python version ({said})"));
}
