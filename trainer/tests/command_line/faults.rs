//! A disk that fails: full, read-only, broken at any one call, and processes killed in the middle of a
//! write. The newest checkpoint stays whole, the error names what could not be written, and the run
//! goes on, when there is room again, to the weights of a run that nothing happened to.

use super::resume::Seeded;
use super::{error_line, json, namespaces, stderr, trainer};
use mixfeed_ops::testing;
use mixfeed_trainer::run::checkpoint::{self, CheckpointError};
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Two epochs of six steps, with checkpoints in between; with `--resume auto`, what is left of them.
const TRAINING: &[&str] = &[
    "train",
    "--model",
    "linear",
    "--data",
    "synthetic:100",
    "--workers",
    "1",
    "--limit",
    "48",
    "--batch-size",
    "8",
    "--epochs",
    "2",
    "--threads",
    "1",
    "--checkpoint-every",
    "2",
    "--output",
    "run",
    "--resume",
    "auto",
    "--json",
];

/// Deaths of the normal suite; `cargo xtask chaos` asks for more, and lets each call fail, not each ninth.
const DEATHS: u32 = 20;
const STRIDE: usize = 9;

/// How many times something is to happen, if `cargo xtask chaos` asks.
fn asked_for() -> Option<u32> {
    std::env::var("MIXFEED_CHAOS_SEEDS").ok().map(|text| text.parse().unwrap())
}

/// Calls that change files, in the order in which a training makes them; `faults.c` says what is one.
fn calls() -> &'static [String] {
    static CALLS: OnceLock<Vec<String>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("calls");
        json(&with_faults(folder.path(), 0, "").env("FAULT_LOG", &log).output().unwrap());
        let text = fs::read_to_string(log).unwrap();
        text.lines().map(str::to_owned).collect()
    })
}

/// The interposer, compiled once.
fn interposer() -> PathBuf {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("faults.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faults.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        let output = compiler.arg(&library).args([source, "-ldl"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (folder, library)
    };
    LIBRARY.get_or_init(build).1.clone()
}

fn training(folder: &Path) -> Command {
    let mut command = trainer(folder);
    command.args(TRAINING);
    command
}

/// The training, with a fault of this kind at its `at`-th call in the run folder.
fn with_faults(folder: &Path, at: usize, kind: &str) -> Command {
    let mut command = training(folder);
    command.env("LD_PRELOAD", interposer()).env("FAULT_FOLDER", folder.join("run"));
    command.env("FAULT_AT", at.to_string()).env("FAULT_KIND", kind);
    command
}

/// Digest of the weights that nothing happened to.
fn golden() -> &'static Value {
    static GOLDEN: OnceLock<Value> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        json(&training(folder.path()).output().unwrap())["weights_digest"].clone()
    })
}

