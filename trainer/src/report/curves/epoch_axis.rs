//! The axis of epochs: labelled at whole numbers only.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// Labels at most; more would run into each other.
const MAX_LABELS: f64 = 11.0;

/// From the first to the last epoch, with a little room on both sides.
pub(super) struct EpochAxis(pub(super) Range<f64>);

impl EpochAxis {
    fn ticks(&self) -> Vec<f64> {
        let Range { start, end } = self.0;
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
            .into_iter()
            .find(|step| (end - start) / step < MAX_LABELS)
            .unwrap_or((end - start) / MAX_LABELS);
        let first = (start / step).ceil();
        (0..)
            .map(|number| (first + f64::from(number)) * step)
            .take_while(|tick| *tick <= end)
            .take(MAX_LABELS as usize + 1)
            .collect()
    }
}

impl Ranged for EpochAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (left, right): (i32, i32)) -> i32 {
        let Range { start, end } = self.0;
        left + ((value - start) / (end - start) * f64::from(right - left)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks()
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_whole_epochs_and_not_too_many() {
        assert_eq!(EpochAxis(0.9..1.1).ticks(), [1.0]);
        assert_eq!(EpochAxis(0.9..3.1).ticks(), [1.0, 2.0, 3.0]);
        assert_eq!(EpochAxis(0.1..30.9).ticks(), [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(EpochAxis(-5.0..205.0).ticks().len(), 11);
    }
}
