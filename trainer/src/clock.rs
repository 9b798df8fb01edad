//! Where the time of a training goes: to each step, to each epoch, and in both to waiting for data.

use std::time::{Duration, Instant};

/// Measures steps and epochs. Evaluation lies between [`Clock::lap`] and [`Clock::restart`] and is
/// not part of either.
pub(crate) struct Clock {
    epoch_start: Instant,
    step_start: Instant,
    waited_at_epoch_start: Duration,
    waited: Duration,
    images: u64,
}

/// The time of an epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lap {
    /// From its first step's wait to its last step's end.
    pub(crate) seconds: f64,
    /// Part of it spent waiting for data.
    pub(crate) data_wait_seconds: f64,
    /// Images trained on.
    pub(crate) images: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Clock {
            epoch_start: now,
            step_start: now,
            waited_at_epoch_start: Duration::ZERO,
            waited: Duration::ZERO,
            images: 0,
        }
    }

    /// Ends a step; `waited` is the time spent waiting since training began. Returns the time of the
    /// step and the wait in it.
    pub(crate) fn step(&mut self, rows: usize, waited: Duration) -> (Duration, Duration) {
        let now = Instant::now();
        let times = (now - self.step_start, waited.saturating_sub(self.waited));
        self.step_start = now;
        self.waited = waited;
        self.images += rows as u64;
        times
    }

    /// Ends an epoch.
    pub(crate) fn lap(&self) -> Lap {
        Lap {
            seconds: self.epoch_start.elapsed().as_secs_f64(),
            data_wait_seconds: (self.waited - self.waited_at_epoch_start).as_secs_f64(),
            images: self.images,
        }
    }

    /// Begins the next epoch.
    pub(crate) fn restart(&mut self) {
        let now = Instant::now();
        (self.epoch_start, self.step_start) = (now, now);
        self.waited_at_epoch_start = self.waited;
        self.images = 0;
    }
}
