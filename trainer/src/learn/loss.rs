//! The loss function: how far the scores are from soft targets.
//!
//! Targets are shares per class that sum to one, as mixup makes them; a clean image has all of it in
//! one class, and both losses are then the ordinary ones.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

/// Which loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Cross-entropy with soft targets: one decision among all classes.
    #[default]
    SoftCe,
    /// Binary cross-entropy per class, averaged over classes: one decision for each class.
    Bce,
}

impl Loss {
    /// The mean loss of a batch, a scalar: `logits` and `targets` are rows × classes.
    pub fn of(self, logits: &Tensor, targets: &Tensor) -> Tensor {
        match self {
            // No class is ignored: the index is one that soft targets do not have.
            Loss::SoftCe => logits.cross_entropy_loss::<Tensor>(targets, None, Reduction::Mean, -100, 0.0),
            Loss::Bce => {
                logits.binary_cross_entropy_with_logits::<Tensor>(targets, None, None, Reduction::Mean)
            }
        }
    }

    /// The sum of the losses of images whose one class is known, in double precision: `logits` are rows × classes,
    /// `labels` (i64) one class each. Divided by the number of images it is the mean that [`Loss::of`] gives.
    pub fn sum_on_labels(self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let logits = logits.to_kind(Kind::Double);
        match self {
            Loss::SoftCe => logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Sum, -100, 0.0),
            Loss::Bce => {
                let classes = logits.size()[1];
                let targets = labels.one_hot(classes).to_kind(Kind::Double);
                let sum =
                    logits.binary_cross_entropy_with_logits::<Tensor>(&targets, None, None, Reduction::Sum);
                sum / classes as f64
            }
        }
    }
}

/// Takes the share `smoothing` (0 to below 1) from `targets` and spreads it evenly over all classes, so
/// that no score has to grow without end (Szegedy et al., arXiv:1512.00567). This is what the
/// `label_smoothing` of PyTorch's cross-entropy does to soft targets.
pub fn smooth(targets: Tensor, smoothing: f64) -> Tensor {
    if smoothing <= 0.0 {
        return targets;
    }
    let classes = targets.size()[1] as f64;
    targets * (1.0 - smoothing) + smoothing / classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::reference::{assert_close, floats, training, wave};

    fn example() -> (Tensor, Tensor) {
        let logits = Tensor::from_slice(&[1f32, 2.0, 0.5, -1.0, 0.0, 3.0]).reshape([2, 3]);
        let targets = Tensor::from_slice(&[0.7f32, 0.3, 0.0, 0.0, 0.0, 1.0]).reshape([2, 3]);
        (logits, targets)
    }

    fn close(got: &Tensor, expected: f64) {
        let got = got.double_value(&[]);
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }

    #[test]
    fn both_losses_are_those_of_pytorch_with_and_without_smoothing() {
        let reference = &training()["losses"];
        let logits = wave(20, 1.0).reshape([4, 5]) * 4.0;
        let targets = || {
            let targets: Vec<_> = floats(&reference["targets"]).iter().map(|share| *share as f32).collect();
            Tensor::from_slice(&targets).reshape([4, 5])
        };
        for case in reference["cases"].as_array().unwrap() {
            let targets = smooth(targets(), case["smoothing"].as_f64().unwrap());
            for (loss, name) in [(Loss::SoftCe, "soft_ce"), (Loss::Bce, "bce")] {
                let got = loss.of(&logits, &targets).double_value(&[]);
                assert_close(name, &[got], &[case[name].as_f64().unwrap()], 1e-6);
            }
        }
    }

    #[test]
    fn the_loss_on_labels_is_that_of_targets_that_name_one_class() {
        let logits = wave(20, 1.0).reshape([4, 5]) * 4.0;
        let labels = Tensor::from_slice(&[0_i64, 4, 2, 2]);
        let targets = labels.one_hot(5).to_kind(Kind::Float);
        for loss in [Loss::SoftCe, Loss::Bce] {
            let mean = loss.sum_on_labels(&logits, &labels).double_value(&[]) / 4.0;
            close(&loss.of(&logits, &targets), mean);
        }
    }

    #[test]
    fn soft_cross_entropy_is_the_mean_of_the_targets_against_log_softmax() {
        let (logits, targets) = example();
        let log_sum_exp = |row: [f64; 3]| row.map(f64::exp).iter().sum::<f64>().ln();
        let (one, two) = (log_sum_exp([1.0, 2.0, 0.5]), log_sum_exp([-1.0, 0.0, 3.0]));
        let first = 0.7 * (one - 1.0) + 0.3 * (one - 2.0);
        let second = two - 3.0;
        close(&Loss::SoftCe.of(&logits, &targets), (first + second) / 2.0);
    }

    #[test]
    fn binary_cross_entropy_is_the_mean_over_rows_and_classes() {
        let (logits, targets) = example();
        let one = |x: f64, y: f64| (1.0 + x.exp()).ln() - x * y;
        let sum =
            one(1.0, 0.7) + one(2.0, 0.3) + one(0.5, 0.0) + one(-1.0, 0.0) + one(0.0, 0.0) + one(3.0, 1.0);
        close(&Loss::Bce.of(&logits, &targets), sum / 6.0);
    }
}
