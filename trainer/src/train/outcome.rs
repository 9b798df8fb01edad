//! What a training came to: the last line of `train --json`, one row of `compare`.

use crate::config::RunConfig;
use crate::report::pace::loaders_wanted;
use crate::report::table::{count, counted};
use crate::run::checkpoint::Header;
use crate::run::observer::Epoch;
use crate::run::run_folder::RunFolder;
use crate::train::audit::AuditReport;
use crate::train::resume;
use serde::Serialize;

/// The result of a training.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Recipe it started from.
    pub preset: String,
    /// Network.
    pub model: String,
    /// Epochs begun.
    pub epochs: u64,
    /// Epochs done, the last perhaps in part, as in `metrics.csv`.
    pub epochs_done: f64,
    /// Steps done.
    pub steps: u64,
    /// Whether these are all steps that were asked for: false when `mixfeed-trainer stop` ended training.
    pub finished: bool,
    /// Seed of everything random.
    pub seed: u64,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads that computed.
    pub threads: usize,
    /// Step from which an earlier run went on; none for a run that was not interrupted.
    pub resumed_from_step: Option<u64>,
    /// Loader replicas that delivered at least one batch; of a resumed run, the most to one process.
    pub replicas_seen: u64,
    /// Only the first so many training images were trained on; none when all were.
    pub limit: Option<u64>,
    /// Training images, each as often as it was trained on.
    pub images: u64,
    /// Time spent training, waiting for data included and evaluation left out. Of a resumed run: by all
    /// processes, without what was lost and done again.
    pub seconds: f64,
    /// Time spent evaluating on the test split.
    pub evaluation_seconds: f64,
    /// `images` over `seconds`.
    pub images_per_second: f64,
    /// Share of `seconds` spent waiting for data, 0 to 1.
    pub data_wait_ratio: f64,
    /// Mean loss over the samples of the last epoch, as they were trained on.
    pub train_loss: f64,
    /// Share of the test split that the final model gets right, 0 to 1.
    pub test_accuracy: f64,
    /// Mean loss of the final model over the test images, by the loss that training minimises, on their labels as
    /// they are: unlike `train_loss` it means the same whatever is mixed. None of a run that an older release ended.
    pub test_loss: Option<f64>,
    /// Only the first so many test images were scored; none when all were.
    pub test_limit: Option<u64>,
    /// Name of the dataset.
    pub dataset: String,
    /// Digest of the dataset, hexadecimal.
    pub dataset_digest: String,
    /// Digest of the final parameters, hexadecimal.
    pub weights_digest: String,
    /// Path of the checkpoint.
    pub checkpoint: String,
    /// Path of the curves.
    pub curves: String,
    /// What audits of the loaders came to; none without any.
    pub audit: Option<AuditReport>,
}

impl Outcome {
    /// What the run came to whose newest checkpoint says `last`.
    #[must_use]
    pub fn of(config: &RunConfig, last: &Header, folder: &RunFolder, resumed: Resumed) -> Self {
        let sum = |part: fn(&Epoch) -> f64| last.history.iter().map(part).sum::<f64>();
        let images = last.history.iter().fold(0, |sum: u64, epoch| sum.saturating_add(epoch.images));
        let seconds = sum(|epoch| epoch.seconds);
        let newest = last.history.last();
        Outcome {
            preset: config.training.preset.name().to_owned(),
            model: config.training.model.name().to_owned(),
            epochs: last.next_batch.div_ceil(resumed.batches_per_epoch),
            epochs_done: last.next_batch as f64 / resumed.batches_per_epoch as f64,
            steps: last.next_batch,
            finished: last.next_batch == resume::end(&config.training, resumed.batches_per_epoch),
            seed: config.training.stream.seed,
            device: last.device.clone(),
            threads: last.threads,
            resumed_from_step: resumed.step,
            replicas_seen: last.replicas_seen,
            limit: config.settings.limit,
            images,
            seconds,
            evaluation_seconds: sum(|epoch| epoch.evaluation_seconds),
            images_per_second: images as f64 / seconds,
            data_wait_ratio: sum(|epoch| epoch.data_wait_seconds) / seconds,
            train_loss: newest.map_or(f64::NAN, |epoch| epoch.train_loss),
            test_accuracy: newest.and_then(|epoch| epoch.test_accuracy).unwrap_or(f64::NAN),
            test_loss: newest.and_then(|epoch| epoch.test_loss),
            test_limit: config.settings.test_limit,
            dataset: last.dataset.clone(),
            dataset_digest: last.dataset_digest.clone(),
            weights_digest: last.weights_digest.clone(),
            checkpoint: folder.checkpoint().display().to_string(),
            curves: folder.curves().display().to_string(),
            audit: None,
        }
    }

    /// One line on how it ended.
    #[must_use]
    pub fn ending(&self) -> String {
        let Outcome { finished, steps, checkpoint, .. } = self;
        let (ended, accuracy) = (if *finished { "finished" } else { "stopped" }, self.accuracy());
        format!("{ended} after step {steps}: test accuracy {accuracy}, checkpoint {checkpoint}")
    }

