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

/// A score says something of one model only, so that no other is taken in its place.
#[test]
fn where_the_newest_checkpoint_is_damaged_or_gone_the_one_that_is_whole_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut train = trainer(folder.path());
    train.args(MOMENT).args(["--data", "synthetic:100", "--output", "run", "--checkpoint-every", "3"]);
    json(&train.output().unwrap());
    fs::write(folder.path().join("a.png"), PNG).unwrap();
    let in_run = |name: &str| folder.path().join(format!("run/checkpoint-{name}.safetensors"));
    // The best and the newest are one file.
    fs::remove_file(in_run("best")).unwrap();
    fs::remove_file(in_run("last")).unwrap();
    for (damage, code) in [(None, 2), (Some("nonsense"), 3)] {
        if let Some(text) = damage {
            fs::write(in_run("last"), text).unwrap();
        }
        let mut evaluate = trainer(folder.path());
        evaluate.args(["evaluate", "--checkpoint", "run", "--data", "synthetic:100", "--threads", "2"]);
        for output in [predict(folder.path(), &["a.png"]), evaluate.output().unwrap()] {
            assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
            let line = error_line(&output);
            let whole = "; run/checkpoint-previous.safetensors, after step 3, is whole: name it to use it";
            assert!(line.contains("run/checkpoint-last.safetensors") && line.ends_with(whole), "{line}");
        }
    }
    let mut previous = trainer(folder.path());
    previous.args(["predict", "--checkpoint", "run/checkpoint-previous.safetensors", "a.png"]);
    assert!(previous.output().unwrap().status.success());
    fs::write(in_run("previous"), "nonsense").unwrap();
    let line = error_line(&predict(folder.path(), &["a.png"]));
    assert!(line.contains("checkpoint-last.safetensors is damaged") && !line.contains("whole"), "{line}");
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
    fs::create_dir(folder.path().join("folder.png")).unwrap();
    for (path, expected) in [
        ("notes.txt", "is not an image"),
        ("nowhere.png", "cannot read"),
        ("folder.png", "is not a regular file"),
    ] {
        let output = predict(folder.path(), &["a.png", path]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        let line = stderr(&output);
        assert!(line.contains(path) && line.contains(expected), "{line}");
        assert!(line.starts_with("error: 1 of 2 images are not predicted"), "{line}");
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(table.contains("a.png") && !table.contains(path), "{table}");
    }
}
