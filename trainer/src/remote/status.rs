//! How a training goes, at one moment.

use crate::observer::Epoch;

/// Where a training is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Loaders are looked for.
    #[default]
    Starting,
    /// Steps are done.
    Training,
    /// The end was asked for; what has to be written is being written.
    Stopping,
    /// Nothing more will happen.
    Ended,
}

/// How a training goes; units and ranges are those of `trainer.proto`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Where it is in its life.
    pub state: State,
    /// Run folder.
    pub run: String,
    /// Which of several trainings; empty for a single one.
    pub label: String,
    /// Network.
    pub model: String,
    /// Numbers that are learnt.
    pub parameters: u64,
    /// Name of the data set.
    pub dataset: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads that compute.
    pub threads: u32,
    /// Epochs in all.
    pub epochs: u64,
    /// The one under way, counted from 0.
    pub epoch: u64,
    /// Steps in all.
    pub steps: u64,
    /// Steps done.
    pub step: u64,
    /// Mean loss of the epoch so far.
    pub mean_loss: Option<f64>,
    /// Speed of the last seconds.
    pub images_per_second: f64,
    /// Share of the last seconds spent waiting for data, 0 to 1.
    pub data_wait_ratio: f64,
    /// Loader replicas that serve the stream.
    pub replicas: u64,
    /// How many would remove the wait.
    pub loaders_wanted: f64,
    /// Estimate of the seconds to the end.
    pub seconds_left: Option<f64>,
    /// The last finished epochs, oldest first.
    pub finished_epochs: Vec<FinishedEpoch>,
    /// How training ended; empty before.
    pub ending: String,
}

/// What an epoch came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FinishedEpoch {
    /// Counted from 1; a fraction when training was stopped in the middle.
    pub epoch: f64,
    /// Steps since the start of training.
    pub steps: u64,
    /// Mean loss over its images.
    pub train_loss: f64,
    /// Share of the test split that was right, 0 to 1.
    pub test_accuracy: f64,
    /// Training speed.
    pub images_per_second: f64,
}

impl From<&Epoch> for FinishedEpoch {
    fn from(epoch: &Epoch) -> Self {
        FinishedEpoch {
            epoch: epoch.epoch,
            steps: epoch.steps,
            train_loss: epoch.train_loss,
            test_accuracy: epoch.test_accuracy,
            images_per_second: epoch.images_per_second(),
        }
    }
}
