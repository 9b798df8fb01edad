//! Signals: those that end a training with a checkpoint, those that have it write one and continue, and one that is
//! ignored under `nohup`.

use super::{json, trainer};
use mixfeed_ops::testing;
use mixfeed_trainer::run::checkpoint;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// More steps than any of these tests waits for.
const LONG: [&str; 14] = [
    "train",
    "--data",
    "synthetic:2000",
    "--model",
    "linear",
    "--workers",
    "1",
    "--batch-size",
    "8",
    "--epochs",
    "1000",
    "--threads",
    "1",
    "--json",
];

struct Training {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Training {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut training = Self { child, log };
        training.wait_for("training model=");
        training
    }

    fn wait_for(&mut self, text: &str) {
        assert!(self.log.any(|line| line.unwrap().contains(text)), "it ended without saying {text}");
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn code(mut self) -> Option<i32> {
        // Read on, so that it never waits for room to log in.
        self.log.by_ref().map_while(Result::ok).for_each(drop);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn training(folder: &Path, output: &str) -> Command {
    let mut command = trainer(folder);
    command.args(LONG).args(["--output", output]);
    command
}

fn step(folder: &Path) -> u64 {
    checkpoint::read(&folder.join("checkpoint-last.safetensors")).unwrap().header.next_batch
}

#[test]
fn signals_that_end_a_training_leave_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut signals = vec![("-TERM", 143), ("-INT", 130)];
    if testing::require("hangup", testing::hangup()).is_some() {
        signals.push(("-HUP", 129));
    }
    for (signal, code) in signals {
        let run = signal.trim_start_matches('-');
        let training = Training::start(training(folder.path(), run));
        training.send(signal);
        assert_eq!(training.code(), Some(code), "{signal}");
        let reached = step(&folder.path().join(run));
        let more = (reached + 4).to_string();
        let mut resumed = trainer(folder.path());
        resumed.args(["train", "--resume", "--json", "--output", run, "--steps", &more]);
        assert_eq!(json(&resumed.output().unwrap())["resumed_from_step"], reached, "{signal}");
    }
}

/// It is ended in the middle of a step, whose threads have the libraries' memory in use.
#[test]
fn a_second_signal_ends_a_training_at_once_with_the_signals_code() {
    let folder = tempfile::tempdir().unwrap();
    for (run, signal, code) in
        [("a", "-TERM", 143), ("b", "-INT", 130), ("c", "-TERM", 143), ("d", "-INT", 130)]
    {
        let mut command = trainer(folder.path());
        command.args([
            "train",
            "--data",
            "synthetic:2000",
            "--workers",
            "1",
            "--threads",
            "1",
            "--output",
            run,
        ]);
        let training = Training::start(command);
        training.send(signal);
        training.send(signal);
        assert_eq!(training.code(), Some(code), "{run}");
    }
}

/// The system, the shell and a supervisor all have their say when a terminal goes away.
#[test]
fn several_signs_of_a_terminal_that_is_gone_tear_no_checkpoint() {
    if testing::require("hangup", testing::hangup()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for signals in [&["-HUP", "-HUP", "-CONT"][..], &["-HUP", "-TERM"], &["-TERM", "-HUP"]] {
        let run = format!("run{}", signals.concat());
        let training = Training::start(training(folder.path(), &run));
        signals.iter().for_each(|signal| training.send(signal));
        let code = training.code();
        assert!([Some(129), Some(143)].contains(&code), "{signals:?}: {code:?}");
        step(&folder.path().join(run));
    }
}

#[test]
fn a_training_under_nohup_outlives_its_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let plain = training(folder.path(), "run");
    let mut shell = Command::new("sh");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    shell.current_dir(folder.path()).stdin(Stdio::null());
    let mut training = Training::start(shell);
    training.send("-HUP");
    // Answered after the hangup would have been.
    training.send("-USR1");
    training.wait_for("training continues");
    training.send("-HUP");
    training.send("-TERM");
    assert_eq!(training.code(), Some(143));
}

/// What Slurm sends some time before the end (`--signal=USR1@120`).
#[test]
fn a_checkpoint_is_written_when_a_signal_asks_and_training_continues() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut training = Training::start(training(folder.path(), "run"));
    let mut reached = Vec::new();
    for signal in ["-USR1", "-USR2", "-USR1"] {
        training.send(signal);
        training.wait_for("training continues");
        reached.push(step(&run));
    }
    assert!(reached.is_sorted(), "{reached:?}");
    training.send("-TERM");
    assert_eq!(training.code(), Some(143));
    assert!(step(&run) >= reached[2]);
}

/// The settings file is a pipe, so that the process waits for it before it has so much as a log.
#[test]
fn a_signal_that_asks_for_a_checkpoint_before_training_began_is_heeded_when_it_has() {
    for signal in ["-USR1", "-USR2"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("settings.toml");
        assert!(Command::new("mkfifo").arg(&settings).status().unwrap().success());
        let mut command = training(folder.path(), "run");
        command.args(["--config", "settings.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut training = Training { child, log };
        // Opened once the other side has opened it, too.
        let mut file = std::fs::OpenOptions::new().write(true).open(&settings).unwrap();
        training.send(signal);
        file.write_all(b"seed = 3\n").unwrap();
        drop(file);
        training.wait_for("training continues");
        training.send("-TERM");
        assert_eq!(training.code(), Some(143), "{signal}");
    }
}

/// A scheduler signals every process of a job, of which some have nothing to save.
#[test]
fn waiting_for_a_loader_such_a_signal_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = mixfeed_testing::free_addresses(1).remove(0);
    let mut command = trainer(folder.path());
    command.args(["train", "--loaders", &nobody, "--loader-timeout", "1h", "--log", "debug"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = child;
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut training = Training { child, log };
    training.wait_for("run folder");
    ["-USR1", "-USR2"].into_iter().for_each(|signal| training.send(signal));
    training.send("-TERM");
    assert_eq!(training.code(), Some(143));
    assert!(!folder.path().join("runs").exists(), "nothing was trained, and nothing is left");
}
