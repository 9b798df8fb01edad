//! How fast memory grows, and how well that is known.

use super::sample::Sample;
use std::time::Duration;

/// Looks that follow each other say much the same, so that the error is estimated from this many stretches of
/// time, each with its mean.
const STRETCHES: usize = 20;

/// A line through samples, by least squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Mean of the first and of the last stretch.
    pub(crate) first_mib: f64,
    pub(crate) last_mib: f64,
    pub(crate) mib_per_hour: f64,
    /// Of the slope.
    pub(crate) standard_error: f64,
}

impl Growth {
    /// Leaves out the share `warm_up` of the time; nothing for fewer samples than it takes.
    pub(super) fn after(samples: &[(Duration, Sample)], warm_up: f64) -> Option<Self> {
        let end = samples.last()?.0.as_secs_f64();
        let warm = samples.iter().filter(|(at, _)| at.as_secs_f64() >= warm_up * end);
        let points: Vec<_> = warm.map(|(at, sample)| (at.as_secs_f64() / 3600.0, sample.mib())).collect();
        Self::of(&points)
    }

    fn of(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < STRETCHES {
            return None;
        }
        let means: Vec<_> = (0..STRETCHES)
            .map(|which| {
                let stretch =
                    &points[which * points.len() / STRETCHES..(which + 1) * points.len() / STRETCHES];
                let count = stretch.len() as f64;
                let (hours, mib) =
                    stretch.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
                (hours / count, mib / count)
            })
            .collect();
        let count = STRETCHES as f64;
        let mean_x = means.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = means.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread = means.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
        let slope = means.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
        let rest = means.iter().map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum::<f64>();
        let standard_error = (rest / (count - 2.0) / spread).sqrt();
        Some(Self {
            first_mib: means[0].1,
            last_mib: means[STRETCHES - 1].1,
            mib_per_hour: slope,
            standard_error,
        })
    }

    /// Whether it grows by more than `most_mib_per_hour`, and that is no accident.
    pub(super) fn exceeds(&self, most_mib_per_hour: f64) -> bool {
        self.mib_per_hour - 2.0 * self.standard_error > most_mib_per_hour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half an hour of a line with something on it.
    fn half_an_hour(mib_per_hour: f64, noise: impl Fn(usize) -> f64) -> Growth {
        let point = |second: usize| {
            let hours = second as f64 / 3600.0;
            (hours, 300.0 + mib_per_hour * hours + noise(second))
        };
        Growth::of(&(0..1800).map(point).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_leak_is_found_and_noise_is_not_taken_for_one() {
        let saw = |second: usize| (second % 90) as f64 / 10.0;
        let leak = half_an_hour(60.0, saw);
        assert!((leak.mib_per_hour - 60.0).abs() < 3.0 * leak.standard_error + 1.0, "{leak:?}");
        assert!(leak.exceeds(16.0));
        assert!((leak.last_mib - leak.first_mib - 28.5).abs() < 5.0, "{leak:?}");
        let none = half_an_hour(0.0, saw);
        assert!(none.mib_per_hour.abs() < 5.0 && !none.exceeds(16.0), "{none:?}");
    }

    #[test]
    fn a_step_in_the_middle_is_no_certain_slope_of_its_size() {
        let step = half_an_hour(0.0, |second| if second < 900 { 0.0 } else { 4.0 });
        assert!(step.standard_error > 1.0 && !step.exceeds(16.0), "{step:?}");
    }

    #[test]
    fn a_few_samples_say_nothing() {
        assert!(Growth::of(&[(0.0, 1.0); STRETCHES - 1]).is_none());
        assert!(Growth::after(&[], 0.5).is_none());
    }
}
