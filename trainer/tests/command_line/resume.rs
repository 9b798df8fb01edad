//! Ending trainers in every way and going on with their runs: nobody may be able to tell afterwards.

use super::{error_line, json, stderr, trainer};
use crate::support::LoaderProcess;
use mixfeed_trainer::run::checkpoint;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DATA: &str = "synthetic:100";

/// Three epochs of twelve small steps, with checkpoints in between.
const TRAINING: [&str; 15] = [
    "train",
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
    "run",
];

const STEPS: u64 = 36;

/// Starts the run, with a loader inside.
pub(super) fn start(folder: &Path) -> Command {
    let mut command = trainer(folder);
    command.args(TRAINING).args(["--data", DATA, "--json"]);
    command
}

/// Goes on with the run.
pub(super) fn resume(folder: &Path) -> Command {
    let mut command = trainer(folder);
    command.args(["train", "--output", "run", "--resume", "--json"]);
    command
}

/// What must not depend on interruptions: the weights, and what was learnt epoch by epoch.
#[derive(Debug, PartialEq)]
struct Learnt {
    weights_digest: Value,
    metrics: Vec<[String; 5]>,
}

fn learnt(folder: &Path, result: &Value) -> Learnt {
    let text = fs::read_to_string(folder.join("run/metrics.csv")).unwrap();
    let column = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::to_owned).collect();
        // Epoch, steps, images, training loss, test accuracy; the others are times.
        <[String; 5]>::try_from(fields[..5].to_vec()).unwrap()
    };
    Learnt { weights_digest: result["weights_digest"].clone(), metrics: text.lines().map(column).collect() }
}

/// The run that nobody interrupted.
fn golden() -> (tempfile::TempDir, Learnt) {
    let folder = tempfile::tempdir().unwrap();
    let result = json(&start(folder.path()).output().unwrap());
    assert_eq!((&result["steps"], &result["resumed_from_step"]), (&STEPS.into(), &Value::Null));
    let golden = learnt(folder.path(), &result);
    assert_eq!(golden.metrics.len(), 4, "a row for each epoch, and the names of the columns");
    (folder, golden)
}

