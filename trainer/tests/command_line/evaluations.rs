//! The evaluations of a training: how often, on how many images, and what they say.

use super::{error_line, json, stderr, trainer};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PROBE: &[u8] = include_bytes!("../../../loader/pipeline/assets/probe.png");

/// Epochs of five steps of a moment; 100 training and 20 test images.
const MOMENT: [&str; 11] = [
    "train",
    "--data",
    "synthetic:100",
    "--model",
    "linear",
    "--batch-size",
    "20",
    "--threads",
    "1",
    "--output",
    "run",
];

fn train(folder: &Path, arguments: &[&str]) -> Value {
    json(&trainer(folder).args(MOMENT).args(arguments).arg("--json").output().unwrap())
}

fn resume(folder: &Path, arguments: &[&str]) -> Value {
    let resume = ["train", "--output", "run", "--resume", "--json"];
    json(&trainer(folder).args(resume).args(arguments).output().unwrap())
}

/// A column of the run's `metrics.csv`.
fn column(folder: &Path, name: &str) -> Vec<Option<f64>> {
    let text = fs::read_to_string(folder.join("run/metrics.csv")).unwrap();
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split(',').collect()).collect();
    let at = rows[0].iter().position(|column| *column == name).unwrap();
    rows[1..].iter().map(|row| row[at].parse().ok()).collect()
}

fn evaluated(folder: &Path) -> Vec<bool> {
    let [accuracies, losses] =
        ["test_accuracy", "test_loss"].map(|name| column(folder, name).iter().map(Option::is_some).collect());
    assert_eq!(accuracies, losses);
    accuracies
}

/// Step of the best checkpoint, as its header has it.
fn best_step(folder: &Path) -> u64 {
    let path = folder.join("run/checkpoint-best.safetensors");
    mixfeed_trainer::run::checkpoint::read(&path).unwrap().header.next_batch
}

#[test]
fn the_test_loss_is_what_evaluate_finds_also_where_training_smooths_and_mixes() {
    for (loss, smoothing) in [("soft-ce", "0.3"), ("bce", "0")] {
        let folder = tempfile::tempdir().unwrap();
        let trained =
            train(folder.path(), &["--epochs", "2", "--loss", loss, "--label-smoothing", smoothing]);
        let losses = column(folder.path(), "test_loss");
        assert_eq!(losses[1], trained["test_loss"].as_f64());
        assert!(losses[0] > Some(0.0) && losses[0] != losses[1]);
        let mut evaluate = trainer(folder.path());
        let run = ["evaluate", "--checkpoint", "run", "--data", "synthetic:100", "--threads", "1", "--json"];
        let found = json(&evaluate.args(run).output().unwrap());
        assert_eq!(found["test_accuracy"], trained["test_accuracy"]);
        let likelihood = found["negative_log_likelihood"].as_f64().unwrap();
        let is_same = (likelihood - trained["test_loss"].as_f64().unwrap()).abs() < 1e-9;
        assert_eq!(is_same, loss == "soft-ce", "{loss}: {likelihood}, {trained}");
    }
}

#[test]
fn epochs_are_evaluated_as_often_as_asked_for_and_the_last_always() {
    let folder = tempfile::tempdir().unwrap();
    let trained = train(folder.path(), &["--epochs", "5", "--eval-every", "2"]);
    assert_eq!(evaluated(folder.path()), [false, true, false, true, true]);
    assert!(trained["test_accuracy"].is_number() && trained["test_limit"].is_null());
    assert!(best_step(folder.path()).is_multiple_of(5) && ![5, 15].contains(&best_step(folder.path())));
    // The weights know nothing of it.
    let other = tempfile::tempdir().unwrap();
    let all = train(other.path(), &["--epochs", "5"]);
    assert_eq!(evaluated(other.path()), [true; 5]);
    assert_eq!(
        [&all["weights_digest"], &all["test_loss"]],
        [&trained["weights_digest"], &trained["test_loss"]]
    );
    assert_eq!(column(other.path(), "train_loss"), column(folder.path(), "train_loss"));
    // More epochs, and another rhythm.
    resume(folder.path(), &["--epochs", "8", "--eval-every", "3"]);
    assert_eq!(evaluated(folder.path()), [false, true, false, true, true, true, false, true]);
}

