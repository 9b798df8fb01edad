//! What `mixfeed-trainer train --json` prints at its end, and whether one training came to the same as another.

use crate::say;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The last result in what a trainer has printed, among logs or not.
pub(crate) fn result(output: &str) -> Result<Value> {
    let mut lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.rfind(Value::is_object).context("the trainer printed no result")
}

/// Trains in one process into `run`, with nothing happening to it.
pub(crate) fn alone(programs: &Path, run: &Path, flags: &[&str]) -> Result<Value> {
    let mut trainer = Command::new(programs.join("mixfeed-trainer"));
    trainer.args(["train", "--json", "--output"]).arg(run).args(flags);
    let output = trainer.output().context("cannot run the trainer")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    result(&String::from_utf8_lossy(&output.stdout))
}

/// Holds a training, which `whose` tells, against one in one process to which nothing happened.
pub(crate) fn same(trained: &Value, whose: &str, alone: &Value) -> Result<()> {
    for field in ["dataset_digest", "weights_digest", "train_loss", "test_accuracy"] {
        let (ours, theirs) = (&trained[field], &alone[field]);
        ensure!(!ours.is_null() && ours == theirs, "{field}: {ours} {whose}, {theirs} alone");
    }
    say::line(&format!("weights digest {}", trained["weights_digest"]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str =
        r#"{"dataset_digest": "d", "weights_digest": "w", "train_loss": 0.5, "test_accuracy": 0.1}"#;

    #[test]
    fn the_last_result_among_logs_is_found() {
        let output =
            format!("INFO {{}} epoch done\n{{\"weights_digest\": \"earlier\"}}\n{PRINTED}\n7\n{{half\n");
        assert_eq!(result(&output).unwrap()["weights_digest"], "w");
        assert!(result("INFO epoch done\n7\n").is_err());
    }

    #[test]
    fn what_differs_or_is_missing_is_not_the_same() {
        let one = result(PRINTED).unwrap();
        assert!(same(&one, "twice", &one).is_ok());
        for (field, value) in [("weights_digest", "other".into()), ("train_loss", Value::Null)] {
            let mut other = one.clone();
            other[field] = value;
            assert!(same(&other, "changed", &one).unwrap_err().to_string().starts_with(field));
            assert!(same(&other, "changed", &other).is_err() == other[field].is_null());
        }
    }
}
