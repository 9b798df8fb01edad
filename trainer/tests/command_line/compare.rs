//! Comparing trainings: pairs, grids, and going on after a kill.

use super::{error_line, json, stderr, trainer};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Trainings of a moment: three epochs of twelve small steps, with checkpoints in between.
const COMPARISON: [&str; 17] = [
    "compare",
    "--data",
    "synthetic:100",
    "--model",
    "linear",
    "--limit",
    "96",
    "--batch-size",
    "8",
    "--epochs",
    "3",
    "--threads",
    "1",
    "--checkpoint-every",
    "3",
    "--output",
    "both",
];

fn compare(folder: &Path) -> Command {
    let mut command = trainer(folder);
    command.args(COMPARISON).args(["--trials", "2", "--seed", "5"]);
    command
}

fn resume(folder: &Path) -> Command {
    let mut command = trainer(folder);
    command.args(["compare", "--output", "both", "--resume", "--json"]);
    command
}

/// What is measured in time, and so is never the same twice.
const TIMES: [&str; 4] = ["seconds", "evaluation_seconds", "images_per_second", "data_wait_ratio"];

fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            fields.values_mut().for_each(|field| *field = without_times(field.take()));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = without_times(value.take())),
        _ => {}
    }
    value
}

#[test]
fn a_comparison_trains_both_arms_with_the_same_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let result = json(&compare(folder.path()).arg("--json").output().unwrap());
    let arms = result["arms"].as_array().unwrap();
    assert_eq!([&arms[0]["arm"], &arms[1]["arm"]], ["without-mixup", "with-mixup"]);
    for arm in arms {
        let trials = arm["trials"].as_array().unwrap();
        let seeds: Vec<_> = trials.iter().map(|trial| trial["seed"].as_u64()).collect();
        assert_eq!(seeds, [Some(5), Some(6)]);
        assert!(arm["test_accuracy"]["standard_deviation"].is_number());
        assert!(arm["test_loss"]["mean"].as_f64() > Some(0.0));
    }
    let digest = |arm: usize, trial: usize| &arms[arm]["trials"][trial]["weights_digest"];
    assert_ne!(digest(0, 0), digest(1, 0), "mixing makes a difference");

    let accuracy = |arm: usize, trial: usize| arms[arm]["trials"][trial]["test_accuracy"].as_f64().unwrap();
    let pairs = [0, 1].map(|trial| accuracy(1, trial) - accuracy(0, trial));
    let difference = &result["difference"];
    assert_eq!(difference["pairs"], 2);
    assert!((difference["mean"].as_f64().unwrap() - (pairs[0] + pairs[1]) / 2.0).abs() < 1e-12);
    // Of two pairs, the interval reaches 12.706 × half their distance to both sides.
    let [low, high] = [0, 1].map(|end| difference["confidence_95"][end].as_f64().unwrap());
    assert!((high - low - 12.706 * (pairs[0] - pairs[1]).abs()).abs() < 1e-3, "{difference}");

    let run = folder.path().join("both");
    let saved: Value = serde_json::from_str(&fs::read_to_string(run.join("compare.json")).unwrap()).unwrap();
    assert_eq!(saved, result);
    assert!(run.join("curves.png").exists() && run.join("curves.svg").exists());
    assert!(
        run.join("with-mixup-seed-5/curves.svg").exists() && run.join("with-mixup-seed-6/run.toml").exists()
    );
    let csv = fs::read_to_string(run.join("compare.csv")).unwrap();
    let rows: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), rows[0][0], rows[0][12]), (5, "arm", "weights_digest"));
    assert_eq!(rows[0][13..], ["test_loss", "limit", "test_limit"]);
    assert_eq!((rows[1].len(), rows[1][14], rows[1][15]), (16, "96", ""));
    assert_eq!((&result["limit"], &result["test_limit"]), (&96.into(), &Value::Null));
    assert_eq!((rows[4][0], rows[4][3]), ("with-mixup", "6"));
    assert_eq!(rows[4][12], digest(1, 1).as_str().unwrap());
}

