//! What a training does to the folder that it is given: what no run wrote stays as it is, and a start that comes to
//! nothing leaves nothing.

use super::{MOMENT, error_line, json, stderr, trainer};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
                all.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    all
}

fn write(folder: &Path, name: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("weeks of work: {name}")).unwrap();
}

fn train(folder: &Path, more: &[&str]) -> Output {
    let mut command = trainer(folder);
    command.args(MOMENT).args(["--data", "synthetic:100", "--model", "linear", "--output", "run"]);
    command.args(more).output().unwrap()
}

const OTHERS: [&str; 5] = [
    "events.out.tfevents.1690000000.pytorch-host.77.0",
    "events.out.tfevents.1690000000.pytorch-host.77.0.v2",
    "notes.txt",
    "version_0/metrics.csv",
    "checkpoints/epoch=3.ckpt",
];

#[test]
fn other_programs_files_outlive_a_run_and_the_run_that_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    OTHERS.into_iter().for_each(|name| write(&run, name));
    let before = files(&run);
    for more in [&[][..], &["--overwrite"], &["--overwrite", "--seed", "2"]] {
        json(&train(folder.path(), more));
        let after = files(&run);
        for (name, bytes) in &before {
            assert_eq!(after.get(name), Some(bytes), "{name} after {more:?}");
        }
        let events = after.keys().filter(|name| name.ends_with(".mixfeed")).count();
        assert_eq!(events, 1, "{more:?}: {:?}", after.keys());
    }
}

#[test]
fn a_file_in_the_way_of_a_run_is_refused_by_name() {
    for (name, more) in [
        ("metrics.csv", &[][..]),
        ("metrics.csv", &["--overwrite"]),
        ("curves.png", &["--overwrite"]),
        ("run.toml", &["--resume", "auto"]),
        ("checkpoint-last.safetensors", &["--overwrite"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("run"), name);
        let before = files(folder.path());
        let output = train(folder.path(), more);
        assert!([Some(2), Some(3)].contains(&output.status.code()), "{}", stderr(&output));
        assert!(error_line(&output).contains(&format!("run/{name}")), "{}", stderr(&output));
        assert_eq!(files(folder.path()), before, "{more:?}");
    }
}

#[test]
fn a_comparison_removes_no_run_that_it_did_not_train() {
    let folder = tempfile::tempdir().unwrap();
    let trial = "with-mixup-seed-0";
    let mut command = trainer(folder.path());
    command.args(MOMENT).args(["--data", "synthetic:100", "--model", "linear"]);
    json(&command.args(["--output", &format!("run/{trial}")]).output().unwrap());
    let before = files(folder.path());
    let compare = |more: &[&str]| {
        let mut command = trainer(folder.path());
        command.args([
            "compare",
            "--trials",
            "1",
            "--data",
            "synthetic:100",
            "--model",
            "linear",
            "--limit",
            "64",
        ]);
        command.args(["--epochs", "1", "--threads", "2", "--output", "run"]).args(more).output().unwrap()
    };
    for more in [&[][..], &["--overwrite"]] {
        let output = compare(more);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(error_line(&output).contains(trial), "{}", stderr(&output));
        assert_eq!(files(folder.path()), before);
    }

    // Foreign files in the way, beside it and below it.
    for name in ["run/compare.csv", "run/without-mixup-seed-0/metrics.csv"] {
        write(folder.path(), name);
        let before = files(folder.path());
        let output = compare(&["--overwrite"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(error_line(&output).contains(name), "{}", stderr(&output));
        assert_eq!(files(folder.path()), before);
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    fs::remove_dir_all(folder.path().join("run").join(trial)).unwrap();
    OTHERS.into_iter().for_each(|name| write(&folder.path().join("run"), name));
    let output = compare(&["--overwrite"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let after = files(&folder.path().join("run"));
    assert!(OTHERS.iter().all(|name| after[*name] == format!("weeks of work: {name}").as_bytes()));
}

#[test]
fn a_start_that_fails_leaves_no_folder() {
    type Flags<'a> = &'a [&'a str];
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("there")).unwrap();
    fs::write(folder.path().join("token"), "0123456789abcdef0123456789abcdef").unwrap();
    let nobody = mixfeed_testing::free_addresses(1).remove(0);
    let gone = ["--loaders", &nobody, "--loader-timeout", "300ms"];
    let network = ["--data", "synthetic:100", "--model", "net.pt"];
    let weights = ["--data", "synthetic:100", "--model", "linear", "--init-from", "nothing.safetensors"];
    let token = [&gone[..], &["--auth-token-file", "token"]].concat();
    let places: [Flags<'_>; 4] =
        [&[], &["--output", "a/b/run"], &["--output", "there"], &["--output", "a", "--overwrite"]];
    let cases: [(&str, Flags<'_>, &[Flags<'_>]); 6] = [
        ("train", &gone, &places),
        ("compare", &gone, &places[1..3]),
        ("train", &network, &places[..2]),
        ("compare", &network, &places[..1]),
        ("train", &weights, &places[..1]),
        ("train", &token, &places[1..2]),
    ];
    for (command, arguments, places) in cases {
        for place in places {
            let mut process = trainer(folder.path());
            let output = process.arg(command).args(arguments).args(*place).output().unwrap();
            let said = stderr(&output);
            assert!(!output.status.success(), "{command} {arguments:?}: {said}");
            let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut left: Vec<_> = left.collect();
            left.sort();
            assert_eq!(left, ["there", "token"], "{command} {arguments:?}: {said}");
            assert_eq!(fs::read_dir(folder.path().join("there")).unwrap().count(), 0, "{arguments:?}");
        }
    }
}

#[test]
fn a_start_that_fails_leaves_a_run_that_was_there_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    json(&train(folder.path(), &[]));
    let before = files(folder.path());
    let nobody = mixfeed_testing::free_addresses(1).remove(0);
    for (mode, expected) in [("--overwrite", 4), ("--resume", 4)] {
        let mut command = trainer(folder.path());
        command.args(["train", "--loaders", &nobody, "--loader-timeout", "300ms", "--output", "run", mode]);
        let output = command.args(["--epochs", "2"]).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{}", stderr(&output));
        assert_eq!(files(folder.path()), before, "{mode}");
    }
}

#[test]
fn what_the_data_does_not_allow_is_said_with_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, expected) in [
        (["--limit", "101"], "spec.limit: 101 is not allowed"),
        (["--crop-padding", "32"], "spec.augmentation.crop_padding: 32 is not allowed"),
        (["--cutout", "66"], "spec.augmentation.cutout_size: 66 is not allowed"),
    ] {
        let mut command = trainer(folder.path());
        let output = command.args(["train", "--data", "synthetic:100"]).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let line = error_line(&output);
        assert!(line.contains(expected) && line.contains(&format!(" ({}", flags[0])), "{line}");
    }
}
