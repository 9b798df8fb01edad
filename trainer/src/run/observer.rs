//! Who watches a training: progress bars, logs, metrics.
//!
//! The loop tells what happened and knows nothing of who listens.

use crate::learn::tally::Losses;
use mixfeed_client::StreamInfo;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Something that watches a training. Every call returns quickly: the training waits for it.
pub trait Observer {
    /// Batches are about to come.
    fn started(&mut self, _start: &Start) {}

    /// A step is done.
    fn stepped(&mut self, _step: &Step) {}

    /// Test images are being scored.
    fn evaluating(&mut self, _evaluating: &Evaluating) {}

    /// An epoch is done, and evaluated if it is one of those that are.
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
    /// Losses of the epoch that it had begun.
    pub losses: Losses,
    /// Evaluations in all.
    pub evaluations: u64,
    /// Evaluations that are left.
    pub evaluations_left: u64,
    /// Images that each evaluation scores.
    pub test_images: u64,
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
    /// Losses of the epoch so far, as far as they have been read from the device.
    pub losses: Losses,
    /// The learning rate it was done with.
    pub learning_rate: f64,
    /// Loader replicas that serve the stream now.
    pub replicas: u64,
}

/// How far an evaluation has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluating {
    /// Images that are scored.
    pub images: u64,
    /// Images in all.
    pub of: u64,
    /// Time since it began.
    pub time: Duration,
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
    /// Share of the test images that was right, 0 to 1; none where the epoch was not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Mean loss over the test images, by the loss that training minimises, on their labels as they are; none where
    /// the epoch was not evaluated, or by a release that did not measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
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

    fn evaluating(&mut self, evaluating: &Evaluating) {
        self.0.iter_mut().for_each(|observer| observer.evaluating(evaluating));
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.0.iter_mut().for_each(|observer| observer.finished_epoch(epoch));
    }

    fn ended(&mut self) {
        self.0.iter_mut().for_each(|observer| observer.ended());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! What an observer is told, for the tests of those who watch.

    use super::*;
    use mixfeed_client::{DatasetInfo, ImageShape};

    pub(crate) fn start() -> Start {
        Start {
            stream: StreamInfo {
                dataset: DatasetInfo {
                    name: "synthetic".to_owned(),
                    digest: [1; 32],
                    train_samples: 80,
                    test_samples: 60,
                    classes: vec!["a".to_owned()],
                    ..DatasetInfo::default()
                },
                algorithm_version: 1,
                algorithm_fingerprint: [2; 32],
                image: ImageShape { height: 32, width: 32, channels: 3 },
                samples_per_epoch: 80,
                batches_per_epoch: 10,
            },
            model: "linear",
            parameters: 5,
            device: "cpu".to_owned(),
            threads: 1,
            epochs: 2,
            steps: 20,
            done: 0,
            history: Vec::new(),
            losses: Losses::default(),
            evaluations: 2,
            evaluations_left: 2,
            test_images: 60,
        }
    }

    pub(crate) fn step() -> Step {
        Step {
            done: 1,
            epoch: 0,
            rows: 8,
            time: Duration::from_secs(1),
            waited: Duration::ZERO,
            losses: Losses { sum: 8.0, samples: 8 },
            learning_rate: 0.1,
            replicas: 1,
        }
    }

    pub(crate) fn epoch() -> Epoch {
        Epoch {
            epoch: 1.0,
            steps: 10,
            images: 80,
            train_loss: 1.5,
            test_accuracy: Some(0.25),
            test_loss: Some(1.75),
            seconds: 2.0,
            data_wait_seconds: 0.5,
            evaluation_seconds: 0.25,
            learning_rate: 0.1,
        }
    }

    #[test]
    fn an_epoch_of_a_release_that_measured_no_test_loss_is_read() {
        let text = r#"{"epoch":1.0,"steps":10,"images":80,"train_loss":1.5,"test_accuracy":0.25,"seconds":2.0,
            "data_wait_seconds":0.5,"evaluation_seconds":0.25,"learning_rate":0.1}"#;
        let read: Epoch = serde_json::from_str(text).unwrap();
        assert_eq!(read, Epoch { test_loss: None, ..epoch() });
        let unevaluated = Epoch { test_accuracy: None, test_loss: None, ..epoch() };
        for epoch in [epoch(), unevaluated] {
            let text = serde_json::to_string(&epoch).unwrap();
            assert_eq!(serde_json::from_str::<Epoch>(&text).unwrap(), epoch);
        }
    }
}
