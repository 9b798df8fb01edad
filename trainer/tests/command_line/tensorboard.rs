//! TensorBoard's own reader finds in the event files what `metrics.csv` says.

use super::{json, python_with, stderr, trainer};
use mixfeed_ops::testing;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
scalars = {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
from tensorboard.plugins.hparams import plugin_data_pb2
hparams = {}
for tag in events.PluginTagToContent("hparams"):
    data = plugin_data_pb2.HParamsPluginData.FromString(events.PluginTagToContent("hparams")[tag])
    if data.HasField("session_start_info"):
        for name, value in data.session_start_info.hparams.items():
            hparams[name] = getattr(value, value.WhichOneof("kind"))
    if data.HasField("session_end_info"):
        hparams["_status"] = data.session_end_info.status
print(json.dumps({"scalars": scalars, "hparams": hparams}))
"#;

fn event_files(run: &Path) -> usize {
    let names = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains("tfevents")).count()
}

fn train(folder: &Path, arguments: &[&str]) {
    let mut command = trainer(folder);
    command.args(["train", "--output", "run", "--json"]).args(arguments);
    json(&command.output().unwrap());
}

/// A run that loses its last epoch, and does it and one more again.
#[test]
fn tensorboard_reads_what_the_metrics_file_says_also_of_a_run_that_went_on() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = ["--data", "synthetic:100", "--model", "linear", "--batch-size", "10", "--threads", "1"];
    train(folder.path(), &[&settings[..], &["--epochs", "2", "--log-every", "4"]].concat());
    assert_eq!(event_files(&run), 1);
    let _ = fs::remove_file(run.join("checkpoint-best.safetensors"));
    fs::remove_file(run.join("checkpoint-last.safetensors")).unwrap();
    train(folder.path(), &["--resume", "--epochs", "3"]);
    assert_eq!(event_files(&run), 2, "each process has a file of its own");

    if let Some(python) = testing::require("python", python_with("tensorboard")) {
        let output = Command::new(python).args(["-c", SCRIPT]).arg(&run).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (scalars, settings) = (&read["scalars"], &read["hparams"]);
        let text = fs::read_to_string(run.join("metrics.csv")).unwrap();
        let rows: Vec<Vec<_>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 4, "{text}");
        for (tag, column) in [
            ("loss/train", "train_loss"),
            ("accuracy/test", "test_accuracy"),
            ("loss/test", "test_loss"),
            ("learning_rate", "learning_rate"),
            ("speed/images_per_second", "images_per_second"),
        ] {
            let at = |name: &str| rows[0].iter().position(|column| *column == name).unwrap();
            let points = scalars[tag].as_array().unwrap();
            assert_eq!(points.len(), 3, "{tag}: {points:?}");
            for (point, row) in points.iter().zip(&rows[1..]) {
                assert_eq!(point[0].to_string(), row[at("steps")], "{tag}");
                let (got, wanted) = (point[1].as_f64().unwrap(), row[at(column)].parse::<f64>().unwrap());
                // Single precision, and a column of one digit after the point.
                assert!(
                    (got - wanted).abs() <= 1e-6 * wanted.abs() + 0.051 * f64::from(wanted > 100.0),
                    "{tag}"
                );
            }
        }
        // Ten steps an epoch, a point every four; what was lost and done again is there once.
        for tag in ["step/loss", "step/learning_rate", "step/images_per_second"] {
            let points = scalars[tag].as_array().unwrap();
            let steps: Vec<_> = points.iter().map(|point| point[0].as_u64().unwrap()).collect();
            assert_eq!(steps, [4, 8, 12, 16, 20, 24, 28], "{tag}");
            assert!(points.iter().all(|point| point[1].as_f64() > Some(0.0)), "{tag}: {points:?}");
        }
        assert_eq!((&settings["model"], &settings["batch-size"]), (&"linear".into(), &10.0.into()));
        assert_eq!((&settings["mixup-prob"], &settings["epochs"]), (&0.2.into(), &2.0.into()), "{settings}");
        assert_eq!(settings["_status"], 1, "it ended well");
        assert_eq!(settings.get("threads"), None);
    }

    train(folder.path(), &[&settings[..], &["--epochs", "1", "--overwrite"]].concat());
    assert_eq!(event_files(&run), 1, "a new run begins without the events of the old one");
}
