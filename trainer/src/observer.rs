//! Who watches a training: progress bars, logs, metrics.
//!
//! The loop tells what happened and knows nothing of who listens.

use mixfeed_client::StreamInfo;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Something that watches a training. Every call returns quickly: the training waits for it.
pub trait Observer {
    /// Batches are about to come.
    fn started(&mut self, _start: &Start) {}

    /// A step is done.
    fn stepped(&mut self, _step: &Step) {}

    /// An epoch is done and evaluated.
    fn finished_epoch(&mut self, _epoch: &Epoch) {}

    /// No step follows, whatever the reason.
    fn ended(&mut self) {}
}

/// What is known before the first step.
#[derive(Clone, Debug)]
pub struct Start {
    /// What the loaders say about the stream.
    pub stream: StreamInfo,
    /// Network.
    pub model: &'static str,
    /// Numbers that are learnt.
    pub parameters: usize,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads that compute.
    pub threads: usize,
    /// Epochs in all.
    pub epochs: u64,
    /// Steps in all.
    pub steps: u64,
    /// Steps that an earlier process did already.
    pub done: u64,
    /// The epochs that it finished.
    pub history: Vec<Epoch>,
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Steps done, this one included.
    pub done: u64,
    /// Epoch it belongs to, counted from 0.
    pub epoch: u64,
    /// Images in it.
    pub rows: usize,
    /// Time since the step before, the wait included.
    pub time: Duration,
    /// Time in it spent waiting for the batch.
    pub waited: Duration,
    /// Mean loss of the epoch so far, as far as it has been read from the device.
    pub mean_loss: f64,
    /// Loader replicas that serve the stream now.
    pub replicas: u64,
}

/// One epoch; also a row of `metrics.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1, as people count. A fraction when training was stopped in the middle.
    pub epoch: f64,
    /// Steps since the start of training.
    pub steps: u64,
    /// Images in this epoch.
    pub images: u64,
    /// Mean loss over these images.
    pub train_loss: f64,
    /// Share of the test split that was right, 0 to 1.
    pub test_accuracy: f64,
    /// Time spent training in this epoch, the wait included.
    pub seconds: f64,
    /// Time in it spent waiting for data.
    pub data_wait_seconds: f64,
    /// Time spent evaluating after it.
    pub evaluation_seconds: f64,
    /// Learning rate of its last step.
    pub learning_rate: f64,
}

impl Epoch {
    /// Images trained on per second.
    #[must_use]
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.seconds
    }
}

/// Several observers as one.
#[derive(Default)]
pub struct Observers(pub Vec<Box<dyn Observer>>);

impl Observer for Observers {
    fn started(&mut self, start: &Start) {
        self.0.iter_mut().for_each(|observer| observer.started(start));
    }

    fn stepped(&mut self, step: &Step) {
        self.0.iter_mut().for_each(|observer| observer.stepped(step));
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.0.iter_mut().for_each(|observer| observer.finished_epoch(epoch));
    }

    fn ended(&mut self) {
        self.0.iter_mut().for_each(|observer| observer.ended());
    }
}
