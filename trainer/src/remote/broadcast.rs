//! The observer that keeps a [`Status`] up to date.

use super::{FinishedEpoch, State, Status};
use crate::observer::{Epoch, Observer, Start, Step};
use crate::pace::{Pace, Recent, loaders_wanted};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Finished epochs that are told. Far more than a screen has lines, and a few kilobytes.
const MAX_EPOCHS: usize = 100;

/// Tells one training to whoever watches.
pub(crate) struct Broadcast {
    status: Arc<watch::Sender<Status>>,
    label: String,
    run: String,
    pace: Pace,
    started: Instant,
    /// Steps that were done before `started`.
    before: u64,
}

impl Broadcast {
    pub(crate) fn new(status: Arc<watch::Sender<Status>>, label: String, run: String) -> Self {
        Broadcast { status, label, run, pace: Pace::new(), started: Instant::now(), before: 0 }
    }
}

impl Observer for Broadcast {
    fn started(&mut self, start: &Start) {
        (self.started, self.before) = (Instant::now(), start.done);
        let first = start.history.len().saturating_sub(MAX_EPOCHS);
        let status = Status {
            state: State::Training,
            run: self.run.clone(),
            label: self.label.clone(),
            model: start.model.to_owned(),
            parameters: start.parameters as u64,
            dataset: start.stream.dataset.name.clone(),
            device: start.device.clone(),
            threads: start.threads as u32,
            epochs: start.epochs,
            epoch: start.done / start.stream.batches_per_epoch.max(1),
            steps: start.steps,
            step: start.done,
            finished_epochs: start.history[first..].iter().map(FinishedEpoch::from).collect(),
            ..Status::default()
        };
        self.status.send_replace(status);
    }

    fn stepped(&mut self, step: &Step) {
        let Recent { images_per_second, data_wait_ratio } = self.pace.step(step);
        let done = step.done.saturating_sub(self.before).max(1);
        let seconds_per_step = self.started.elapsed().as_secs_f64() / done as f64;
        self.status.send_modify(|status| {
            status.epoch = step.epoch;
            status.step = step.done;
            status.mean_loss = Some(step.mean_loss).filter(|loss| loss.is_finite());
            status.images_per_second = images_per_second;
            status.data_wait_ratio = data_wait_ratio;
            status.replicas = step.replicas;
            status.loaders_wanted = loaders_wanted(step.replicas, data_wait_ratio);
            status.seconds_left = Some(seconds_per_step * status.steps.saturating_sub(step.done) as f64);
        });
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.status.send_modify(|status| {
            status.finished_epochs.push(epoch.into());
            if status.finished_epochs.len() > MAX_EPOCHS {
                status.finished_epochs.remove(0);
            }
        });
    }
}