#[test]
fn an_epoch_that_turns_out_to_be_the_last_is_evaluated_after_all() {
    let folder = tempfile::tempdir().unwrap();
    // A checkpoint after three epochs, of which none is evaluated: as of a run that was killed then.
    train(folder.path(), &["--epochs", "4", "--eval-every", "9"]);
    assert_eq!(evaluated(folder.path()), [false, false, false, true]);
    let run = folder.path().join("run");
    let _ = fs::remove_file(run.join("checkpoint-best.safetensors"));
    fs::rename(run.join("checkpoint-previous.safetensors"), run.join("checkpoint-last.safetensors")).unwrap();
    let losses = column(folder.path(), "train_loss");

    let ended = resume(folder.path(), &["--epochs", "3"]);
    assert_eq!(evaluated(folder.path()), [false, false, true]);
    assert_eq!(column(folder.path(), "train_loss"), losses[..3], "nothing is trained, and nothing lost");
    assert_eq!((ended["steps"].as_u64(), ended["finished"].as_bool()), (Some(15), Some(true)));
    assert_eq!(ended["images"], 300);
    assert_eq!(best_step(folder.path()), 15);
}

#[test]
fn of_the_test_images_the_first_are_scored_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let trained = train(folder.path(), &["--epochs", "1", "--test-limit", "8"]);
    assert_eq!(trained["test_limit"], 8);
    let eighths = trained["test_accuracy"].as_f64().unwrap() * 8.0;
    assert!((eighths - eighths.round()).abs() < 1e-9, "{trained}");
    let run = fs::read_to_string(folder.path().join("run/run.toml")).unwrap();
    assert!(run.contains("test-limit = 8"), "{run}");
    let table = trainer(folder.path()).args(["train", "--output", "run", "--resume"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("% of the first 8\n"), "{table}");

    let other = trainer(folder.path())
        .args(["train", "--output", "run", "--resume", "auto", "--epochs", "2", "--test-limit", "9"])
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(2), "accuracies of other images are none of this run");
    assert!(error_line(&other).contains("--test-limit is 9, the run to resume has 8"), "{}", stderr(&other));
}

/// It is found before the first step, as the first evaluation may be hours away and the run could not be finished.
#[test]
fn more_test_images_than_there_are_is_an_error_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let above = |command: &[&str]| {
        let output = trainer(folder.path()).args(command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", stderr(&output));
        let line = error_line(&output);
        let expected = "--test-limit is 21, the test split of dataset synthetic has 20 images";
        assert!(line.contains(expected), "{line}");
        assert!(!stderr(&output).contains("training model="), "{}", stderr(&output));
    };
    let limit = ["--epochs", "50", "--eval-every", "50", "--test-limit", "21"];
    above(&[&MOMENT[..], &limit].concat());
    let compare = [&["compare"], &MOMENT[1..], &limit].concat();
    above(&compare);
    assert!(!folder.path().join("run").exists(), "no folder is left");

    // What is there stays, and a run that an older release let begin says so at once.
    train(folder.path(), &["--epochs", "1", "--test-limit", "20"]);
    let file = folder.path().join("run/run.toml");
    let run = fs::read_to_string(&file).unwrap().replace("test-limit = 20", "test-limit = 21");
    fs::write(&file, &run).unwrap();
    above(&[&MOMENT[..], &limit, &["--overwrite"]].concat());
    above(&["train", "--output", "run", "--resume", "--epochs", "50"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), run);
    assert_eq!(column(folder.path(), "epoch"), [Some(1.0)]);
}

#[test]
fn a_comparison_that_cannot_be_scored_removes_none_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let compare = |arguments: &[&str]| {
        let mut command = trainer(folder.path());
        command.args([&["compare", "--trials", "1", "--epochs", "1"], &MOMENT[1..]].concat());
        command.args(arguments).output().unwrap()
    };
    assert!(compare(&[]).status.success());
    let above = compare(&["--overwrite", "--test-limit", "21"]);
    assert_eq!(above.status.code(), Some(2), "{}", stderr(&above));
    for file in ["compare.json", "compare.csv", "with-mixup-seed-0/checkpoint-last.safetensors"] {
        assert!(folder.path().join("run").join(file).exists(), "{file}");
    }
}

#[test]
fn data_without_test_images_is_an_error_that_says_how_to_have_some() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        let class = folder.path().join("images").join(class);
        fs::create_dir_all(&class).unwrap();
        (0..8).for_each(|number| fs::write(class.join(format!("{number}.png")), PROBE).unwrap());
    }
    let run = ["--model", "linear", "--threads", "1", "--no-digest-cache", "--data", "images"];
    for command in ["train", "compare"] {
        let mut trainer = trainer(folder.path());
        let output = trainer.arg(command).args(run).args(["--output", "run"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        let line = error_line(&output);
        for expected in ["has no test samples", "--test-fraction", "--test NAME"] {
            assert!(line.contains(expected), "{line}");
        }
        assert!(!folder.path().join("run").exists(), "no folder is left");
    }
}
