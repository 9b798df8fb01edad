//! The trainer as a person or a script meets it: processes, exit codes, files.

// A test may start threads and look at its environment.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../../loader/tests/it/authority.rs"]
mod authority;
#[path = "command_line/bad_records.rs"]
mod bad_records;
#[path = "command_line/checkpoints.rs"]
mod checkpoints;
#[path = "command_line/compare.rs"]
mod compare;
#[path = "command_line/doctor.rs"]
mod doctor;
#[path = "command_line/evaluate.rs"]
mod evaluate;
#[path = "command_line/evaluations.rs"]
mod evaluations;
#[path = "command_line/faults.rs"]
mod faults;
#[path = "command_line/folders.rs"]
mod folders;
#[path = "command_line/group.rs"]
mod group;
#[path = "command_line/guides.rs"]
mod guides;
#[path = "command_line/idle.rs"]
mod idle;
#[path = "command_line/init_from.rs"]
mod init_from;
#[path = "command_line/logs.rs"]
mod logs;
#[path = "command_line/moments.rs"]
mod moments;
#[path = "command_line/names.rs"]
mod names;
#[path = "command_line/predict.rs"]
mod predict;
#[path = "command_line/reference.rs"]
mod reference;
#[path = "command_line/remote.rs"]
mod remote;
#[path = "command_line/resume.rs"]
mod resume;
#[path = "command_line/resume_data.rs"]
mod resume_data;
#[path = "command_line/signals.rs"]
mod signals;
#[path = "command_line/sizes.rs"]
mod sizes;
mod support;
#[path = "command_line/tensorboard.rs"]
mod tensorboard;
#[path = "command_line/torch_script.rs"]
mod torch_script;
#[path = "command_line/zoo.rs"]
mod zoo;

use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_ops::testing;
use mixfeed_trainer::run::run_folder::RunFolder;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::LoaderProcess;

/// A trainer that knows nothing of the settings in this environment.
fn trainer(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixfeed-trainer"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MIXFEED_")) {
        command.env_remove(name);
    }
    // Nor of a group that the tests were started in.
    for name in ["RANK", "WORLD_SIZE", "PET_NNODES", "PET_NODE_RANK", "SLURM_STEP_NUM_TASKS"] {
        command.env_remove(name);
    }
    // Where the libraries are is the binary's own business.
    command.env_remove("LD_LIBRARY_PATH").current_dir(folder).stdin(Stdio::null());
    command
}

/// A training of a moment.
const MOMENT: [&str; 10] =
    ["train", "--limit", "64", "--batch-size", "16", "--epochs", "1", "--threads", "2", "--json"];

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether this process may have a mount namespace of its own.
fn namespaces() -> Result<(), String> {
    match Command::new("unshare").args(["--mount", "true"]).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("unshare: {}", stderr(&output).trim())),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

