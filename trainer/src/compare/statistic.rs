//! Values over several trials: mean, spread, and what a difference is worth.

use super::student;
use serde::Serialize;

/// The share of such intervals that hold the true value.
const CONFIDENCE: f64 = 0.95;

/// Accuracies differ by one image of a million at least, or not at all.
const NO_SPREAD: f64 = 1e-9;

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

/// A share in percentage points, with its sign (a minus, not a hyphen).
pub(super) fn points(share: f64) -> String {
    let text = format!("{:+.2}", 100.0 * share);
    // Nothing has no sign.
    if text.ends_with("0.00") && text.len() == 5 { "0.00".to_owned() } else { text.replace('-', "−") }
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
        points(self.mean)
    }

    /// The interval in percentage points; a dash where there is none.
    #[must_use]
    pub fn show_interval(&self) -> String {
        self.confidence_95
            .map_or("–".to_owned(), |[low, high]| format!("[{}, {}]", points(low), points(high)))
    }

    /// Whether the interval leaves out 0, so that a difference is shown. One of no width shows nothing: few pairs that
    /// happen to differ alike tell nothing of how others would.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.has_spread() && self.confidence_95.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }

    fn has_spread(&self) -> bool {
        self.standard_deviation.is_some_and(|deviation| deviation > NO_SPREAD)
    }

    /// What it is worth, in plain statistics: the mean, its interval, the number of pairs, and the verdict.
    #[must_use]
    pub fn verdict(&self) -> String {
        let Difference { pairs, mean, .. } = *self;
        let verdict = match self.confidence_95 {
            None => return format!("{} points, n = {pairs}: one pair gives no interval", self.show()),
            Some(_) if !self.has_spread() && mean != 0.0 => {
                "no difference shown, for the pairs have no spread"
            }
            Some(_) if !self.is_shown() => "no difference shown",
            Some(_) if mean > 0.0 => "an improvement",
            Some(_) => "a loss",
        };
        format!("{} points, 95 % CI {}, n = {pairs}: {verdict}", self.show(), self.show_interval())
    }

    /// What to know where pairs are so few that hardly anything can be shown.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let t =
            student::quantile(CONFIDENCE, (self.pairs as u32).checked_sub(1).filter(|&freedom| freedom > 0)?);
        (self.pairs == 2).then(|| {
            format!(
                "n = 2 is very few: the interval reaches t = {t:.1} standard errors to each side (4.3 with n = 3, 2.8 \
                 with n = 5); give --trials 5 or more"
            )
        })
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
        assert_eq!(difference.show_interval(), "[−0.48, +4.48]");
        assert_eq!(difference.verdict(), "+2.00 points, 95 % CI [−0.48, +4.48], n = 3: no difference shown");
        assert_eq!(difference.warning(), None);
    }

    #[test]
    fn a_single_pair_has_no_interval() {
        let difference = Difference::of(&[-0.01]);
        assert_eq!((difference.pairs, difference.confidence_95), (1, None));
        assert_eq!(difference.show_interval(), "–");
        assert_eq!(difference.verdict(), "−1.00 points, n = 1: one pair gives no interval");
        assert_eq!(difference.warning(), None);
    }

    #[test]
    fn the_verdict_follows_from_the_interval_alone() {
        for (differences, verdict) in [
            (&[0.010, 0.011, 0.012][..], "+1.10 points, 95 % CI [+0.85, +1.35], n = 3: an improvement"),
            (&[-0.010, -0.011, -0.012], "−1.10 points, 95 % CI [−1.35, −0.85], n = 3: a loss"),
            (&[-0.0062, -0.0078], "−0.70 points, 95 % CI [−1.72, +0.32], n = 2: no difference shown"),
            (
                &[0.1, 0.3 - 0.2],
                "+10.00 points, 95 % CI [+10.00, +10.00], n = 2: no difference shown, for the pairs have no spread",
            ),
            (&[0.0, 0.0, 0.0], "0.00 points, 95 % CI [0.00, 0.00], n = 3: no difference shown"),
        ] {
            let difference = Difference::of(differences);
            assert_eq!(difference.verdict(), verdict);
            assert_eq!(difference.is_shown(), !verdict.contains("no difference"));
            assert_eq!(difference.warning().is_some(), differences.len() == 2);
        }
        assert!(Difference::of(&[0.1, 0.2]).warning().unwrap().contains("t = 12.7 "));
    }
}
