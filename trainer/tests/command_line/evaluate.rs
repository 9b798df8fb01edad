//! Looking at a trained model: figures, tables, pictures.

use super::{MOMENT, error_line, json, stderr, trainer};
use serde_json::Value;
use std::path::Path;

const DATA: &str = "synthetic:100";

fn train(folder: &Path) -> Value {
    let mut command = trainer(folder);
    json(&command.args(MOMENT).args(["--data", DATA, "--output", "run"]).output().unwrap())
}

fn evaluate(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = trainer(folder);
    command.args(["evaluate", "--checkpoint", "run", "--data", DATA, "--threads", "2"]);
    command.args(arguments).output().unwrap()
}

#[test]
fn the_parts_of_an_evaluation_agree_with_each_other_and_with_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let trained = train(folder.path());
    let result = json(&evaluate(folder.path(), &["--json", "--fgsm", "0,8", "--confusion", "confusion.png"]));
    assert_eq!(result["test_accuracy"], trained["test_accuracy"]);
    assert_eq!(result["weights_digest"], trained["weights_digest"]);

    let confusion = result["confusion"].as_array().unwrap();
    let count = |row: usize, column: usize| confusion[row][column].as_u64().unwrap();
    let classes = result["classes"].as_array().unwrap();
    assert_eq!((confusion.len(), classes.len()), (10, 10));
    for (row, class) in classes.iter().enumerate() {
        assert_eq!(class["samples"], (0..10).map(|column| count(row, column)).sum::<u64>());
        assert_eq!(class["correct"], count(row, row));
    }
    assert_eq!(result["correct"], (0..10).map(|class| count(class, class)).sum::<u64>());

    // A network of a moment is unsure: about ln 10.
    assert!((1.5..3.0).contains(&result["negative_log_likelihood"].as_f64().unwrap()), "{result}");
    assert!((0.0..=1.0).contains(&result["expected_calibration_error"].as_f64().unwrap()), "{result}");
    let under = |position: usize| &result["fgsm"][position];
    assert_eq!(under(0)["accuracy"], result["test_accuracy"], "an attack of nothing changes nothing");
    let clean = result["test_accuracy"].as_f64().unwrap();
    assert!(under(1)["accuracy"].as_f64().unwrap() <= clean, "{result}");
    assert!(std::fs::read(folder.path().join("confusion.png")).unwrap().starts_with(b"\x89PNG"));

    let output = evaluate(folder.path(), &["--fgsm", "8"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    for part in ["test accuracy", "nats", "calibration", "FGSM, 8/255", "most often taken for"] {
        assert!(table.contains(part), "{part} in:\n{table}");
    }
}

/// A red pixel and a blue one.
const TWO_PIXELS: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x02\x00\x00\x00{@\xe8\xdd\x00\x00\x00\x0d\
    IDATx\x9cc\xf8\xcf\x00\x04\xff\x01\x07\x00\x01\xff\xe2#\x9eY\x00\x00\x00\x00IEND\xaeB`\x82";

#[test]
fn a_checkpoint_is_not_evaluated_on_other_images_than_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path());
    for place in ["train/a", "train/b", "test/a", "test/b"] {
        let class = folder.path().join("images").join(place);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join("pixels.png"), TWO_PIXELS).unwrap();
    }
    let mut command = trainer(folder.path());
    let output = command.args(["evaluate", "--checkpoint", "run", "--data", "images"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let line = error_line(&output);
    assert!(line.contains("takes images of 32 x 32 x 3") && line.contains("has 1 x 2 x 3"), "{line}");
}

#[test]
fn an_evaluation_of_what_cannot_be_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--fgsm", "256"][..], "--fgsm is 256, it must be 0 to 255"),
        (&["--fgsm", "NaN"], "--fgsm is NaN"),
        (&[], "checkpoint"),
    ] {
        let output = evaluate(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let line = error_line(&output);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
}