    /// The test accuracy for people, and of how many images if not of all.
    #[must_use]
    pub fn accuracy(&self) -> String {
        let of = self.test_limit.map_or(String::new(), |limit| format!(" of the first {}", count(limit)));
        format!("{:.2} %{of}", 100.0 * self.test_accuracy)
    }

    /// The dataset for people, and how much of it if not all.
    #[must_use]
    pub fn data(&self) -> String {
        let of = |limit| format!(", the first {}", counted(limit, "training image"));
        format!("{}{}", self.dataset, self.limit.map_or(String::new(), of))
    }

    /// The epochs done for people: parts of them in hundredths.
    #[must_use]
    pub fn epochs_done(&self) -> String {
        let epochs = self.epochs_done;
        if epochs.fract() == 0.0 {
            return counted(epochs as u64, "epoch");
        }
        // To the nearest by hand: formatting goes to the even one, of 1.125 to 1.12.
        match (100.0 * epochs).round() / 100.0 {
            0.0 => "less than 0.01 epochs".to_owned(),
            hundredths => format!("{hundredths:.2} epochs"),
        }
    }

    /// One sentence on whether the loaders kept up, and what to do if they did not.
    #[must_use]
    pub fn verdict(&self, embedded: bool) -> String {
        let percent = 100.0 * self.data_wait_ratio;
        if self.data_wait_ratio < KEPT_UP_RATIO {
            return format!("waiting for data {percent:.1} %: the loaders kept up");
        }
        if self.seconds < SETTLED_SECONDS {
            let seconds = self.seconds;
            return format!(
                "waiting for data {percent:.0} % of {seconds:.1} s: too short to say how many loaders would keep up"
            );
        }
        let replicas = self.replicas_seen.max(1);
        let more = (loaders_wanted(replicas, self.data_wait_ratio) - replicas as f64).ceil();
        let plural = if more > 1.0 { "s" } else { "" };
        let those = if embedded { "the one in this process" } else { "those" };
        format!(
            "waiting for data {percent:.0} %: about {more:.0} more loader{plural} as fast as {those}, on other machines \
             or CPU cores that are free, would remove it"
        )
    }
}

/// Where the process that ended a run began.
#[derive(Clone, Copy, Debug)]
pub struct Resumed {
    /// Step it went on from; none when it began the run.
    pub step: Option<u64>,
    /// Batches of an epoch.
    pub batches_per_epoch: u64,
}

/// A shorter training says little: filling queues and warming up are most of it.
const SETTLED_SECONDS: f64 = 30.0;

/// Below this share nothing would be gained by more loaders.
pub(crate) const KEPT_UP_RATIO: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(data_wait_ratio: f64, replicas_seen: u64) -> Outcome {
        Outcome {
            preset: "article".to_owned(),
            model: "article-cnn".to_owned(),
            epochs: 1,
            epochs_done: 1.0,
            steps: 1,
            finished: true,
            seed: 0,
            device: "cpu".to_owned(),
            threads: 1,
            resumed_from_step: None,
            replicas_seen,
            limit: None,
            images: 1,
            seconds: 60.0,
            evaluation_seconds: 0.0,
            images_per_second: 1.0,
            data_wait_ratio,
            train_loss: 1.0,
            test_accuracy: 0.5,
            test_loss: Some(1.25),
            test_limit: None,
            dataset: String::new(),
            dataset_digest: String::new(),
            weights_digest: String::new(),
            checkpoint: String::new(),
            curves: String::new(),
            audit: None,
        }
    }

    #[test]
    fn the_verdict_says_how_many_more_loaders_would_remove_the_wait() {
        assert!(outcome(0.012, 2).verdict(false).contains("kept up"));
        assert_eq!(
            outcome(0.5, 2).verdict(false),
            "waiting for data 50 %: about 2 more loaders as fast as those, on other machines \
             or CPU cores that are free, would remove it"
        );
        assert!(outcome(0.12, 2).verdict(false).contains("about 1 more loader as fast as"));
        assert!(
            outcome(0.75, 1)
                .verdict(true)
                .contains("about 3 more loaders as fast as the one in this process")
        );
    }

    #[test]
    fn a_part_of_an_epoch_is_told_in_hundredths() {
        let said = |epochs_done| Outcome { epochs_done, ..outcome(0.0, 1) }.epochs_done();
        for (epochs, expected) in [
            (1.0, "1 epoch"),
            (2.0, "2 epochs"),
            (1.125, "1.13 epochs"),
            (0.5, "0.50 epochs"),
            (1.999, "2.00 epochs"),
            (0.001, "less than 0.01 epochs"),
        ] {
            assert_eq!(said(epochs), expected);
        }
    }

    #[test]
    fn a_training_of_seconds_says_nothing_of_more_loaders() {
        for seconds in [0.5, 3.0, 29.9] {
            let verdict = Outcome { seconds, ..outcome(0.93, 1) }.verdict(true);
            assert_eq!(
                verdict,
                format!(
                    "waiting for data 93 % of {seconds:.1} s: too short to say how many loaders would keep up"
                )
            );
        }
        assert!(Outcome { seconds: 3.0, ..outcome(0.01, 1) }.verdict(true).contains("kept up"));
    }
}
