//! Values over several trials: mean, spread, and what a difference is worth.

use super::student;
use serde::Serialize;

/// The share of such intervals that hold the true value.
const CONFIDENCE: f64 = 0.95;

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

    /// `mean ± deviation` with `digits` after the point, both multiplied by `factor`.
    #[must_use]
    pub fn show(&self, factor: f64, digits: usize) -> String {
        let mean = format!("{:.digits$}", self.mean * factor);
        match self.standard_deviation {
            Some(deviation) => format!("{mean} ± {:.digits$}", deviation * factor),
            None => mean,
        }
    }
}

/// What one arm is above another, over pairs of trials with the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Pairs.
    pub pairs: usize,
    /// Arithmetic mean of the pairs' differences.
    pub mean: f64,
    /// Standard deviation of a sample (over n - 1); none for a single pair.
    pub standard_deviation: Option<f64>,
    /// Interval that holds the true difference with 95 % confidence, if the differences are spread normally
    /// (Student's t, n - 1 degrees of freedom); none for a single pair.
    pub confidence_95: Option<[f64; 2]>,
}

impl Difference {
    /// Of the pairs' differences, of which there is at least one.
    #[must_use]
    pub fn of(differences: &[f64]) -> Self {
        let Statistic { mean, standard_deviation } = Statistic::of(differences);
        let pairs = differences.len();
        let confidence_95 = standard_deviation.map(|deviation| {
            let half = student::quantile(CONFIDENCE, pairs as u32 - 1) * deviation / (pairs as f64).sqrt();
            [mean - half, mean + half]
        });
        Difference { pairs, mean, standard_deviation, confidence_95 }
    }

    /// The mean in percentage points, with its sign.
    #[must_use]
    pub fn show(&self) -> String {
        format!("{:+.2}", 100.0 * self.mean)
    }

    /// The interval in percentage points; a dash where there is none.
    #[must_use]
    pub fn show_interval(&self) -> String {
        self.confidence_95
            .map_or("–".to_owned(), |[low, high]| format!("{:+.2} to {:+.2}", 100.0 * low, 100.0 * high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let statistic = Statistic::of(&[0.74, 0.75, 0.76]);
        assert!((statistic.mean - 0.75).abs() < 1e-12);
        assert!((statistic.standard_deviation.unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(statistic.show(100.0, 1), "75.0 ± 1.0");
        assert_eq!(Statistic::of(&[0.5]).show(100.0, 1), "50.0");
    }

    #[test]
    fn the_interval_is_students() {
        // Mean 0.02, deviation 0.01, three pairs: 4.303 × 0.01 / √3 to both sides.
        let difference = Difference::of(&[0.01, 0.02, 0.03]);
        let [low, high] = difference.confidence_95.unwrap();
        assert!((low - (0.02 - 0.024_841)).abs() < 1e-5 && (high - (0.02 + 0.024_841)).abs() < 1e-5);
        assert_eq!(difference.show(), "+2.00");
        assert_eq!(difference.show_interval(), "-0.48 to +4.48");
    }

    #[test]
    fn a_single_pair_has_no_interval() {
        let difference = Difference::of(&[-0.01]);
        assert_eq!((difference.pairs, difference.confidence_95), (1, None));
        assert_eq!(difference.show_interval(), "–");
    }
}
