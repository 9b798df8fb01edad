//! A training whose log cannot be written ends as any other: same weights, same exit codes.

use super::{json, trainer};
use mixfeed_ops::testing::{Terminal, unwritable};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Two epochs of sixteen steps.
const TRAINING: [&str; 17] = [
    "train",
    "--data",
    "synthetic:128",
    "--model",
    "linear",
    "--workers",
    "1",
    "--batch-size",
    "8",
    "--epochs",
    "2",
    "--threads",
    "1",
    "--json",
    "--overwrite",
    "--output",
    "run",
];

fn training(folder: &Path, format: &str) -> Command {
    let mut command = trainer(folder);
    command.args(TRAINING).args(["--log-format", format]).stdout(Stdio::piped());
    command
}

/// The weights of a training that is heard.
fn golden(folder: &Path) -> Value {
    json(&training(folder, "text").output().unwrap())["weights_digest"].clone()
}

#[test]
fn a_training_without_a_place_for_its_log_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden(folder.path());
    for (number, broken) in unwritable().unwrap().into_iter().enumerate() {
        let (format, filter) = if number % 2 == 0 { ("text", "info") } else { ("json", "debug") };
        let mut command = training(folder.path(), format);
        let output = command.args(["--log", filter]).stderr(broken.stderr).output().unwrap();
        assert_eq!(json(&output)["weights_digest"], golden, "{format} to {}", broken.name);
    }
    let plain = training(folder.path(), "text");
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$@\" 2>&-", "sh"]).arg(plain.get_program()).args(plain.get_args());
    let output = closed.current_dir(folder.path()).output().unwrap();
    assert_eq!(json(&output)["weights_digest"], golden);
}

/// As when `| tee` or a container's log driver ends.
#[test]
fn a_training_whose_log_loses_its_reader_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden(folder.path());
    for format in ["text", "json"] {
        let mut child = training(folder.path(), format).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        // The line before the first step.
        assert!(log.any(|line| line.unwrap().contains("parameters")));
        drop(log);
        let output = child.wait_with_output().unwrap();
        assert_eq!(json(&output)["weights_digest"], golden, "{format}");
    }
}

/// As when the terminal's window is closed, and the bar with it.
#[test]
fn a_training_whose_terminal_goes_away_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden(folder.path());
    let Terminal { mut screen, end } = Terminal::open().unwrap();
    let child = training(folder.path(), "text").stderr(end).spawn().unwrap();
    let mut seen = Vec::new();
    let mut bytes = [0; 1024];
    // The bar is being drawn.
    while !String::from_utf8_lossy(&seen).contains("images/s") {
        let count = screen.read(&mut bytes).unwrap();
        seen.extend(&bytes[..count]);
    }
    drop(screen);
    let output = child.wait_with_output().unwrap();
    assert_eq!(json(&output)["weights_digest"], golden);
}

#[test]
fn exit_codes_are_right_though_nobody_can_read_why() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["train", "--data", "nowhere"][..], 3),
        (&["train", "--data", "synthetic:100", "--lr", "0"], 2),
        (&["train", "--no-such-flag"], 2),
        (&["train", "--data", "synthetic:100", "--device", "cuda:63"], 6),
        (&["evaluate", "--checkpoint", "nowhere", "--data", "synthetic:10"], 2),
    ] {
        for broken in unwritable().unwrap() {
            let status = trainer(folder.path()).args(arguments).stderr(broken.stderr).status().unwrap();
            assert_eq!(status.code(), Some(code), "{arguments:?} to {}", broken.name);
        }
    }
}
