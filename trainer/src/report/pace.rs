//! How fast training goes, as it is shown while it goes: over the last moments, not since the start.

use crate::run::observer::Step;
use std::time::{Duration, Instant};

/// How much of the past is covered.
const SPAN: Duration = Duration::from_secs(5);

/// The steps of a span say little before it is this old.
const SETTLED: Duration = Duration::from_secs(1);

/// Watches steps.
pub(crate) struct Pace {
    since: Instant,
    images: usize,
    time: Duration,
    waited: Duration,
    recent: Recent,
    is_first: bool,
}

/// The speed of the last moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Recent {
    pub(crate) images_per_second: f64,
    /// Share of the time spent waiting for data, 0 to 1.
    pub(crate) data_wait_ratio: f64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Pace {
            since: Instant::now(),
            images: 0,
            time: Duration::ZERO,
            waited: Duration::ZERO,
            recent: Recent::default(),
            is_first: true,
        }
    }

    /// Adds a step, and says how fast it goes.
    pub(crate) fn step(&mut self, step: &Step) -> Recent {
        self.images += step.rows;
        self.time += step.time;
        self.waited += step.waited;
        // What was said before stays until a span has settled.
        if self.is_first || self.time > SETTLED {
            let seconds = self.time.as_secs_f64().max(f64::MIN_POSITIVE);
            self.recent = Recent {
                images_per_second: self.images as f64 / seconds,
                data_wait_ratio: self.waited.as_secs_f64() / seconds,
            };
            self.is_first &= self.time <= SETTLED;
        }
        if self.since.elapsed() > SPAN {
            (self.images, self.time, self.waited) = (0, Duration::ZERO, Duration::ZERO);
            self.since = Instant::now();
        }
        self.recent
    }
}

/// How many loaders would keep up: the rate at which training would consume, were there no wait, over the rate
/// at which one loader delivers. While training waits, what `replicas` deliver is the share of that rate
/// during which it does not wait. When it hardly waits, fewer might do as well, but nothing tells.
#[must_use]
pub(crate) fn loaders_wanted(replicas: u64, data_wait_ratio: f64) -> f64 {
    replicas as f64 / (1.0 - data_wait_ratio).max(0.01)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::tally::Losses;

    fn step(milliseconds: u64, waited: u64) -> Step {
        Step {
            done: 1,
            epoch: 0,
            rows: 10,
            time: Duration::from_millis(milliseconds),
            waited: Duration::from_millis(waited),
            losses: Losses::default(),
            learning_rate: 0.1,
            replicas: 2,
        }
    }

    #[test]
    fn the_rate_and_the_wait_are_those_of_the_steps() {
        let mut pace = Pace::new();
        pace.step(&step(500, 0));
        let recent = pace.step(&step(1500, 500));
        assert!((recent.images_per_second - 10.0).abs() < 1e-9, "{recent:?}");
        assert!((recent.data_wait_ratio - 0.25).abs() < 1e-9, "{recent:?}");
    }

    #[test]
    fn loaders_that_are_waited_for_half_of_the_time_are_half_of_what_is_wanted() {
        assert!((loaders_wanted(2, 0.5) - 4.0).abs() < 1e-9);
        assert!((loaders_wanted(3, 0.0) - 3.0).abs() < 1e-9);
        assert!(loaders_wanted(1, 1.0).is_finite());
    }
}
