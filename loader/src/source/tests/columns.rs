//! Columns, names of classes and labels that may mean two things.

use super::layouts::{open_at, options, shard};
use super::*;
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use mixfeed_pipeline::Split;
use std::sync::Arc;
use write::tar_file;

/// A table of two rows with these columns of images and of labels, and names of the classes of each label.
fn table(path: &Path, images: &[&str], labels: &[&str], names: &[&str]) {
    let image = ByteArray::from(write::drawings(Split::Train, 1)[0].png());
    let columns = images.iter().map(|name| format!("required binary {name};"));
    let columns = columns.chain(labels.iter().map(|name| format!("required int64 {name};")));
    let schema = format!("message row {{ {} }}", columns.collect::<String>());
    let features = labels.iter().map(|label| (label.to_string(), serde_json::json!({ "names": names })));
    let features: serde_json::Map<_, _> = features.collect();
    let info = serde_json::json!({ "info": { "features": features } }).to_string();
    let metadata = (!names.is_empty()).then(|| vec![KeyValue::new("huggingface".into(), info)]);
    let properties = WriterProperties::builder().set_key_value_metadata(metadata).build();
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for _ in images {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[image.clone(), image.clone()], None, None).unwrap();
        column.close().unwrap();
    }
    for _ in labels {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[0, 1], None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn refused(place: &Path) -> String {
    open_at(place, options(None, None)).unwrap_err().to_string()
}

#[test]
fn tables_that_name_their_classes_otherwise_are_refused_with_both() {
    let names = ["cat", "dog", "fox"];
    for (other, at, here, there) in [
        (&["dog", "cat", "fox"][..], 0, "\"dog\"", "\"cat\""),
        (&["cat", "dog", "wolf"], 2, "\"wolf\"", "\"fox\""),
        (&["cat", "dog"], 2, "not named", "\"fox\""),
        (&["cat", "dog", "fox", "owl"], 3, "\"owl\"", "not named"),
    ] {
        // Of the test split and of the same one; the first by its path is what the other is held against.
        for (first, second) in [("a-train.parquet", "b-test.parquet"), ("train-0.parquet", "train-1.parquet")]
        {
            let place = tempfile::tempdir().unwrap();
            table(&place.path().join(first), &["image"], &["label"], &names);
            table(&place.path().join(second), &["image"], &["label"], other);
            let message = refused(place.path());
            let first = place.path().join(first);
            let expected = format!(
                "{second}: its names of classes differ from those of {}: class {at} is {here} here and {there} there",
                first.display()
            );
            assert!(message.ends_with(&expected), "{message}");
            table(&place.path().join(second), &["image"], &["label"], &names);
            assert_eq!(open_at(place.path(), options(None, None)).unwrap().0.classes, names);
            // One that names none is no contradiction.
            table(&first, &["image"], &["label"], &[]);
            assert_eq!(open_at(place.path(), options(None, None)).unwrap().0.classes, names);
        }
    }
}

#[test]
fn a_list_that_names_two_classes_alike_is_refused() {
    let place = tempfile::tempdir().unwrap();
    table(&place.path().join("train.parquet"), &["image"], &["label"], &["cat", "dog", "cat"]);
    assert!(refused(place.path()).ends_with("train.parquet: it names two classes \"cat\""));
    let place = tempfile::tempdir().unwrap();
    shard(&place.path().join("train.tar"), &["0", "1"]);
    for (names, twice) in [("a\nb\na\n", true), ("a\n a \n", true), ("a\nA\n", false)] {
        std::fs::write(place.path().join("classes.txt"), names).unwrap();
        let outcome = open_at(place.path(), options(None, None)).map_err(|e| e.to_string());
        match twice {
            true => assert!(outcome.unwrap_err().ends_with("classes.txt: it names two classes \"a\"")),
            false => assert_eq!(outcome.unwrap().0.classes, ["a", "A"]),
        }
    }
}

#[test]
fn columns_of_which_either_may_be_meant_are_refused_with_both() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("train.parquet");
    for (images, labels, said) in [
        (&["image"][..], &["fine_label", "label"][..], "columns label and fine_label may both be the labels"),
        (&["img"], &["labels", "label"], "columns label and labels may both be the labels"),
        (&["image", "img"], &["label"], "columns img and image may both be the images"),
    ] {
        table(&path, images, labels, &[]);
        let message = refused(place.path());
        assert!(message.contains("train.parquet: ") && message.contains(said), "{message}");
    }
    // Others are not taken for labels, and what was taken is said.
    table(&path, &["image"], &["coarse_label", "fine_label"], &[]);
    let (_, report) = open_at(place.path(), options(None, None)).unwrap();
    assert_eq!(report.columns.unwrap().to_string(), "images image, labels fine_label");
}

#[test]
fn tables_with_their_labels_in_different_columns_are_refused_with_both() {
    for other in ["train-1.parquet", "validation.parquet"] {
        let place = tempfile::tempdir().unwrap();
        table(&place.path().join("train-0.parquet"), &["image"], &["label"], &[]);
        table(&place.path().join(other), &["image"], &["fine_label"], &[]);
        let message = refused(place.path());
        assert!(
            message.contains(&format!("{other}: its labels are in column fine_label, and those of ")),
            "{message}"
        );
        assert!(message.contains("train-0.parquet in label"), "{message}");
    }
}

#[test]
fn a_record_with_two_labels_that_differ_is_bad() {
    let image = write::drawings(Split::Train, 1)[0].png();
    let json = |text: &str| ("0.json", text.as_bytes().to_vec());
    let cls = |text: &str| ("0.cls", text.as_bytes().to_vec());
    let good =
        |label: &str| [tar_file("1.png", b'0', &image), tar_file("1.cls", b'0', label.as_bytes())].concat();
    for (labels, label) in [
        ([cls("0"), json("{\"label\":1}")], None),
        ([json("{\"label\":1}"), cls("0")], None),
        ([json("{\"cls\":3}"), cls("2")], None),
        ([cls("2"), json("{\"label\":2}")], Some(2)),
        ([json("{\"label\":2}"), cls(" 2\n")], Some(2)),
        // What tells no number contradicts none.
        ([cls("2"), json("{\"id\":7}")], Some(2)),
        ([json("{\"label\":\"cat\"}"), cls("2")], Some(2)),
        ([cls("2"), json("{")], Some(2)),
    ] {
        let place = tempfile::tempdir().unwrap();
        let files = labels.iter().flat_map(|(name, text)| tar_file(name, b'0', text));
        let files =
            tar_file("0.png", b'0', &image).into_iter().chain(files).chain(good("3")).chain([0; 1024]);
        std::fs::write(place.path().join("train.tar"), files.collect::<Vec<u8>>()).unwrap();
        let skip = Options { bad_records: "skip".parse().unwrap(), ..options(None, None) };
        let (data, _) = open_at(place.path(), skip).unwrap();
        match label {
            Some(label) => {
                let data = open_at(place.path(), options(None, None)).unwrap().0;
                assert_eq!((data.train.count(), data.train.label(0)), (2, label));
            }
            None => {
                let message = refused(place.path());
                assert!(message.contains("and another file of the record says"), "{message}");
                assert_eq!((data.train.count(), data.train.label(0)), (1, 3));
            }
        }
    }
}
