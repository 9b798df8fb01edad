//! How a training is written down: checkpoints, metrics, curves.

use super::{Run, TrainingJob, problem};
use crate::config::CheckpointEvery;
use crate::error::TrainError;
use crate::feed::Feed;
use crate::learn::ema::Ema;
use crate::learn::tally::Losses;
use crate::machine::clock::Lap;
use crate::machine::device;
use crate::report::{curves, metrics};
use crate::run::checkpoint::{self, CheckpointStore, Contents, Header};
use crate::run::run_folder::RunFolder;
use mixfeed_proto::digest_of;
use std::path::Path;
use std::time::Instant;

impl Run<'_> {
    /// Whether a checkpoint is due in the middle of an epoch.
    pub(super) fn is_due(&self) -> bool {
        match self.job.config.checkpoint_every {
            None => false,
            Some(CheckpointEvery::Steps(steps)) => self.position.is_multiple_of(steps),
            Some(CheckpointEvery::Time(time)) => self.saved_at.elapsed() >= time.get(),
        }
    }

    /// Keeps what there is when training ends before its time.
    pub(super) fn save_interrupted(&mut self, feed: &Feed) -> Result<(), TrainError> {
        self.clock.pause();
        let Some(folder) = self.job.folder else { return Ok(()) };
        if !self.kept.is_current(self.position, &self.history) {
            self.save(feed)?;
        }
        if !self.history.is_empty() {
            let (job, dataset) = (self.job, &self.info.dataset.name);
            curves::draw_run(&folder.curves(), &self.history, job.config, dataset)?;
        }
        let checkpoint = folder.checkpoint();
        tracing::info!(
            step = self.position,
            checkpoint = %checkpoint.display(),
            "checkpoint written; --resume continues from it"
        );
        Ok(())
    }

    /// Goes back to the newest checkpoint from before the batch `first`: what was learnt from there on is not to be trusted.
    pub(super) fn roll_back(&mut self, first: u64) -> Result<(), TrainError> {
        self.clock.pause();
        let Some(folder) = self.job.folder else { return Ok(()) };
        let kept = CheckpointStore::roll_back(folder.path(), first)?;
        self.history = kept.as_ref().map_or_else(Vec::new, |kept| kept.history.clone());
        folder.record(&self.history)?;
        let back_at = kept.map_or(0, |kept| kept.next_batch);
        tracing::warn!(
            step = self.position,
            back_at,
            first_batch = first,
            "checkpoints from after the first batch of that loader are removed; --resume continues from the one before"
        );
        Ok(())
    }

    /// Keeps what there is because a signal asked for it.
    pub(super) fn save_as_asked(&mut self, feed: &Feed) -> Result<(), TrainError> {
        let Some(folder) = self.job.folder else { return Ok(()) };
        if !self.kept.is_current(self.position, &self.history) {
            self.save(feed)?;
        }
        let checkpoint = folder.checkpoint();
        tracing::info!(
            step = self.position,
            checkpoint = %checkpoint.display(),
            "checkpoint written on a signal; training continues"
        );
        Ok(())
    }

    /// Writes a checkpoint, where there is a folder for it.
    pub(super) fn save(&mut self, feed: &Feed) -> Result<(), TrainError> {
        let Some(folder) = self.job.folder else { return Ok(()) };
        let (config, info) = (self.job.config, &self.info);
        let Losses { sum: loss_sum, samples: loss_rows } = self.tally.all()?;
        let Lap { seconds, data_wait_seconds, .. } = self.clock.lap();
        let replicas_before = self.kept.last().map_or(0, |last| last.replicas_seen);
        let header = Header {
            format: checkpoint::FORMAT,
            release: mixfeed_ops::build::RELEASE.to_owned(),
            model: config.training.model.clone(),
            problem: problem(info),
            normalisation: config.training.normalisation,
            batch_size: config.training.stream.batch_size,
            output: config.training.stream.output,
            dataset: info.dataset.name.clone(),
            dataset_digest: hex(info.dataset.digest),
            classes: info.dataset.classes.clone(),
            algorithm_fingerprint: hex(info.algorithm_fingerprint),
            spec_digest: hex(digest_of(&config.training.stream)),
            recipe: config.settings.recipe(),
            next_batch: self.position,
            loss_sum,
            loss_rows,
            epoch_seconds: seconds,
            epoch_data_wait_seconds: data_wait_seconds,
            replicas_seen: replicas_before.max(feed.stats().replicas_seen),
            history: self.history.clone(),
            device: device::name(self.job.device),
            threads: config.threads,
            cpu: device::cpu_model(),
            instructions: device::instructions(),
            weights_digest: String::new(),
            tensors_digest: String::new(),
        };
        let average = self.ema.as_ref().map(Ema::model);
        let contents = Contents { model: &*self.model, average, optimizer: &*self.optimizer };
        self.kept.save(header, &contents)?;
        self.job.loaders.remember(folder)?;
        folder.keep();
        self.saved_at = Instant::now();
        metrics::saved();
        Ok(())
    }
}

fn hex(digest: [u8; 32]) -> String {
    blake3::Hash::from(digest).to_string()
}

/// Where results go; nowhere on a trainer that writes none.
pub(super) fn folder_path<'a>(job: &TrainingJob<'a>) -> &'a Path {
    job.folder.map_or(Path::new(""), RunFolder::path)
}
