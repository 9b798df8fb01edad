//! What a model's scores are worth: which classes it confuses, and whether its probabilities hold.
//!
//! Everything is summed on the device and read back once. Calibration follows C. Guo et al., "On
//! Calibration of Modern Neural Networks", 2017, with the bins of torchmetrics, so that figures can be
//! put beside other people's.

use super::Confusion;
use tch::{Device, Kind, Tensor};

/// Bins of confidence, equally wide.
const BINS: i64 = 15;

/// Sums over samples that were scored.
pub struct Quality {
    classes: i64,
    /// The lower ends of the bins and, as the start of a bin of its own, 1.
    starts: Tensor,
    /// classes × classes; row: the sample's class, column: the one it was taken for.
    confusion: Tensor,
    log_likelihood: Tensor,
    /// For each bin: samples, those that were right, and the sum of the confidences.
    bins: Tensor,
}

/// What the sums come to.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityResult {
    /// Which classes were taken for which.
    pub confusion: Confusion,
    /// Mean of -ln(probability of the sample's class), in nats.
    pub negative_log_likelihood: f64,
    /// Mean distance between confidence (the probability of the class chosen) and accuracy, over bins
    /// of confidence weighted by their samples; 0 to 1.
    pub expected_calibration_error: f64,
}

impl Quality {
    /// Nothing scored yet.
    #[must_use]
    pub fn new(classes: i64, device: Device) -> Self {
        Quality {
            classes,
            starts: Tensor::linspace(0.0, 1.0, BINS + 1, (Kind::Float, device)),
            confusion: Tensor::zeros([classes * classes], (Kind::Int64, device)),
            log_likelihood: Tensor::zeros([], (Kind::Double, device)),
            bins: Tensor::zeros([3, BINS + 1], (Kind::Double, device)),
        }
    }

    /// Adds samples: n × classes raw scores, and n classes (i64).
    pub fn add(&mut self, scores: &Tensor, labels: &Tensor) {
        let likelihoods = scores.log_softmax(1, Kind::Double).gather(1, &labels.unsqueeze(1), false);
        self.log_likelihood += likelihoods.sum(Kind::Double);

        let (confidence, chosen) = scores.softmax(1, Kind::Float).max_dim(1, false);
        self.confusion += (labels * self.classes + &chosen).bincount::<Tensor>(None, self.classes.pow(2));

        let bin = confidence.bucketize(&self.starts, false, true) - 1;
        let right = chosen.eq_tensor(labels).to_kind(Kind::Double);
        let values = Tensor::stack(&[right.ones_like(), right, confidence.to_kind(Kind::Double)], 0);
        self.bins = self.bins.index_add(1, &bin, &values);
    }

    /// What they come to; at least one sample was added.
    ///
    /// # Panics
    /// Never: counts are a vector of whole numbers.
    #[must_use]
    pub fn result(&self) -> QualityResult {
        let counts =
            Vec::<i64>::try_from(self.confusion.to_device(Device::Cpu)).expect("a vector of numbers");
        let counts: Vec<_> = counts.into_iter().map(i64::cast_unsigned).collect();
        let confusion = Confusion::new(counts.chunks(self.classes as usize).map(<[_]>::to_vec).collect());
        let samples = confusion.samples() as f64;

        // |right / n - confidence / n| × n / samples, so that an empty bin adds nothing.
        let [right, confidence] = [1, 2].map(|row| self.bins.get(row));
        let gaps = (right - confidence).abs().sum(Kind::Double).double_value(&[]);
        QualityResult {
            confusion,
            negative_log_likelihood: -self.log_likelihood.double_value(&[]) / samples,
            expected_calibration_error: gaps / samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::reference::{self, Case};

    #[test]
    fn likelihood_calibration_and_accuracy_are_those_of_pytorch() {
        for Case { name, scores, labels, accuracy, negative_log_likelihood, expected_calibration_error } in
            reference::cases()
        {
            let classes = scores.size()[1];
            let mut quality = Quality::new(classes, Device::Cpu);
            // In two unequal parts, as batches come.
            for (start, end) in [(0, 7), (7, labels.size()[0])] {
                quality.add(&scores.slice(0, start, end, 1), &labels.slice(0, start, end, 1));
            }
            let result = quality.result();
            for (what, got, wanted) in [
                ("accuracy", result.confusion.accuracy(), accuracy),
                ("negative log-likelihood", result.negative_log_likelihood, negative_log_likelihood),
                ("calibration error", result.expected_calibration_error, expected_calibration_error),
            ] {
                assert!(
                    (got - wanted).abs() < 1e-6 * (1.0 + wanted),
                    "{name}: {what} {got}, PyTorch {wanted}"
                );
            }
        }
    }
}
