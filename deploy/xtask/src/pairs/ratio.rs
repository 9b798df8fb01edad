//! The median of a few numbers, and how far it can be trusted.

/// The least coverage of an interval that is told.
const COVERAGE: f64 = 0.95;

/// Returns the median.
///
/// # Panics
/// When there are no values.
pub(super) fn median(values: &[f64]) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// Returns the lowest and the highest.
pub(super) fn range(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// Where the median of the distribution lies that the values were drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
    /// The chance that such an interval holds the median.
    pub(super) coverage: f64,
}

impl Interval {
    /// Takes the innermost two of the sorted values that hold the median with a chance of 95 % or more, whatever the
    /// distribution: each value lies below the median with a chance of one half, so the number that do is binomial
    /// (Conover, "Practical Nonparametric Statistics", confidence intervals for quantiles). Nothing for fewer than
    /// six values, whose whole range holds it less often.
    pub(super) fn of_median(values: &[f64]) -> Option<Self> {
        let values = sorted(values);
        let n = values.len();
        // The chance that at most `cut` of n fair coins show heads, for each cut in turn.
        let mut outside = 0.0;
        let mut probability = 0.5_f64.powi(i32::try_from(n).ok()?);
        let mut found = None;
        for cut in 0..n / 2 {
            outside += probability;
            probability *= (n - cut) as f64 / (cut + 1) as f64;
            let coverage = 1.0 - 2.0 * outside;
            if coverage < COVERAGE {
                break;
            }
            found = Some(Self { low: values[cut], high: values[n - 1 - cut], coverage });
        }
        found
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn the_interval_has_the_ranks_of_the_tables() {
        let numbers = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        // Ranks and coverage as printed in tables of this interval.
        for (n, low, high, coverage) in [(6, 1.0, 6.0, 0.969), (10, 2.0, 9.0, 0.979), (20, 6.0, 15.0, 0.959)]
        {
            let interval = Interval::of_median(&numbers(n)).unwrap();
            assert!(
                (interval.low - low).abs() < 1e-12 && (interval.high - high).abs() < 1e-12,
                "{n}: {interval:?}"
            );
            assert!((interval.coverage - coverage).abs() < 5e-4, "{n}: {interval:?}");
        }
    }

    #[test]
    fn five_values_have_no_interval() {
        assert_eq!(Interval::of_median(&[1.0; 5]), None);
    }
}