/// The step of the newest checkpoint, or 0. Each that there is has to be whole.
fn newest(run: &Path) -> u64 {
    let step = |name: &str| match checkpoint::read(&run.join(format!("checkpoint-{name}.safetensors"))) {
        Ok(checkpoint) => checkpoint.header.next_batch,
        Err(CheckpointError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => panic!("{error}"),
    };
    ["last", "previous", "best"].map(step).into_iter().max().unwrap()
}

/// A run that ended with an error in place of a result: one line that names a file of the run and what
/// the system said.
fn assert_refused(output: &Output, said: &str, context: &str) {
    let line = error_line(output);
    assert!(line.contains("run/") && line.contains(said), "{context}: {line}");
    // Before anything is begun, another folder is the way out.
    let code = if line.contains("run/.lock") { 2 } else { 1 };
    assert_eq!(output.status.code(), Some(code), "{context}: {}", stderr(output));
}

#[test]
fn whichever_call_fails_the_error_names_the_file_and_the_run_goes_on_to_the_same_weights() {
    const KINDS: [(&str, &str); 4] = [
        ("5", "Input/output error"),
        ("28", "No space left on device"),
        ("28+", "No space left on device"),
        ("30+", "Read-only file system"),
    ];
    // Each kind in its turn.
    let stride = if asked_for().is_some() { 1 } else { STRIDE };
    let mut refused = 0;
    for at in (1..=calls().len()).step_by(stride) {
        let (kind, said) = KINDS[at % KINDS.len()];
        let context = format!("call {at} ({}) fails with {kind}", calls()[at - 1]);
        let folder = tempfile::tempdir().unwrap();
        let output = with_faults(folder.path(), at, kind).output().unwrap();
        // What has another way, or is not worth a training, may fail: the result is the same.
        if output.status.success() {
            assert_eq!(json(&output)["weights_digest"], *golden(), "{context}");
        } else {
            refused += 1;
            assert_refused(&output, said, &context);
        }
        let reached = newest(&folder.path().join("run"));
        let result = json(&training(folder.path()).output().unwrap());
        assert!(result["resumed_from_step"].as_u64().unwrap_or_default() >= reached, "{context}: {result}");
        assert_eq!(result["weights_digest"], *golden(), "{context}");
    }
    assert!(refused * 2 > calls().len() / stride, "most faults were met: {refused} of {}", calls().len());
}

#[test]
fn whichever_write_a_trainer_dies_in_the_newest_checkpoint_is_whole() {
    let deaths_wanted = asked_for().unwrap_or(DEATHS);
    let mut random = Seeded(11);
    let (mut deaths, mut torn) = (0, 0);
    while deaths < deaths_wanted {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut reached = 0;
        loop {
            let at = 1 + random.below(calls().len() as u64 / 2) as usize;
            let kind = ["kill", "tear"][random.below(2) as usize];
            let output = with_faults(folder.path(), at, kind).output().unwrap();
            if output.status.success() {
                // There was not so much left to write.
                assert_eq!(json(&output)["weights_digest"], *golden());
                break;
            }
            assert_eq!(output.status.signal(), Some(9), "{kind} at {at}: {}", stderr(&output));
            (deaths, torn) = (deaths + 1, torn + u32::from(kind == "tear"));
            let now = newest(&run);
            assert!(now >= reached, "{kind} at {at}: from step {reached} back to {now}");
            reached = now;
        }
    }
    assert!(torn > 0);
}

/// On a real file system that is full: at each size, from one without room for anything to one that
/// almost has enough.
#[test]
fn a_full_disk_ends_a_training_and_more_room_lets_it_go_on() {
    if testing::require("namespaces", namespaces()).is_none() {
        return;
    }
    let mut reached = Vec::new();
    for kilobytes in [8, 300, 500, 800, 1_000, 1_300] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        // The disk is gone with its namespace: what it held when it was full is kept beside it.
        let script = format!(
            "mount -t tmpfs -o size={kilobytes}k mixfeed run && {{ \"$@\" >full.out 2>full.err; \
             echo $? >full.code; cp -a run then; mount -o remount,size=64m run && exec \"$@\"; }}"
        );
        let plain = training(folder.path());
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(plain.get_program()).args(plain.get_args());
        let output = command.current_dir(folder.path()).output().unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let said = read("full.err");
        assert_eq!(read("full.code"), "1\n", "{kilobytes} KiB: {said}");
        let line = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(line.contains("run/") && line.contains("No space left on device"), "{kilobytes} KiB: {said}");
        reached.push(newest(&folder.path().join("then")));

        let result = json(&output);
        assert_eq!(result["resumed_from_step"].as_u64().unwrap_or_default(), *reached.last().unwrap());
        assert_eq!(result["weights_digest"], *golden(), "{kilobytes} KiB");
    }
    assert!(reached.is_sorted() && reached[0] == 0 && reached.last() > Some(&2), "{reached:?}");
}

/// The result cannot be written, but all that was learnt is.
#[test]
fn a_result_that_does_not_fit_is_an_error_line_and_the_run_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = training(folder.path()).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(error_line(&output).contains("cannot write the result: No space left"), "{}", stderr(&output));
    assert_eq!(newest(&folder.path().join("run")), 12);
}

/// A run on a disk that is read-only from the start is not gone on with, and not touched.
#[test]
fn a_run_on_a_read_only_disk_is_refused_by_name() {
    if testing::require("namespaces", namespaces()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    json(&training(folder.path()).output().unwrap());
    let script = "mount --bind run run && mount -o remount,ro,bind run && exec \"$@\"";
    let mut command = Command::new("unshare");
    let plain = training(folder.path());
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(plain.get_program()).args(plain.get_args());
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let line = error_line(&output);
    assert!(line.contains("run/") && line.contains("Read-only file system"), "{line}");
}