#[test]
fn the_small_files_of_its_runs_come_to_the_same_when_they_are_collected() {
    let folder = tempfile::tempdir().unwrap();
    let compared = json(&compare(folder.path()).arg("--json").output().unwrap());
    // All that is kept of a run, elsewhere.
    let mut kept = Vec::new();
    for run in ["with-mixup-seed-6", "without-mixup-seed-5", "with-mixup-seed-5", "without-mixup-seed-6"] {
        let place = folder.path().join("kept").join(run);
        fs::create_dir_all(&place).unwrap();
        for file in ["run.toml", "metrics.csv"] {
            fs::copy(folder.path().join("both").join(run).join(file), place.join(file)).unwrap();
        }
        kept.push(format!("kept/{run}"));
    }
    let collect = |runs: &[String]| {
        let mut command = trainer(folder.path());
        command.args(["compare", "--collect"]).args(runs);
        command
    };
    let collected = json(&collect(&kept).arg("--json").output().unwrap());
    for (arm, number) in [("without", 0), ("with", 1)] {
        let (own, other) = (&collected["arms"][number], &compared["arms"][number]);
        assert_eq!(own["seeds"], serde_json::json!([5, 6]), "{arm}: {collected}");
        for value in ["test_accuracy", "train_loss", "test_loss", "difference"] {
            assert_eq!(own[value], other[value], "{arm}: {value}");
        }
    }
    let table = String::from_utf8(collect(&kept).output().unwrap().stdout).unwrap();
    assert!(table.contains("no mixing   ") && table.contains("95 % CI"), "{table}");

    let refused = |command: &mut Command| error_line(&command.output().unwrap());
    let twice = refused(&mut collect(&[kept[0].clone(), kept[0].clone()]));
    assert!(twice.contains("are of one arm and one seed"), "{twice}");
    let settings = refused(collect(&kept).args(["--lr", "0.1"]));
    assert!(settings.contains("--collect trains nothing"), "{settings}");
    let missing = refused(&mut collect(&["nowhere".to_owned()]));
    assert!(missing.contains("nowhere/run.toml"), "{missing}");
}

