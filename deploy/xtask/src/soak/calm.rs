//! The same training without any disturbance, to hold the weights against.
//!
//! It runs beside the soak, a little behind it, in parts that end at a step known before and are resumed: so it
//! ends soon after the soak, at the very step at which that was ended.

use crate::children::Children;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Steps of a part: long against starting a process and evaluating.
const PART: u64 = 5_000;

/// How often is looked whether a part has ended.
const LOOK: Duration = Duration::from_millis(200);

/// More than any soak gets to.
const EPOCHS: &str = "100000";

/// A training as the soak has it: one thread, and a network that is as fast as its loaders, so that as many batches
/// as possible are on the way.
pub(super) fn training(program: &Path, output: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["train", "--model", "linear", "--threads", "1", "--device", "cpu", "--json"]);
    command.args(["--epochs", EPOCHS, "--mixup-prob", "0.5", "--output"]).arg(output);
    command
}

/// What a trainer printed as its result.
pub(super) fn result(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(text.trim()).with_context(|| format!("{} is no result of a trainer", path.display()))
}

pub(super) struct Calm {
    program: PathBuf,
    data: String,
    folder: PathBuf,
    done: u64,
    /// The process of the current part, and the step at which it ends.
    running: Option<(u32, u64)>,
    digest: String,
}

impl Calm {
    pub(super) fn new(program: &Path, data: &str, folder: &Path) -> Self {
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Self { program, data: data.to_owned(), folder, done: 0, running: None, digest: String::new() }
    }

    /// Looks after it while the soak is at `step`.
    pub(super) fn advance(&mut self, children: &Children, step: u64) -> Result<()> {
        self.sample(children)?;
        if self.running.is_none() && step >= self.done + PART {
            self.begin(children, self.done + PART)?;
        }
        Ok(())
    }

    /// Trains up to `step`, and returns the digest of the weights there.
    pub(super) fn finish(mut self, children: &Children, step: u64) -> Result<String> {
        ensure!(step > self.done || self.done == step, "the soak went back from {} to {step}", self.done);
        loop {
            self.sample(children)?;
            if self.running.is_none() {
                if self.done == step {
                    return Ok(self.digest);
                }
                self.begin(children, step)?;
            }
            sleep(LOOK);
        }
    }

    fn json(&self) -> PathBuf {
        self.folder.join("calm.json")
    }

    fn begin(&mut self, children: &Children, end: u64) -> Result<()> {
        let output = self.folder.join("calm");
        let mut command = if self.done == 0 {
            let mut command = training(&self.program, &output);
            command.args(["--overwrite", "--data", &self.data, "--workers", "1"]);
            command
        } else {
            let mut command = Command::new(&self.program);
            command.args(["train", "--resume", "--json", "--output"]).arg(&output);
            command
        };
        command.args(["--steps", &end.to_string()]);
        command.stdout(File::create(self.json())?).stderr(File::create(self.folder.join("calm.log"))?);
        self.running = Some((children.start(&mut command)?, end));
        Ok(())
    }

    fn sample(&mut self, children: &Children) -> Result<()> {
        let Some((id, end)) = self.running else { return Ok(()) };
        let Some(status) = children.ended(id)? else { return Ok(()) };
        ensure!(status.success(), "the training in calm ended with {status}; see soak/calm.log");
        let result = result(&self.json())?;
        ensure!(result["steps"].as_u64() == Some(end), "the training in calm did not end at step {end}");
        self.digest = result["weights_digest"].as_str().context("a result without a digest")?.to_owned();
        (self.done, self.running) = (end, None);
        Ok(())
    }
}
