//! How a training goes, at one moment.

use crate::run::observer::Epoch;

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
    /// Estimate of the seconds to the end of everything that was asked for.
    pub seconds_left: Option<f64>,
    /// The last finished epochs, oldest first.
    pub finished_epochs: Vec<FinishedEpoch>,
    /// How training ended; empty before.
    pub ending: String,
    /// Test images that are scored, and those in all, while an evaluation is under way.
    pub evaluation: Option<(u64, u64)>,
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
    /// Share of the test images that was right, 0 to 1; none where it was not evaluated.
    pub test_accuracy: Option<f64>,
    /// Mean loss over the test images; none where it was not measured.
    pub test_loss: Option<f64>,
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
            test_loss: epoch.test_loss,
            images_per_second: epoch.images_per_second(),
        }
    }
}
