//! What a comparison came to: `compare.json`, and a row for each training in `compare.csv`.

use super::{Arm, Difference, Grid, Plan, Statistic};
use crate::config::RunConfig;
use crate::report::table;
use crate::run::run_folder::{RunFolder, number_or_nothing};
use crate::train::Trained;
use crate::train::outcome::Outcome;
use serde::Serialize;

/// What a comparison came to.
///
/// A comparison that was interrupted and resumed comes to the same, but for what is measured in time:
/// `seconds`, `evaluation_seconds`, `images_per_second` and `data_wait_ratio`.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Recipe all arms started from.
    pub preset: String,
    /// Network.
    pub model: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Digest of the dataset, hexadecimal.
    pub dataset_digest: String,
    /// Epochs of each training.
    pub epochs: u64,
    /// Trainings of each arm.
    pub trials: u32,
    /// Only the first so many training images were trained on; none when all were.
    pub limit: Option<u64>,
    /// Only the first so many test images were scored; none when all were.
    pub test_limit: Option<u64>,
    /// The table of amounts and distributions that the arms after the first are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// All arms; the first is without mixup.
    pub arms: Vec<ArmResult>,
    /// Test accuracy with mixup less that without; of a grid, each arm has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// Path of the curves of both arms; of a grid, of training without mixup and of the field with the highest accuracy.
    pub curves: String,
    /// Path of the picture of a grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heat_map: Option<String>,
}

/// What an arm came to.
#[derive(Clone, Debug, Serialize)]
pub struct ArmResult {
    /// Its name.
    pub arm: String,
    /// Lambda is drawn from Beta(alpha, alpha); none without mixup.
    pub mixup_alpha: Option<f64>,
    /// Share of samples that are mixed; none without mixup.
    pub mixup_prob: Option<f64>,
    /// Test accuracy after the last epoch, 0 to 1.
    pub test_accuracy: Statistic,
    /// The same less that without mixup, over pairs of equal seed; none without mixup.
    pub difference: Option<Difference>,
    /// Loss over the last epoch, as images were mixed: not comparable between arms.
    pub train_loss: Statistic,
    /// Loss over the test images after the last epoch; none where an older release did not measure it.
    pub test_loss: Option<Statistic>,
    /// Training speed.
    pub images_per_second: Statistic,
    /// Share of training time spent waiting for data, 0 to 1.
    pub data_wait_ratio: Statistic,
    /// Each training.
    pub trials: Vec<Outcome>,
}

impl Comparison {
    /// Sums up the trainings of all arms of `plan`; trial i of each belong together.
    ///
    /// # Panics
    /// When an arm has no training.
    #[must_use]
    pub fn of(plan: &Plan, trained: &[Vec<Trained>], base: &RunConfig, folder: &RunFolder) -> Self {
        let without = &trained[0];
        let first = &without[0].outcome;
        let arms = plan.arms.iter().zip(trained);
        let arms: Vec<_> = arms.map(|(arm, trained)| ArmResult::of(*arm, trained, without, base)).collect();
        Comparison {
            preset: first.preset.clone(),
            model: first.model.clone(),
            dataset: first.dataset.clone(),
            dataset_digest: first.dataset_digest.clone(),
            epochs: first.epochs,
            trials: plan.trials,
            limit: first.limit,
            test_limit: first.test_limit,
            difference: if plan.grid.is_some() { None } else { arms[1].difference },
            grid: plan.grid.clone(),
            arms,
            heat_map: plan.grid.is_some().then(|| folder.grid().display().to_string()),
            curves: folder.curves().display().to_string(),
        }
    }

    /// The number of the arm with the highest mean test accuracy, the first of equals, of those that mix.
    #[must_use]
    pub fn best(&self) -> Option<usize> {
        let mean = |(_, arm): &(usize, &ArmResult)| arm.test_accuracy.mean;
        let mixing = self.arms.iter().enumerate().skip(1).rev();
        mixing.max_by(|one, other| mean(one).total_cmp(&mean(other))).map(|(number, _)| number)
    }

    /// What was left out of training or scoring, if anything was.
    #[must_use]
    pub fn limits(&self) -> Option<String> {
        table::limits(self.limit, self.test_limit)
    }

    /// One row for each training.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = COLUMNS.to_owned();
        let number = number_or_nothing;
        let whole = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        for arm in &self.arms {
            for trial in &arm.trials {
                let Outcome { seed, epochs, steps, images, train_loss, test_accuracy, .. } = trial;
                let Outcome { seconds, images_per_second, data_wait_ratio, weights_digest, .. } = trial;
                text += &format!(
                    "{},{},{},{seed},{epochs},{steps},{images},{train_loss},{test_accuracy},{seconds:.3},\
                     {images_per_second:.1},{data_wait_ratio:.4},{weights_digest},{},{},{}\n",
                    arm.arm,
                    number(arm.mixup_alpha),
                    number(arm.mixup_prob),
                    number(trial.test_loss),
                    whole(trial.limit),
                    whole(trial.test_limit),
                );
            }
        }
        text
    }
}

const COLUMNS: &str = "arm,mixup_alpha,mixup_prob,seed,epochs,steps,images,train_loss,test_accuracy,seconds,\
                       images_per_second,data_wait_ratio,weights_digest,test_loss,limit,test_limit\n";

impl ArmResult {
    fn of(arm: Arm, trained: &[Trained], without: &[Trained], base: &RunConfig) -> Self {
        let over = |value: fn(&Outcome) -> f64| {
            Statistic::of(&trained.iter().map(|trained| value(&trained.outcome)).collect::<Vec<_>>())
        };
        let accuracy = |trained: &Trained| trained.outcome.test_accuracy;
        let test_losses: Option<Vec<_>> = trained.iter().map(|trained| trained.outcome.test_loss).collect();
        let differences: Vec<_> =
            trained.iter().zip(without).map(|(with, without)| accuracy(with) - accuracy(without)).collect();
        let (mixup_alpha, mixup_prob) = match arm {
            Arm::WithoutMixup => (None, None),
            Arm::WithMixup => {
                let given = &base.settings.augmentation;
                (given.mixup_alpha, given.mixup_prob)
            }
            Arm::Field(amount) => (Some(amount.alpha), Some(amount.probability)),
        };
        ArmResult {
            arm: arm.name(),
            mixup_alpha,
            mixup_prob,
            test_accuracy: over(|outcome| outcome.test_accuracy),
            difference: (arm != Arm::WithoutMixup).then(|| Difference::of(&differences)),
            train_loss: over(|outcome| outcome.train_loss),
            test_loss: test_losses.map(|losses| Statistic::of(&losses)),
            images_per_second: over(|outcome| outcome.images_per_second),
            data_wait_ratio: over(|outcome| outcome.data_wait_ratio),
            // Where a process went on says something of the process, not of the training.
            trials: trained
                .iter()
                .map(|trained| Outcome { resumed_from_step: None, ..trained.outcome.clone() })
                .collect(),
        }
    }
}
