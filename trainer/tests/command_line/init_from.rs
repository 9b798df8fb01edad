//! Beginning with the weights that another run ended with.

use super::{error_line, json, stderr, trainer};
use std::path::Path;
use std::process::Command;

fn train(folder: &Path, output: &str) -> Command {
    let mut command = trainer(folder);
    command.args([
        "train",
        "--data",
        "synthetic:100",
        "--limit",
        "32",
        "--batch-size",
        "16",
        "--epochs",
        "1",
    ]);
    command.args(["--threads", "1", "--output", output, "--json"]);
    command
}

#[test]
fn a_training_begins_with_the_weights_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let first = json(&train(folder.path(), "first").args(["--model", "linear"]).output().unwrap());
    // A rate that moves no weight leaves what it began with.
    let still = ["--model", "linear", "--lr", "1e-30", "--init-from", "first"];
    let second = json(&train(folder.path(), "second").args(still).output().unwrap());
    assert_eq!(second["weights_digest"], first["weights_digest"]);
    assert_eq!(second["test_accuracy"], first["test_accuracy"]);

    for (from, expected) in
        [("first", "--init-from first does not fit"), ("nowhere", "cannot read checkpoint")]
    {
        let output = train(folder.path(), "third").args(["--init-from", from]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(error_line(&output).contains(expected), "{}", stderr(&output));
    }
}