/// The one line that says what is wrong.
fn error_line(output: &Output) -> String {
    let text = stderr(output);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "one error line in:\n{text}");
    assert!(output.stdout.is_empty(), "stdout is for results");
    lines[0].to_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), 1, "one JSON object: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_wrong_setting_is_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--mixup-alpha", "-1"][..], "--mixup-alpha is -1"),
        (&["--mixup-alpha", "NaN"], "--mixup-alpha is NaN"),
        (&["--mixup-prob", "2"], "--mixup-prob is 2"),
        (&["--lr", "0"], "--lr is 0"),
        (&["--momentum", "0.9"], "--momentum is for --optimizer sgd only"),
        (&["--schedule", "step"], "--milestones"),
        (&["--ema", "1"], "--ema is 1"),
        (&["--lambda-per", "image"], "give sample or batch"),
        (&["--threads", "0"], "--threads is 0"),
        (&["--config", "nowhere.toml"], "nowhere.toml"),
        (&["--device", "gpu"], "cuda:N"),
        (&["--loader-timeout", "3"], "give a unit"),
        (&["--data", "synthetic", "--loaders", "127.0.0.1:1"], "not both"),
        (&["--loaders", "127.0.0.1"], "port is missing"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&[], "no data"),
    ] {
        let mut command = trainer(folder.path());
        command.arg("train").args(arguments);
        if !arguments.iter().any(|argument| ["--data", "--loaders"].contains(argument))
            && !arguments.is_empty()
        {
            command.args(["--data", "synthetic:100"]);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let line = error_line(&output);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
    for (name, value) in [("--batch-size", "0"), ("--epochs", "0"), ("--trials", "0")] {
        let mut command = trainer(folder.path());
        command.args(["compare", "--data", "synthetic:100", name, value]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {}", stderr(&output));
        assert!(error_line(&output).contains(&format!("{name} is 0")));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn what_is_missing_has_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code, expected) in [
        (&["--data", "nowhere"][..], 3, "nowhere"),
        (&["--loaders", "127.0.0.1:9", "--loader-timeout", "300ms"], 4, "127.0.0.1:9"),
        (&["--data", "synthetic:100", "--device", "cuda:63"], 6, "cuda:63 is not available: "),
        // The second step multiplies six layers of weights of a million each.
        (&["--data", "synthetic:64", "--lr", "1e6", "--batch-size", "8", "--steps", "8"], 5, "batch digest"),
    ] {
        let output = trainer(folder.path()).arg("train").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        let line = error_line(&output);
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
}

#[test]
fn settings_come_from_flags_then_environment_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "epochs = 3\nbatch-size = 3\nseed = 3\ndata = \"synthetic:100\"\n").unwrap();
    let print = |file: &Path| {
        let mut command = trainer(folder.path());
        command.env("MIXFEED_TRAINER_EPOCHS", "2").env("MIXFEED_TRAINER_BATCH_SIZE", "2");
        command.args(["train", "--epochs", "1", "--print-config", "--config"]).arg(file);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = print(&file);
    for line in ["epochs = 1", "batch-size = 2", "seed = 3", "mixup-alpha = 0.2"] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in:\n{printed}");
    }
    // What is printed is a settings file that says the same.
    let again = folder.path().join("printed.toml");
    std::fs::write(&again, &printed).unwrap();
    assert_eq!(print(&again), printed);
}

#[test]
fn a_training_leaves_a_run_folder_that_python_and_a_loader_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let train =
        || trainer(folder.path()).args(MOMENT).args(["--data", "synthetic:100", "--output", "run"]).output();
    let output = train().unwrap();
    let said = stderr(&output);
    assert!(said.contains("splits train=\"100 images, 10 classes\" test=\"20 images, "), "{said}");
    let result = json(&output);
    for key in [
        "preset",
        "model",
        "epochs",
        "seed",
        "device",
        "threads",
        "replicas_seen",
        "images",
        "seconds",
        "images_per_second",
        "data_wait_ratio",
        "train_loss",
        "test_accuracy",
        "test_loss",
        "weights_digest",
        "checkpoint",
    ] {
        assert!(!result[key].is_null(), "{key} in {result}");
    }
    let run = folder.path().join("run");
    let checkpoints = ["checkpoint-last.safetensors", "checkpoint-best.safetensors"];
    for file in ["run.toml", "metrics.csv", "curves.png", "curves.svg"].iter().chain(&checkpoints) {
        assert!(run.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 8, "a lock, one for TensorBoard, and nothing else");

    let output = train().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error_line(&output).contains("already holds a run"));
    let again = trainer(folder.path())
        .args(MOMENT)
        .args(["--data", "synthetic:100", "--output", "run", "--overwrite"])
        .output();
    assert_eq!(json(&again.unwrap())["weights_digest"], result["weights_digest"]);

    python_recomputes_the_digest(&run.join("checkpoint-last.safetensors"), &result);
    a_loader_builds_a_batch_of_the_run_again(&run, &result);
}

/// From the run folder alone: the batch is the one that the client of a training would get.
fn a_loader_builds_a_batch_of_the_run_again(run: &Path, result: &Value) {
    let mut replay = Command::new(support::loader_binary());
    let replayed =
        json(&replay.args(["replay", "--json", "--index", "3", "--run"]).arg(run).output().unwrap());
    let (folder, file) = RunFolder::open(run).unwrap().unwrap();
    assert_eq!(
        folder.checkpoint().file_name(),
        Path::new(result["checkpoint"].as_str().unwrap()).file_name()
    );
    assert_eq!(replayed["spec_digest"].as_str().unwrap(), file.spec_digest);
    assert_eq!(replayed["rows"].as_array().unwrap().len(), 16);

    // Beyond the run's last step a batch can be built all the same, and it is said.
    let steps = result["steps"].as_u64().unwrap();
    for (index, is_beyond) in [(steps - 1, false), (steps, true), (100_000, true)] {
        let mut replay = Command::new(support::loader_binary());
        let replay = replay.args(["replay", "--json", "--index", &index.to_string(), "--run"]).arg(run);
        let output = replay.output().unwrap();
        assert_eq!(json(&output)["beyond_run"], is_beyond, "batch {index} of {steps}");
        let note = format!("the run asks for {steps} batches, from 0 on: it never trains on batch {index}");
        assert_eq!(stderr(&output).contains(&note), is_beyond, "{}", stderr(&output));
    }

    let loader = EmbeddedLoader::start(file.settings.data.as_deref().unwrap(), Some(1)).unwrap();
    let config = StreamConfig {
        start: 3,
        end: StreamEnd::Batch(4),
        expected: file.expected(),
        ..StreamConfig::new(vec![loader.address().into()], file.stream)
    };
    let batch = BlockingStream::open(config).unwrap().next().unwrap().unwrap();
    assert_eq!(replayed["digest"].as_str().unwrap(), blake3::Hash::from(batch.digest()).to_string());
}

