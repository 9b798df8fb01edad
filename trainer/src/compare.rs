//! Training with and without mixup, and what difference it makes.
//!
//! Trials are paired: trial i of both arms has the same seed, so the same initial weights and the same
//! order of images, and differs in nothing but the mixing. What counts is the accuracy after the last
//! epoch: choosing the best epoch would choose by the test set.

use crate::config::{RunConfig, UsageError};
use crate::outcome::Outcome;
use crate::train::Trained;
use serde::Serialize;

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// Images as they are.
    WithoutMixup,
    /// Mixed as the settings say.
    WithMixup,
}

impl Arm {
    /// Both, in the order in which they are run and shown.
    pub const ALL: [Arm; 2] = [Arm::WithoutMixup, Arm::WithMixup];

    /// Its name in folders and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arm::WithoutMixup => "without-mixup",
            Arm::WithMixup => "with-mixup",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Arm::WithoutMixup => "without mixup",
            Arm::WithMixup => "with mixup",
        }
    }

    /// The run of trial `trial` (from 0) of this arm, given the run that is to be compared.
    ///
    /// # Errors
    /// When that run mixes nothing.
    pub fn trial(self, base: &RunConfig, trial: u32) -> Result<RunConfig, UsageError> {
        let mut settings = base.settings.clone();
        let seed = base.training.stream.seed + u64::from(trial);
        settings.seed = Some(seed);
        if self == Arm::WithoutMixup {
            settings.mixup_prob = Some(0.0);
        } else if base.training.stream.mixing.is_none() {
            return Err(UsageError::new(
                "nothing to compare: --mixup-alpha and --mixup-prob must be above 0",
            ));
        }
        settings.check()
    }
}

/// What a comparison came to.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Recipe both arms started from.
    pub preset: String,
    /// Network.
    pub model: String,
    /// Name of the data set.
    pub dataset: String,
    /// Digest of the data set, hexadecimal.
    pub dataset_digest: String,
    /// Epochs of each training.
    pub epochs: u64,
    /// Trainings of each arm.
    pub trials: u32,
    /// Both arms.
    pub arms: Vec<ArmResult>,
    /// Test accuracy with mixup less that without, over pairs of equal seed.
    pub difference: Statistic,
    /// Path of the curves.
    pub curves: String,
}

/// What an arm came to.
#[derive(Clone, Debug, Serialize)]
pub struct ArmResult {
    /// Its name.
    pub arm: &'static str,
    /// Test accuracy after the last epoch, 0 to 1.
    pub test_accuracy: Statistic,
    /// Loss over the last epoch.
    pub train_loss: Statistic,
    /// Training speed.
    pub images_per_second: Statistic,
    /// Share of training time spent waiting for data, 0 to 1.
    pub data_wait_ratio: Statistic,
    /// Each training.
    pub trials: Vec<Outcome>,
}

/// A value over several trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistic {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of a sample (over n - 1); none for a single trial.
    pub standard_deviation: Option<f64>,
}

impl Statistic {
    /// Mean and spread of `values`, of which there is at least one.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Statistic { mean, standard_deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) }
    }

    /// As `76.5 ± 0.3`, with `digits` after the point; `factor` is 100 for percent.
    #[must_use]
    pub fn show(self, factor: f64, digits: usize) -> String {
        let mean = format!("{:.digits$}", self.mean * factor);
        match self.standard_deviation {
            Some(deviation) => format!("{mean} ± {:.digits$}", deviation * factor),
            None => mean,
        }
    }
}

impl Comparison {
    /// Sums up the trainings of both arms, in the order of [`Arm::ALL`]; trial i of each belong
    /// together.
    #[must_use]
    pub fn of(arms: &[Vec<Trained>; 2], base: &RunConfig, curves: String) -> Self {
        let first = arms[0].first().map(|trained| &trained.outcome);
        let accuracy = |trained: &Trained| trained.outcome.test_accuracy;
        let differences: Vec<_> =
            arms[0].iter().zip(&arms[1]).map(|(without, with)| accuracy(with) - accuracy(without)).collect();
        Comparison {
            preset: base.training.preset.name().to_owned(),
            model: base.training.model.name().to_owned(),
            dataset: first.map(|outcome| outcome.dataset.clone()).unwrap_or_default(),
            dataset_digest: first.map(|outcome| outcome.dataset_digest.clone()).unwrap_or_default(),
            epochs: first.map_or(0, |outcome| outcome.epochs),
            trials: arms[0].len() as u32,
            arms: Arm::ALL.iter().zip(arms).map(|(arm, trained)| ArmResult::of(*arm, trained)).collect(),
            difference: Statistic::of(&differences),
            curves,
        }
    }
}

impl ArmResult {
    fn of(arm: Arm, trained: &[Trained]) -> Self {
        let over = |value: fn(&Outcome) -> f64| {
            Statistic::of(&trained.iter().map(|trained| value(&trained.outcome)).collect::<Vec<_>>())
        };
        ArmResult {
            arm: arm.name(),
            test_accuracy: over(|outcome| outcome.test_accuracy),
            train_loss: over(|outcome| outcome.train_loss),
            images_per_second: over(|outcome| outcome.images_per_second),
            data_wait_ratio: over(|outcome| outcome.data_wait_ratio),
            trials: trained.iter().map(|trained| trained.outcome.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let statistic = Statistic::of(&[0.74, 0.75, 0.76]);
        assert!((statistic.mean - 0.75).abs() < 1e-12);
        assert!((statistic.standard_deviation.unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(statistic.show(100.0, 1), "75.0 ± 1.0");
        assert_eq!(Statistic::of(&[0.5]).show(100.0, 1), "50.0");
    }

    #[test]
    fn trials_of_both_arms_share_their_seed_and_differ_in_mixing_only() {
        let data = Some("synthetic".to_owned());
        let base = Settings { data, seed: Some(7), ..Settings::default() }.check().unwrap();
        let [without, with] = Arm::ALL.map(|arm| arm.trial(&base, 2).unwrap().training.stream);
        assert_eq!((without.seed, with.seed), (9, 9));
        assert_eq!((without.mixing, with.mixing), (None, base.training.stream.mixing));
        assert_eq!(mixfeed_client::StreamSpec { mixing: None, ..with }, without);
    }

    #[test]
    fn a_run_that_mixes_nothing_cannot_be_compared() {
        let data = Some("synthetic".to_owned());
        let base = Settings { data, mixup_alpha: Some(0.0), ..Settings::default() }.check().unwrap();
        assert!(Arm::WithMixup.trial(&base, 0).unwrap_err().to_string().contains("nothing to compare"));
    }
}
