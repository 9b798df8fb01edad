//! Going on with a run whose data is read anew: the same data, or not at all.

use super::resume::{end_at, resume, start};
use super::{error_line, json, stderr, trainer};
use std::fs;

const PROBE: &[u8] = include_bytes!("../../../loader/pipeline/assets/probe.png");

#[test]
fn a_run_does_not_go_on_with_other_data_nor_silently_on_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(end_at(&mut start(folder.path()), 5, "TERM"), Some(143));
    let before = fs::read(folder.path().join("run/run.toml")).unwrap();
    let output = resume(folder.path()).args(["--data", "synthetic:101"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let line = error_line(&output);
    assert!(
        line.contains("the run to resume was trained on") && line.contains("it serves dataset"),
        "{line}"
    );
    assert_eq!(fs::read(folder.path().join("run/run.toml")).unwrap(), before, "the run is left as it was");

    // libtorch takes the variable's word for what the processor has; another of its libraries does, too.
    let mut command = resume(folder.path());
    command.arg("--strict-machine").env("ATEN_CPU_CAPABILITY", "default").env("ONEDNN_MAX_CPU_ISA", "SSE41");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let line = error_line(&output);
    for expected in ["--strict-machine", "instructions", "now", "ONEDNN_MAX_CPU_ISA=SSE41"] {
        assert!(line.contains(expected), "{expected} in: {line}");
    }

    let output = resume(folder.path()).args(["--threads", "2"]).output().unwrap();
    assert!(json(&output)["resumed_from_step"].as_u64() >= Some(5));
    let log = stderr(&output);
    let warning = log.lines().find(|line| line.contains("WARN")).unwrap_or_default();
    for expected in ["threads", "before=1", "now=2", "may differ"] {
        assert!(warning.contains(expected), "{expected} in: {warning}");
    }
}

#[test]
fn a_run_goes_on_with_data_read_as_it_was_read_before() {
    let folder = tempfile::tempdir().unwrap();
    for (number, class) in (0..40).zip(["cat", "dog"].iter().cycle()) {
        let class = folder.path().join("images").join(class);
        fs::create_dir_all(&class).unwrap();
        // By file name, the classes take turns.
        fs::write(class.join(format!("{number:02}.png")), PROBE).unwrap();
    }
    let told = ["--test-fraction", "0.25", "--order", "name", "--image-size", "32", "--no-digest-cache"];
    let mut command = trainer(folder.path());
    command.args([
        "train",
        "--model",
        "linear",
        "--batch-size",
        "4",
        "--epochs",
        "2",
        "--threads",
        "1",
        "--steps",
        "3",
    ]);
    let first =
        json(&command.args(["--output", "run", "--json", "--data", "images"]).args(told).output().unwrap());
    let run = fs::read_to_string(folder.path().join("run/run.toml")).unwrap();
    for line in
        ["test-fraction = 0.25", "order = \"name\"", "image-size = \"32x32\"", "no-digest-cache = true"]
    {
        assert!(run.contains(line), "{line} in {run}");
    }

    // Read in any other way, there would be no test split, and it would be another dataset.
    let second = json(&resume(folder.path()).args(["--steps", "1000"]).output().unwrap());
    assert_eq!(
        (first["dataset"].clone(), second["finished"].as_bool()),
        (second["dataset"].clone(), Some(true))
    );
    assert_eq!(second["resumed_from_step"], 3);

    // Flags are held against what the run has.
    let output = resume(folder.path()).args(["--epochs", "3", "--decay-norm-bias"]).output().unwrap();
    assert!(error_line(&output).contains("--decay-norm-bias"), "{}", stderr(&output));
    assert!(!error_line(&output).contains("has no effect"), "{}", stderr(&output));

    let (there, moved) = (folder.path().join("images"), folder.path().join("moved"));
    fs::rename(&there, &moved).unwrap();
    let output = resume(folder.path()).args(["--epochs", "3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(error_line(&output).ends_with("; --data beside --resume says where the data is now"));
    fs::rename(&moved, &there).unwrap();

    let output = resume(folder.path()).args(["--epochs", "3", "--order", "path"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(error_line(&output).contains("was trained on dataset"), "{}", stderr(&output));
}
