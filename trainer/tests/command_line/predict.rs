//! A trained model and image files.

use super::{MOMENT, error_line, json, stderr, trainer};
use std::fs;
use std::path::Path;
use std::process::Output;

const PNG: &[u8] = include_bytes!("../../../loader/pipeline/assets/probe.png");
const JPEG: &[u8] = include_bytes!("../../../loader/pipeline/assets/probe.jpg");

fn predict(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = trainer(folder);
    command.args(["predict", "--checkpoint", "run", "--threads", "2"]).args(arguments).output().unwrap()
}

#[test]
fn image_files_get_classes_and_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let mut train = trainer(folder.path());
    let trained =
        json(&train.args(MOMENT).args(["--data", "synthetic:100", "--output", "run"]).output().unwrap());
    fs::write(folder.path().join("a.png"), PNG).unwrap();
    fs::write(folder.path().join("b.jpg"), JPEG).unwrap();

    let result = json(&predict(folder.path(), &["--json", "--top", "10", "a.png", "b.jpg", "a.png"]));
    assert_eq!(result["weights_digest"], trained["weights_digest"]);
    let images = result["images"].as_array().unwrap();
    let names: Vec<_> = images.iter().map(|image| image["image"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.png", "b.jpg", "a.png"], "in the order that they were given");
    assert_eq!(images[0], images[2], "the same image is the same whatever is beside it");
    for image in images {
        let top = image["top"].as_array().unwrap();
        let shares: Vec<_> = top.iter().map(|choice| choice["probability"].as_f64().unwrap()).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-5, "all ten classes: {shares:?}");
        assert_eq!((&image["class"], &image["probability"]), (&top[0]["class"], &top[0]["probability"]));
    }
    // Two codings of one drawing look alike to the model.
    let share = |image: usize| images[image]["probability"].as_f64().unwrap();
    assert!((share(0) - share(1)).abs() < 0.05, "{result}");

    let output = predict(folder.path(), &["a.png"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().filter(|line| line.contains(" %")).count(), 3, "three choices in:\n{table}");

    fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
    for (path, expected) in [("notes.txt", "is no image"), ("nowhere.png", "cannot read")] {
        let output = predict(folder.path(), &["a.png", path]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        let line = error_line(&output);
        assert!(line.contains(path) && line.contains(expected), "{line}");
    }
}
