//! The observer that keeps a [`Status`] up to date.

use super::{EvaluationProgress, FinishedEpoch, State, Status};
use crate::report::eta::Eta;
use crate::report::pace::{Pace, Recent, loaders_wanted};
use crate::run::observer::{Epoch, Evaluating, Observer, Start, Step};
use std::sync::Arc;
use tokio::sync::watch;

/// Finished epochs that are told. Far more than a screen has lines, and a few kilobytes.
const MAX_EPOCHS: usize = 100;

/// Tells one training to whoever watches.
pub(crate) struct Broadcast {
    status: Arc<watch::Sender<Status>>,
    label: String,
    run: String,
    pace: Pace,
    eta: Eta,
}

impl Broadcast {
    /// Of a training that is followed by `following` others of the same command.
    pub(crate) fn new(
        status: Arc<watch::Sender<Status>>,
        label: String,
        run: String,
        following: u64,
    ) -> Self {
        Broadcast { status, label, run, pace: Pace::new(), eta: Eta::new(following) }
    }
}

impl Observer for Broadcast {
    fn started(&mut self, start: &Start) {
        self.eta.start(start);
        let first = start.history.len().saturating_sub(MAX_EPOCHS);
        let status = Status {
            state: State::Training.into(),
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
            finished_epochs: start.history[first..].iter().map(told).collect(),
            ..Status::default()
        };
        self.status.send_replace(status);
    }

    fn stepped(&mut self, step: &Step) {
        let Recent { images_per_second, data_wait_ratio } = self.pace.step(step);
        self.eta.step(step);
        let seconds_left = self.eta.seconds();
        self.status.send_modify(|status| {
            status.epoch = step.epoch;
            status.step = step.done;
            status.mean_loss = Some(step.losses.mean()).filter(|loss| loss.is_finite());
            status.images_per_second = images_per_second;
            status.data_wait_ratio = data_wait_ratio;
            status.replicas = step.replicas;
            status.loaders_wanted = loaders_wanted(step.replicas, data_wait_ratio);
            status.seconds_left = seconds_left;
        });
    }

    fn evaluating(&mut self, evaluating: &Evaluating) {
        self.eta.evaluating(evaluating);
        let seconds_left = self.eta.seconds();
        self.status.send_modify(|status| {
            status.evaluation =
                Some(EvaluationProgress { images_done: evaluating.images, images: evaluating.of });
            status.seconds_left = seconds_left;
        });
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.eta.epoch(epoch);
        let seconds_left = self.eta.seconds();
        self.status.send_modify(|status| {
            status.evaluation = None;
            status.seconds_left = seconds_left;
            // One that was not evaluated at first, and turned out to be the last, is told again.
            status.finished_epochs.pop_if(|last| last.steps == epoch.steps);
            status.finished_epochs.push(told(epoch));
            if status.finished_epochs.len() > MAX_EPOCHS {
                status.finished_epochs.remove(0);
            }
        });
    }
}

/// What an epoch came to, as the message has it.
fn told(epoch: &Epoch) -> FinishedEpoch {
    FinishedEpoch {
        epoch: epoch.epoch,
        steps: epoch.steps,
        train_loss: epoch.train_loss,
        test_accuracy: epoch.test_accuracy,
        test_loss: epoch.test_loss,
        images_per_second: epoch.images_per_second(),
    }
}