/// Lets the trainer run until it has written the checkpoint of this step, or one later, and sends it a
/// signal then. Gives its exit code, which a process that is killed does not have.
pub(crate) fn end_at(command: &mut Command, step: u64, signal: &str) -> Option<i32> {
    let mut child = command
        .args(["--log", "info,mixfeed_trainer=debug"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let reached = |line: String| {
        let field = line.split_whitespace().find_map(|word| word.strip_prefix("step="))?;
        line.contains("checkpoint written").then(|| field.parse::<u64>().unwrap())
    };
    for line in lines.by_ref() {
        if reached(line).is_some_and(|written| written >= step) {
            send(&child, signal);
            break;
        }
    }
    lines.for_each(drop);
    child.wait().unwrap().code()
}

fn send(child: &Child, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

pub(crate) fn step_of(checkpoint: &Path) -> u64 {
    checkpoint::read(checkpoint).unwrap().header.next_batch
}

/// Numbers that look random and are the same each time (SplitMix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[test]
fn a_trainer_killed_at_twenty_random_steps_ends_with_the_same_weights_and_metrics() {
    let (_folder, golden) = golden();
    let mut random = Seeded(3);
    let (mut kills, mut runs) = (0, 0);
    while kills < 20 {
        runs += 1;
        let folder = tempfile::tempdir().unwrap();
        let mut loaders: Vec<LoaderProcess> = Vec::new();
        let mut reached = 0;
        // Each run dies up to five times; the first of its processes starts it.
        for death in 0..5 {
            let mut command = if death == 0 { start(folder.path()) } else { resume(folder.path()) };
            // Other replicas each time: a loader inside, or one to three processes.
            if death > 0 {
                let replicas = random.below(4);
                loaders = (0..replicas).map(|_| LoaderProcess::start(DATA, 1)).collect();
                let addresses: Vec<_> = loaders.iter().map(|loader| loader.address.as_str()).collect();
                match replicas {
                    0 => command.args(["--data", DATA, "--workers", "2"]),
                    _ => command.args(["--loaders", &addresses.join(",")]),
                };
            }
            let step = reached + 1 + random.below(STEPS / 3);
            let code = end_at(&mut command, step, "KILL");
            if code == Some(0) {
                break;
            }
            assert_eq!(code, None, "run {runs}: it was killed and did not end by itself");
            kills += 1;
            reached = step_of(&folder.path().join("run/checkpoint-last.safetensors"));
        }
        drop(loaders);
        let result = json(&resume(folder.path()).args(["--data", DATA]).output().unwrap());
        assert!(result["resumed_from_step"].as_u64().unwrap() >= reached, "run {runs}");
        assert_eq!(learnt(folder.path(), &result), golden, "run {runs}");
    }
}

#[test]
fn a_trainer_asked_to_stop_mid_epoch_goes_on_at_that_step() {
    let (_folder, golden) = golden();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(end_at(&mut start(folder.path()), 15, "TERM"), Some(143));
    let step = step_of(&folder.path().join("run/checkpoint-last.safetensors"));
    assert!((15..STEPS).contains(&step), "stopped at step {step}");
    let result = json(&resume(folder.path()).output().unwrap());
    assert_eq!(result["resumed_from_step"], step);
    assert_eq!(learnt(folder.path(), &result), golden);
    assert!(folder.path().join("run/curves.png").exists());
}

#[test]
fn a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used() {
    let (_folder, golden) = golden();
    for (cut_off, flip) in [(Some(100_000), None), (None, Some(200_000)), (None, Some(300))] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(end_at(&mut start(folder.path()), 20, "KILL"), None);
        let [last, previous] =
            ["last", "previous"].map(|name| folder.path().join(format!("run/checkpoint-{name}.safetensors")));
        let step = step_of(&previous);
        let mut bytes = fs::read(&last).unwrap();
        bytes.truncate(cut_off.unwrap_or(bytes.len()));
        if let Some(position) = flip {
            let byte: &mut u8 = &mut bytes[position];
            *byte ^= 1;
        }
        // In a new file, as the same one may have several names.
        fs::remove_file(&last).unwrap();
        fs::write(&last, bytes).unwrap();

        let output = resume(folder.path()).output().unwrap();
        let log = stderr(&output);
        let warning = log.lines().find(|line| line.contains("WARN")).unwrap_or_default();
        assert!(warning.contains("checkpoint-last.safetensors is damaged"), "{log}");
        let result = json(&output);
        assert_eq!(result["resumed_from_step"], step);
        assert_eq!(learnt(folder.path(), &result), golden);
    }
}

#[test]
fn checkpoints_of_which_none_is_whole_are_named_with_exit_code_3() {
    let (folder, _) = golden();
    for name in ["last", "previous", "best"] {
        fs::write(folder.path().join(format!("run/checkpoint-{name}.safetensors")), "nonsense").unwrap();
    }
    let output = resume(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let line = error_line(&output);
    for expected in ["no checkpoint", "checkpoint-last", "checkpoint-previous", "checkpoint-best"] {
        assert!(line.contains(expected), "{line}");
    }
}

fn remove_checkpoints(folder: &Path) {
    for name in ["last", "previous", "best"] {
        fs::remove_file(folder.join(format!("run/checkpoint-{name}.safetensors"))).unwrap();
    }
}

/// To start anew would replace what is left of it: its metrics.
#[test]
fn a_run_without_a_checkpoint_that_finished_epochs_is_not_begun_anew() {
    let (folder, _) = golden();
    remove_checkpoints(folder.path());
    let metrics = || fs::read_to_string(folder.path().join("run/metrics.csv")).unwrap();
    let before = metrics();
    let mut auto = start(folder.path());
    auto.args(["--resume", "auto"]);
    for mut command in [resume(folder.path()), auto] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        let line = error_line(&output);
        for expected in ["no checkpoint is left in run", "3 epochs", "put one back, or remove the folder"] {
            assert!(line.contains(expected), "{line}");
        }
        assert_eq!(metrics(), before, "nothing of it is lost");
    }
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    json(&start(folder.path()).args(["--resume", "auto"]).output().unwrap());
}

#[test]
fn a_finished_run_says_so_and_more_epochs_extend_it() {
    let (folder, golden) = golden();
    let output = resume(folder.path()).output().unwrap();
    let log = stderr(&output);
    assert!(log.contains("this run is finished, 3 epochs of 3; raise --epochs or --steps"), "{log}");
    assert!(!log.contains("no effect"), "{log}");
    let again = json(&output);
    assert_eq!(learnt(folder.path(), &again), golden);
    // Nobody is there, and nobody is asked.
    let output = resume(folder.path()).args(["--loaders", "127.0.0.1:9", "--preload"]).output().unwrap();
    let log = stderr(&output);
    assert!(log.contains("no effect on a run that is finished: --loaders, --preload"), "{log}");
    json(&output);
    assert_eq!((&again["steps"], &again["resumed_from_step"]), (&STEPS.into(), &STEPS.into()));

    // A run of one epoch and a bit, made as long as the golden one in two moves.
    let folder = tempfile::tempdir().unwrap();
    let first = json(&start(folder.path()).args(["--steps", "17"]).output().unwrap());
    assert_eq!((&first["steps"], &first["epochs"]), (&17.into(), &2.into()));
    assert_eq!(first["epochs_done"], 17.0 / 12.0);
    let table = trainer(folder.path()).args(["train", "--output", "run", "--resume"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("1.42 epochs, 17 steps"), "{table}");
    let second = json(&resume(folder.path()).args(["--epochs", "2", "--steps", "1000"]).output().unwrap());
    assert_eq!((&second["steps"], &second["resumed_from_step"]), (&24.into(), &17.into()));
    let third = json(&resume(folder.path()).args(["--epochs", "3"]).output().unwrap());
    assert_eq!(third["resumed_from_step"], 24);
    assert_eq!(learnt(folder.path(), &third), golden);

    let output = resume(folder.path()).args(["--epochs", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("at step 36 already"), "{}", stderr(&output));
}

#[test]
fn checkpoints_are_written_as_often_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    // Two epochs of four steps.
    let steps_of = |every: &str| {
        let mut command = trainer(folder.path());
        command.args(["train", "--model", "linear", "--data", DATA, "--limit", "32", "--batch-size", "8"]);
        command.args(["--epochs", "2", "--threads", "1", "--log", "mixfeed_trainer=debug"]);
        let output = command.args(["--checkpoint-every", every]).output().unwrap();
        let log = stderr(&output);
        assert!(output.status.success(), "{log}");
        let lines = log.lines().filter(|line| line.contains("checkpoint written"));
        let step =
            |line: &str| line.split_whitespace().find_map(|word| word.strip_prefix("step=")?.parse().ok());
        lines.map(|line| step(line).unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(steps_of("1h"), [4, 8], "always at the end of an epoch");
    assert_eq!(steps_of("3"), [3, 4, 6, 8]);
    assert_eq!(steps_of("1ns"), [1, 2, 3, 4, 5, 6, 7, 8]);
    let mut command = trainer(folder.path());
    let output = command.args(["train", "--data", DATA, "--checkpoint-every", "often"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("as in 200"), "{}", stderr(&output));
}

#[test]
fn what_shapes_the_weights_cannot_be_given_again() {
    let (folder, golden) = golden();
    for (arguments, expected) in [
        (&["--lr", "0.1"][..], "--lr"),
        (&["--batch-size", "8"], "--batch-size"),
        (&["--seed", "0"], "--seed"),
        (&["--config", "other.toml"], "--config"),
        (&["--overwrite"], "--overwrite"),
    ] {
        fs::write(folder.path().join("other.toml"), "seed = 1\n").unwrap();
        let output = resume(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(error_line(&output).contains(expected), "{}", stderr(&output));
    }
    // With `auto`, the command line that started a run goes on with it, but no other.
    let auto = |arguments: &[&str]| {
        let mut command = start(folder.path());
        command.args(["--resume", "auto"]).args(arguments).output().unwrap()
    };
    let output = auto(&["--lr", "0.5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("--lr is 0.5, the run to resume has 0.001"), "{}", stderr(&output));
    assert_eq!(learnt(folder.path(), &json(&auto(&[]))), golden);
}

#[test]
fn a_run_that_is_not_there_is_an_error_unless_it_may_be_started() {
    let folder = tempfile::tempdir().unwrap();
    let output = resume(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("run holds no run to resume"), "{}", stderr(&output));
    let output = trainer(folder.path()).args(["train", "--data", DATA, "--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("--output"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");

    // An empty folder is one without a run.
    fs::create_dir(folder.path().join("run")).unwrap();
    let result = json(&start(folder.path()).args(["--resume", "auto"]).output().unwrap());
    assert_eq!(result["resumed_from_step"], Value::Null);
    // Ended before its first checkpoint, a run goes on from its beginning.
    remove_checkpoints(folder.path());
    let metrics = folder.path().join("run/metrics.csv");
    let columns = fs::read_to_string(&metrics).unwrap().lines().next().unwrap().to_owned();
    fs::write(&metrics, columns + "\n").unwrap();
    let again = json(&resume(folder.path()).output().unwrap());
    assert_eq!(
        (&again["resumed_from_step"], &again["weights_digest"]),
        (&0.into(), &result["weights_digest"])
    );
}