/// The script is the one in the documentation of `weights.rs`.
fn python_recomputes_the_digest(checkpoint: &Path, result: &Value) {
    let Some(python) = testing::require("python", python_with("blake3, numpy, safetensors")) else { return };
    let script = python_block(include_str!("../src/learn/weights.rs"));
    let output = Command::new(python)
        .args(["-c", &script])
        .current_dir(checkpoint.parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), result["weights_digest"].as_str().unwrap());
}

/// The lines of the first Python block, without the comment marks.
fn python_block(documented: &str) -> String {
    let block = documented.split("//! ```python\n").nth(1).unwrap().split("//! ```").next().unwrap();
    block.lines().map(|line| format!("{}\n", line.strip_prefix("//! ").unwrap_or(""))).collect()
}

/// Losses grow beyond all numbers at this learning rate. The step that is named is the one after the last
/// checkpoint, and the digest is that of its batch, so that it can be looked at.
#[test]
fn a_loss_that_is_no_number_ends_training_in_its_step_with_exit_code_5() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = trainer(folder.path())
        .args(MOMENT)
        .args(["--data", "synthetic:100", "--output", "run", "--optimizer", "sgd", "--lr", "1000000"])
        .args(["--checkpoint-every", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let line = error_line(&output);
    let after = |words: &str| {
        let rest = line.split_once(words).unwrap_or_else(|| panic!("{words} in {line}")).1;
        rest.split([' ', ')']).next().unwrap().to_owned()
    };
    let loss: f64 = after("the loss is ").parse().unwrap();
    assert!(!loss.is_finite(), "{line}");
    let step = after("at step ");
    let written = resume::step_of(&run.join("checkpoint-last.safetensors"));
    assert_eq!(step, written.to_string(), "steps are counted from 0: {line}");
    let mut replay = Command::new(support::loader_binary());
    replay.args(["replay", "--json", "--index", &step, "--run"]).arg(&run);
    assert_eq!(json(&replay.output().unwrap())["digest"], after("batch digest "));
}

fn python_with(packages: &str) -> Result<PathBuf, String> {
    let python = testing::python()?;
    let import = Command::new(&python).args(["-c", &format!("import {packages}")]).output();
    match import {
        Ok(output) if output.status.success() => Ok(python),
        Ok(output) => Err(stderr(&output).lines().last().unwrap_or_default().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_signal_ends_training_with_a_checkpoint_and_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = trainer(folder.path());
        command.args(["train", "--data", "synthetic:2000", "--batch-size", "8", "--epochs", "1000"]);
        let mut child =
            command.args(["--output", signal]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut lines = std::io::BufRead::lines(log).map_while(Result::ok);
        assert!(lines.any(|line| line.contains("training model=")), "training begins");
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(lines.any(|line| line.contains("checkpoint written; --resume")), "a checkpoint is written");
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(folder.path().join(signal).join("checkpoint-last.safetensors").exists());
    }
}

#[test]
fn loaders_that_stay_away_end_training_with_a_checkpoint_and_exit_code_4() {
    let folder = tempfile::tempdir().unwrap();
    let mut loader = LoaderProcess::start("synthetic:2000", 1);
    let mut command = trainer(folder.path());
    command.args(["train", "--loaders", &loader.address, "--loader-timeout", "500ms", "--model", "linear"]);
    command.args(["--epochs", "100000", "--output", "run"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(log).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("epoch done")), "training begins");
    loader.kill();
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(4), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("checkpoint written; --resume")), "{rest:#?}");
}

#[test]
fn a_linear_classifier_stays_far_behind_on_synthetic_images() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = trainer(folder.path());
    command.args(["train", "--data", "synthetic", "--model", "linear", "--epochs", "8", "--mixup-prob", "0"]);
    // Such small work only waits for a second thread.
    command.args(["--threads", "1", "--json"]);
    let accuracy = json(&command.output().unwrap())["test_accuracy"].as_f64().unwrap();
    assert!((0.1..=0.5).contains(&accuracy), "test accuracy {accuracy}");
}

#[test]
fn the_article_network_learns_synthetic_images_in_three_epochs() {
    if testing::require("slow", testing::slow()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = trainer(folder.path());
    command.args(["train", "--data", "synthetic:20000", "--epochs", "3", "--json"]);
    let accuracy = json(&command.output().unwrap())["test_accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.8, "test accuracy {accuracy}");
}