#[test]
fn what_was_left_out_of_training_and_scoring_is_said_in_every_result() {
    let folder = tempfile::tempdir().unwrap();
    let table = |arguments: &[&str]| {
        let mut command = trainer(folder.path());
        command.args(COMPARISON.map(|argument| if argument == "3" { "1" } else { argument }));
        let output = command.args(["--trials", "1"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = table(&["--test-limit", "8"]);
    assert!(said.contains("\ntrained on the first 96 images, scored on the first 8 images\n"), "{said}");
    let read = |file: &str| fs::read_to_string(folder.path().join("both").join(file)).unwrap();
    assert!(read("compare.csv").lines().skip(1).all(|row| row.ends_with(",96,8")), "{}", read("compare.csv"));
    let result: Value = serde_json::from_str(&read("compare.json")).unwrap();
    for result in [&result, &result["arms"][0]["trials"][0]] {
        assert_eq!((&result["limit"], &result["test_limit"]), (&96.into(), &8.into()));
    }
    assert!(read("curves.svg").contains("scored on the first 8 images"), "{}", read("curves.svg"));
    let run = ["train", "--output", "both/with-mixup-seed-0", "--resume"];
    let train = trainer(folder.path()).args(run).output().unwrap();
    let train = String::from_utf8(train.stdout).unwrap();
    assert!(train.contains("synthetic, the first 96 training images, from 1 loader"), "{train}");
}

#[test]
fn a_comparison_that_is_killed_and_resumed_comes_to_the_same() {
    let whole = tempfile::tempdir().unwrap();
    let golden = json(&compare(whole.path()).arg("--json").output().unwrap());

    let folder = tempfile::tempdir().unwrap();
    let mut child = compare(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    // In the middle of the third of four trainings.
    assert!(lines.any(|line| line.contains("trial arm=without-mixup trial=2")), "the second trial begins");
    assert!(lines.any(|line| line.contains("epoch done")), "and gets somewhere");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.path().join("both/compare.json").exists());

    let output = resume(folder.path()).output().unwrap();
    let log = stderr(&output);
    assert_eq!(log.matches("trial, finished before").count(), 2, "two trainings are not done again:\n{log}");
    assert_eq!(without_times(json(&output)), without_times(golden.clone()));
    // Of a comparison that is finished nothing is done again.
    let again = resume(folder.path()).output().unwrap();
    assert_eq!(stderr(&again).matches("trial, finished before").count(), 4);
    assert_eq!(without_times(json(&again)), without_times(golden));

    // More trials extend it; another recipe would be another comparison.
    let more = json(&resume(folder.path()).args(["--trials", "3"]).output().unwrap());
    assert_eq!(more["arms"][1]["trials"].as_array().unwrap().len(), 3);
    for (arguments, expected) in [
        (&["--trials", "1"][..], "--trials is 1"),
        (&["--lr", "0.5"], "--lr"),
        (&["--grid", "mixup-alpha=1"], "--grid"),
    ] {
        let output = resume(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(error_line(&output).contains(expected));
    }
}

#[test]
fn a_comparison_that_is_stopped_from_outside_ends_well_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = trainer(folder.path());
    command.args(COMPARISON.map(|argument| if argument == "3" { "100000" } else { argument }));
    command.args(["--trials", "1", "--json", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = |line: String| {
        line.split_whitespace().find_map(|word| word.strip_prefix("address=")).map(str::to_owned)
    };
    let address = lines.by_ref().find_map(address).expect("it says where it listens");
    assert!(lines.any(|line| line.contains("epoch done")));
    let stopped = trainer(folder.path()).args(["stop", "--trainer", &address]).output().unwrap();
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    let rest: Vec<_> = lines.collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(0), 0),
        "there is no result yet: {rest:#?}"
    );
    assert!(!folder.path().join("both/with-mixup-seed-0").exists(), "the other arm was not begun");

    let steps = ["--epochs", "1"];
    let output = resume(folder.path()).args(steps).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the first arm is past that already: {}", stderr(&output));
}

#[test]
fn a_comparison_over_another_takes_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    json(&compare(folder.path()).arg("--json").output().unwrap());
    let taken = compare(folder.path()).output().unwrap();
    assert_eq!(taken.status.code(), Some(2));
    assert!(error_line(&taken).contains("--resume"));
    let output = compare(folder.path()).args(["--overwrite", "--json"]).output().unwrap();
    assert!(!stderr(&output).contains("finished before"));
    json(&output);
    let output =
        compare(folder.path()).args(["--overwrite", "--json", "--grid", "mixup-alpha=1"]).output().unwrap();
    let log = stderr(&output);
    assert!(
        log.contains("trainings of an earlier comparison stay") && log.contains("with-mixup-seed-5"),
        "{log}"
    );
    json(&output);

    // What another command left is resumed by that command.
    for (command, place, expected) in [
        ("train", "both", "it holds a comparison: resume that with `compare`"),
        ("compare", "both/with-mixup-seed-5", "it holds a run: resume that with `train`"),
    ] {
        for resume in [&["--resume"][..], &["--resume", "auto", "--data", "synthetic:100"]] {
            let mut resumed = trainer(folder.path());
            let output = resumed.args([command, "--output", place]).args(resume).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            assert!(error_line(&output).contains(expected), "{}", stderr(&output));
        }
    }
    let both = ["--output", "other", "--grid", "mixup-alpha=1", "--mixup-alpha", "0.5"];
    let output =
        trainer(folder.path()).args(["compare", "--data", "synthetic:100"]).args(both).output().unwrap();
    assert!(
        error_line(&output).contains("--mixup-alpha has no effect: --grid sets it"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_grid_compares_each_amount_with_training_without_mixup() {
    let folder = tempfile::tempdir().unwrap();
    let grid = ["--grid", "mixup-alpha=0.2,1", "mixup-prob=0.5,1"];
    let result = json(&compare(folder.path()).args(grid).arg("--json").output().unwrap());
    let arms = result["arms"].as_array().unwrap();
    assert_eq!(arms.len(), 5);
    assert!(arms[0]["difference"].is_null() && result["difference"].is_null());
    let amounts: Vec<_> = arms.iter().map(|arm| [&arm["mixup_alpha"], &arm["mixup_prob"]]).collect();
    assert_eq!(amounts[1], [0.2, 0.5]);
    assert_eq!(amounts[4], [1.0, 1.0]);
    let accuracy = |arm: usize, trial: usize| arms[arm]["trials"][trial]["test_accuracy"].as_f64().unwrap();
    for (number, arm) in arms.iter().enumerate().skip(1) {
        let pairs = [0, 1].map(|trial| accuracy(number, trial) - accuracy(0, trial));
        let mean = arm["difference"]["mean"].as_f64().unwrap();
        assert!((mean - (pairs[0] + pairs[1]) / 2.0).abs() < 1e-12);
    }
    let run = folder.path().join("both");
    for picture in ["grid.png", "curves.png"] {
        assert!(fs::read(run.join(picture)).unwrap().starts_with(b"\x89PNG"));
    }
    // The curves are those of the plain arm and of the best field, which the caption names.
    let svg = fs::read_to_string(run.join("curves.svg")).unwrap();
    assert!(svg.contains("the highest test accuracy of 4 fields") && svg.contains("without mixup"), "{svg}");
    assert!(fs::read_to_string(run.join("grid.svg")).unwrap().contains("95 % CI"));
    assert_eq!(fs::read_to_string(run.join("compare.csv")).unwrap().lines().count(), 11);
    for (wrong, expected) in [("lr=1", "not an axis of a grid"), ("mixup-prob=2", "--mixup-prob is 2")] {
        let mut command = trainer(folder.path());
        command.args(COMPARISON).args(["--overwrite", "--grid", wrong]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(error_line(&output).contains(expected), "{}", stderr(&output));
    }
}
