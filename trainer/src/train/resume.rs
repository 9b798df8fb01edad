//! Going on with an earlier run as if nothing had happened.
//!
//! A run is resumed from two files: `run.toml` says what is run, the newest whole checkpoint says how
//! far it came. The position is one integer, the index of the next batch, because any loader can make
//! any batch from its index. What else is needed (parameters, optimiser, the losses of the unfinished
//! epoch, the finished epochs) is in the checkpoint.

use crate::config::{RunConfig, Training, UsageError};
use crate::error::TrainError;
use crate::machine::device;
use crate::run::checkpoint::{self, Checkpoint, CheckpointError, CheckpointStore, Header};
use crate::run::observer::Epoch;
use crate::run::run_folder::{RunFile, RunFolder};
use mixfeed_client::Expected;
use std::path::Path;
use tch::Device;

/// Where an earlier run goes on.
#[derive(Debug)]
pub struct ResumePoint {
    run: RunFile,
    /// None when the run was ended before its first checkpoint.
    checkpoint: Option<Checkpoint>,
    /// Index at which training now is to end.
    end: u64,
}

impl ResumePoint {
    /// Finds the newest whole checkpoint of `run`.
    ///
    /// # Errors
    /// When there are checkpoints and none can be used, or none is left of a run that made some, or the run is past the end that is asked for,
    /// or this release would make other batches of its settings.
    pub fn find(folder: &RunFolder, run: RunFile, config: &RunConfig) -> Result<Self, TrainError> {
        let training = &config.training;
        if training.stream != run.stream {
            let text = "this release makes another stream of the run's settings than the one it began with";
            return Err(UsageError::new(text).into());
        }
        let checkpoint = CheckpointStore::newest(folder.path(), |header| fits(header, &run, training))?;
        // To begin with the first step would be to drop what was learnt.
        let epochs = folder.recorded_epochs();
        if checkpoint.is_none() && epochs > 0 {
            return Err(CheckpointError::NoneLeft { folder: folder.path().to_owned(), epochs }.into());
        }
        let end = end(training, run.batches_per_epoch);
        let point = ResumePoint { run, checkpoint, end };
        if point.step() > end {
            let text = format!("the run is at step {} already, past the last step {end}", point.step());
            return Err(UsageError::new(&format!("{text} that --epochs and --steps ask for")).into());
        }
        Ok(point)
    }

    /// What [`ResumePoint::tell`] tells of, on another trainer of the group.
    ///
    /// # Errors
    /// When it is not what a checkpoint holds.
    pub(crate) fn told(run: RunFile, told: &[u8], config: &RunConfig) -> Result<Self, TrainError> {
        let checkpoint = match told {
            [] => None,
            bytes => Some(checkpoint::parse(Path::new("of rank 0"), bytes)?),
        };
        let end = end(&config.training, run.batches_per_epoch);
        Ok(ResumePoint { run, checkpoint, end })
    }

    /// The bytes of the checkpoint, for the other trainers of a group; none where there is no checkpoint.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub(crate) fn tell(&self, folder: &RunFolder) -> Result<Vec<u8>, TrainError> {
        if self.checkpoint.is_none() {
            return Ok(Vec::new());
        }
        let path = folder.checkpoint();
        Ok(std::fs::read(&path).map_err(|source| CheckpointError::Read { path, source })?)
    }

    /// Steps that are done: the index of the next batch.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.last().map_or(0, |last| last.next_batch)
    }

    /// Index of the batch before which training ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Batches of an epoch.
    #[must_use]
    pub fn batches_per_epoch(&self) -> u64 {
        self.run.batches_per_epoch
    }

    /// What the checkpoint says about itself, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<&Header> {
        self.checkpoint.as_ref().map(|checkpoint| &checkpoint.header)
    }

    /// The checkpoint itself.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// The epochs that are finished. The piece of an epoch after which an earlier process
    /// was told to stop (`--steps`) is not one of them when training now goes on beyond it.
    #[must_use]
    pub fn history(&self) -> Vec<Epoch> {
        let counts = |epoch: &&Epoch| {
            epoch.steps.is_multiple_of(self.run.batches_per_epoch) || epoch.steps == self.end
        };
        let history = self.last().map_or(&[][..], |last| &last.history);
        history.iter().filter(counts).copied().collect()
    }

    /// Says so and gives the newest checkpoint's header if nothing is left to be done.
    #[must_use]
    pub fn finished(&self) -> Option<&Header> {
        let is_last = |epoch: &Epoch| epoch.steps == self.end && epoch.test_accuracy.is_some();
        let is_evaluated = |last: &&Header| last.history.last().is_some_and(is_last);
        self.last().filter(|last| last.next_batch == self.end).filter(is_evaluated)
    }

    /// What loaders have to serve.
    pub(crate) fn expected(&self) -> Option<Expected> {
        self.run.expected()
    }

    /// What the run wrote down about itself.
    pub(crate) fn run(&self) -> &RunFile {
        &self.run
    }

    /// Name of the dataset that was learnt from.
    pub(crate) fn dataset(&self) -> &str {
        &self.run.dataset.name
    }

    /// Warns when something that the last bits of the weights depend on is not as it was.
    ///
    /// # Errors
    /// Then, when `--strict-machine` asks for it.
    pub(crate) fn compare_machine(&self, config: &RunConfig, device: Device) -> Result<(), UsageError> {
        let Some(last) = self.last() else { return Ok(()) };
        let mut differences = Vec::new();
        for (what, before, now) in [
            ("device", &last.device, device::name(device)),
            ("threads", &last.threads.to_string(), config.threads.to_string()),
            ("processor", &last.cpu, device::cpu_model()),
            ("instructions", &last.instructions, device::instructions()),
        ] {
            // Older releases did not write down all of them.
            if *before != now && !before.is_empty() {
                tracing::warn!(
                    what,
                    before,
                    now,
                    "environment differs from before: the last bits of the weights may differ"
                );
                differences.push(format!("{what} {before:?} before, {now:?} now"));
            }
        }
        if config.strict_machine && !differences.is_empty() {
            let text = format!("--strict-machine: the run computed otherwise: {}", differences.join("; "));
            return Err(UsageError::new(&text));
        }
        Ok(())
    }
}

/// Index of the batch before which a training ends.
pub(crate) fn end(training: &Training, batches_per_epoch: u64) -> u64 {
    let all = training.epochs.saturating_mul(batches_per_epoch);
    training.steps.map_or(all, |steps| steps.min(all))
}

/// Finds what tells a checkpoint from those of `run`.
fn fits(header: &Header, run: &RunFile, training: &Training) -> Result<(), &'static str> {
    let recipe = run.settings.recipe();
    for (what, same) in [
        ("model", header.model == training.model),
        ("dataset", run.learnt_from(&header.dataset_digest)),
        ("list of classes", header.classes == run.dataset.classes),
        ("algorithm", header.algorithm_fingerprint == run.algorithm.fingerprint),
        ("stream", header.spec_digest == run.spec_digest),
        // A later release may have more settings, each at a default that changes nothing.
        ("recipe", header.recipe.iter().all(|(name, value)| recipe.get(name) == Some(value))),
    ] {
        if !same {
            return Err(what);
        }
    }
    Ok(())
}
