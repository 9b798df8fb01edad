//! Where the time of a training goes: to each step, to each epoch, and in both to waiting for data.

use std::time::{Duration, Instant};

/// Measures steps and epochs. It stands still from [`Clock::pause`] to [`Clock::go_on`]: evaluating
/// and writing down an epoch is not part of any.
pub(crate) struct Clock {
    /// The unfinished epoch, up to the last pause.
    lap: Lap,
    /// When the clock began to run, if it runs.
    running_since: Option<Instant>,
    step_start: Instant,
    waited: Duration,
}

/// The time of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lap {
    /// From its first step's wait to its last step's end.
    pub(crate) seconds: f64,
    /// Part of it spent waiting for data.
    pub(crate) data_wait_seconds: f64,
    /// Images trained on.
    pub(crate) images: u64,
}

impl Clock {
    /// Stands still; `lap` is what was measured of the epoch before.
    pub(crate) fn paused(lap: Lap) -> Self {
        Clock { lap, running_since: None, step_start: Instant::now(), waited: Duration::ZERO }
    }

    /// Runs again.
    pub(crate) fn go_on(&mut self) {
        self.step_start = Instant::now();
        self.running_since = Some(self.step_start);
    }

    /// Ends a step; `waited` is the time spent waiting since the stream began. Returns the time of the
    /// step and the wait in it.
    pub(crate) fn step(&mut self, rows: usize, waited: Duration) -> (Duration, Duration) {
        let now = Instant::now();
        let times = (now - self.step_start, waited.saturating_sub(self.waited));
        self.step_start = now;
        self.waited = waited;
        self.lap.data_wait_seconds += times.1.as_secs_f64();
        self.lap.images += rows as u64;
        times
    }

    /// Stands still, if it does not already.
    pub(crate) fn pause(&mut self) {
        self.lap = self.lap();
        self.running_since = None;
    }

    /// The epoch so far.
    pub(crate) fn lap(&self) -> Lap {
        let running = self.running_since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        Lap { seconds: self.lap.seconds + running, ..self.lap }
    }

    /// Begins an epoch, standing still.
    pub(crate) fn next_epoch(&mut self) {
        self.lap = Lap::default();
        self.running_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lap_goes_on_from_where_an_earlier_process_left_it() {
        let before = Lap { seconds: 10.0, data_wait_seconds: 2.0, images: 7 };
        let mut clock = Clock::paused(before);
        assert_eq!(clock.lap(), before, "a clock that stands still measures nothing");
        clock.go_on();
        clock.step(3, Duration::from_millis(500));
        clock.step(2, Duration::from_millis(750));
        clock.pause();
        let lap = clock.lap();
        assert!(lap.seconds > 10.0 && (lap.data_wait_seconds - 2.75).abs() < 1e-9, "{lap:?}");
        assert_eq!(lap.images, 12);
        assert_eq!(clock.lap(), lap);
        clock.next_epoch();
        assert_eq!(clock.lap(), Lap::default());
    }
}
