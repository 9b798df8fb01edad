//! A record that is bad: said before the first step, named with the way out when it ends a training, and left out by the
//! run that goes on, which comes to the weights of one that never had it.

use super::resume::step_of;
use super::{error_line, json, stderr, trainer};
use crate::support::LoaderProcess;
use mixfeed_loader::source::{SkipList, Skipped};
use mixfeed_pipeline::Split;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const BAD: &str = "train/a/030.png";

/// Sixty training images of each of two classes.
fn set(place: &Path) {
    for (split, count) in [("train", 60_u8), ("test", 4)] {
        for (label, class) in ["a", "b"].iter().enumerate() {
            let folder = place.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let pixel =
                    |x, y| image::Rgb([number * 4, (x * 30 * (label as u32 + 1)) as u8, (y * 30) as u8]);
                image::RgbImage::from_fn(8, 8, pixel).save(folder.join(format!("{number:03}.png"))).unwrap();
            }
        }
    }
}

fn training(folder: &Path, seed: u64, output: &str) -> Command {
    let mut command = trainer(folder);
    command.args(["train", "--data", "set", "--model", "linear", "--epochs", "2", "--batch-size", "8"]);
    command.args(["--threads", "1", "--workers", "1", "--mixup-prob", "0.3", "--json", "--output", output]);
    command.arg(format!("--seed={seed}"));
    command
}

fn resume(folder: &Path, flags: &[&str]) -> Command {
    let mut command = trainer(folder);
    command.args(["train", "--resume", "--json", "--output", "run"]).args(flags);
    command
}

/// What must not depend on when the record was left out.
fn learnt(folder: &Path, output: &str, result: &Value) -> (Value, Vec<String>) {
    let text = fs::read_to_string(folder.join(output).join("metrics.csv")).unwrap();
    let losses = text.lines().map(|line| line.split(',').take(5).collect::<Vec<_>>().join(","));
    (result["weights_digest"].clone(), losses.collect())
}

#[test]
fn a_run_that_a_bad_record_ended_goes_on_without_it_as_if_it_had_never_been_there() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    set(&place.join("set"));
    fs::write(place.join("set").join(BAD), "").unwrap();
    // One of some seeds meets it after a few steps.
    let (seed, said) = (1..20)
        .find_map(|seed| {
            let output = training(place, seed, "run").arg("--overwrite").output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
            (step_of(&place.join("run/checkpoint-last.safetensors")) >= 4).then(|| (seed, stderr(&output)))
        })
        .expect("each step meets 8 of 120 samples");
    let (first_step, end) = said.split_at(said.find("run folder").expect("it began"));
    assert!(first_step.contains("WARN") && first_step.contains(BAD), "{said}");
    let error = end.lines().last().unwrap();
    for part in ["error: batch ", BAD, "--write-skip-list FILE", "--skip-list FILE", "--bad-records skip"] {
        assert!(error.contains(part), "{part}: {said}");
    }
    assert!(end.contains("loader failed to make a batch"), "the client has heard of it: {said}");

    let output = training(place, seed, "golden").args(["--bad-records", "skip=1"]).output().unwrap();
    let golden = learnt(place, "golden", &json(&output));
    let run_folder = || {
        let _ = fs::remove_dir_all(place.join("kept"));
        copy(&place.join("run"), &place.join("kept"));
    };
    run_folder();
    let again = || {
        fs::remove_dir_all(place.join("run")).unwrap();
        copy(&place.join("kept"), &place.join("run"));
    };
    let loaders: Vec<_> = (0..2)
        .map(|_| {
            LoaderProcess::start_with(place.join("set").to_str().unwrap(), 1, &["--bad-records", "skip"])
        })
        .collect();
    let two = format!("{},{}", loaders[0].address, loaders[1].address);
    let one = loaders[0].address.clone();
    let ways: [&[&str]; 3] = [&["--bad-records", "skip"], &["--loaders", &one], &["--loaders", &two]];
    for flags in ways {
        let output = resume(place, flags).output().unwrap();
        assert_eq!(learnt(place, "run", &json(&output)), golden, "{flags:?}");
        let said = stderr(&output);
        assert!(
            said.contains("records are left out that the run has not seen yet") && said.contains("records=1"),
            "{said}"
        );
        // Its checkpoints are those of the set without the record from now on.
        let output = resume(place, &[flags, &["--epochs", "3"]].concat()).output().unwrap();
        assert_eq!(json(&output)["epochs"], 3);
        again();
    }
    // The whole set is another one now: the run has been told to go on without the record.
    json(&resume(place, &["--bad-records", "skip", "--steps", "20"]).output().unwrap());
    let output = resume(place, &["--bad-records", "fail", "--steps", "25"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line = error_line(&output);
    assert!(line.contains("the run to resume was trained on dataset set"), "{line}");
}

#[test]
fn a_record_that_the_run_has_learnt_from_cannot_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    set(&place.join("set"));
    let result = json(&training(place, 1, "run").output().unwrap());
    assert_eq!(result["epochs"], 2);
    let run: toml::Table = fs::read_to_string(place.join("run/run.toml")).unwrap().parse().unwrap();
    let digest = run["dataset"]["digest"].as_str().unwrap();
    let list = SkipList {
        dataset: *blake3::Hash::from_hex(digest).unwrap().as_bytes(),
        records: vec![Skipped { split: Split::Train, sample: 30, record: BAD.into(), reason: String::new() }],
    };
    list.write(&place.join("skip.toml")).unwrap();
    let flags = ["--skip-list", "skip.toml", "--epochs", "3"];
    let output = resume(place, &flags).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line = error_line(&output);
    assert!(line.contains("train sample 30 was in batch ") && line.contains("has learnt from"), "{line}");
    // What was only measured on may be.
    let skipped =
        Skipped { split: Split::Test, sample: 0, record: "test/a/000.png".into(), reason: String::new() };
    SkipList { records: vec![skipped], ..list }.write(&place.join("skip.toml")).unwrap();
    assert_eq!(json(&resume(place, &flags).output().unwrap())["epochs"], 3);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
