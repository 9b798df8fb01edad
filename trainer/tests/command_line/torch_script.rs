//! A network from a TorchScript file, as a person trains it.

use super::{error_line, json, python_with, stderr, trainer};
use crate::resume::{end_at, step_of};
use mixfeed_ops::testing;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Three epochs of eight steps.
const TRAINING: [&str; 15] = [
    "train",
    "--data",
    "synthetic:100",
    "--limit",
    "64",
    "--batch-size",
    "8",
    "--epochs",
    "3",
    "--threads",
    "1",
    "--checkpoint-every",
    "3",
    "--output",
    "run",
];

fn network() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/network.pt")
}

fn train(folder: &Path) -> Command {
    let mut command = trainer(folder);
    command.args(TRAINING).arg("--model").arg("net.pt").arg("--json");
    command
}

fn evaluate(folder: &Path) -> Value {
    let mut command = trainer(folder);
    command.args(["evaluate", "--checkpoint", "run", "--data", "synthetic:100", "--threads", "1", "--json"]);
    json(&command.output().unwrap())
}

#[test]
fn a_network_from_a_file_is_killed_resumed_and_evaluated_with_equal_weights_and_buffers() {
    let golden = tempfile::tempdir().unwrap();
    std::fs::copy(network(), golden.path().join("net.pt")).unwrap();
    let expected = json(&train(golden.path()).output().unwrap());
    assert_eq!(expected["model"], "torchscript");
    let evaluation = evaluate(golden.path());
    assert_eq!(evaluation["test_accuracy"], expected["test_accuracy"]);
    assert_eq!(evaluation["weights_digest"], expected["weights_digest"]);
    python_finds_the_state_of_the_network_in_the_checkpoint(golden.path(), &expected);

    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(network(), folder.path().join("net.pt")).unwrap();
    assert_eq!(end_at(&mut train(folder.path()), 9, "KILL"), None);
    let step = step_of(&folder.path().join("run/checkpoint-last.safetensors"));
    assert!((9..24).contains(&step), "killed at step {step}");
    // From here on the checkpoint is enough.
    std::fs::remove_file(folder.path().join("net.pt")).unwrap();
    let mut resume = trainer(folder.path());
    let resumed = json(&resume.args(["train", "--output", "run", "--resume", "--json"]).output().unwrap());
    assert_eq!(resumed["resumed_from_step"], step);
    assert_eq!(resumed["weights_digest"], expected["weights_digest"], "which covers buffers, too");
    assert_eq!(resumed["test_accuracy"], expected["test_accuracy"]);
}

/// By the lines in the trainer's README, but without PyTorch: names and shapes are those of the network's
/// `state_dict`, as PyTorch wrote them down, which is what `load_state_dict` asks for.
fn python_finds_the_state_of_the_network_in_the_checkpoint(folder: &Path, result: &Value) {
    let Some(python) = testing::require("python", python_with("safetensors.numpy")) else { return };
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/training.json");
    let script = "import json, safetensors.numpy, sys\n\
        state = safetensors.numpy.load_file('run/checkpoint-last.safetensors')\n\
        state = {k: v for k, v in state.items() if '/' not in k}\n\
        expected = json.load(open(sys.argv[1]))['script']['tensors']\n\
        assert {k: list(v.shape) for k, v in state.items()} == expected, state.keys()\n\
        print(int(state['bn1.num_batches_tracked']))";
    let output =
        Command::new(python).args(["-c", script]).arg(reference).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), result["steps"].to_string());
}

#[test]
fn a_file_that_holds_no_network_for_this_data_is_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("net.pt"), "nonsense").unwrap();
    for (model, expected) in [
        ("net.pt", "network net.pt cannot be used"),
        ("no.pt", "cannot read network no.pt"),
        ("no", "is no network"),
    ] {
        let mut command = trainer(folder.path());
        let output = command.args(["train", "--data", "synthetic:100", "--model", model]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{model}: {}", stderr(&output));
        assert!(error_line(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn a_network_that_does_otherwise_than_when_it_was_tried_is_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pairs.pt");
    std::fs::copy(pairs, folder.path().join("pairs.pt")).unwrap();
    let refused = |arguments: &[&str], expected: &str| {
        let output = trainer(folder.path()).args(arguments).args(["--threads", "1"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let line =
            format!("network pairs.pt cannot be used: for {expected}: a score for each of the 10 classes");
        assert!(error_line(&output).contains(&line), "{}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    };
    let train = ["train", "--data", "synthetic:100", "--model", "pairs.pt", "--epochs", "1"];
    let odd = ["--limit", "63", "--batch-size", "9", "--output", "odd"];
    refused(&[&train[..], &odd].concat(), "9 images of 3 x 32 x 32 it gives [8, 10], not [9, 10]");

    let even = ["--limit", "64", "--batch-size", "8", "--output", "even"];
    let output = trainer(folder.path()).args(train).args(even).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loader/pipeline/assets/probe.png");
    let predict = ["predict", "--checkpoint", "even", probe.to_str().unwrap()];
    refused(&predict, "1 image of 3 x 32 x 32 it gives [0, 10], not [1, 10]");
}
