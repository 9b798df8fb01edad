//! The time of a stream, which stands still while this process does not run.
//!
//! A process may be stopped for hours (SIGSTOP, a paused container, a scheduler's suspend). Nothing that loaders did or left undone
//! in that time is their fault, so it counts for nothing.

use crate::scheduler::{Micros, micros};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// The time is looked at this often at least.
const TICK: Duration = Duration::from_secs(1);

/// A longer time between two looks was not spent running, but for a tick.
const STOPPED: Duration = Duration::from_secs(2);

/// A clock that is looked at every [`TICK`] or more often.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// When it was last looked at, by a clock that never stands still.
    looked_at: AtomicU64,
    /// What was not spent running.
    stopped: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { started: Instant::now(), looked_at: AtomicU64::new(0), stopped: AtomicU64::new(0) }
    }
}

impl Clock {
    pub(super) fn now(&self) -> Micros {
        let now = micros(self.started.elapsed());
        let passed = now.saturating_sub(self.looked_at.swap(now, Relaxed));
        if passed > micros(STOPPED) {
            self.stopped.fetch_add(passed - micros(TICK), Relaxed);
        }
        now.saturating_sub(self.stopped.load(Relaxed))
    }

    /// The moment at which it will show `at`, or a tick from now if that is earlier.
    pub(super) fn at(&self, at: Micros) -> Instant {
        let rest = Duration::from_micros(at.saturating_sub(self.now()));
        Instant::now() + rest.min(TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_process_did_not_run_counts_as_one_tick() {
        let clock = Clock::default();
        for _ in 0..100 {
            tokio::time::advance(TICK).await;
            clock.now();
        }
        assert_eq!(clock.now(), 100 * micros(TICK));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), 101 * micros(TICK));
        assert_eq!(clock.at(101 * micros(TICK) + 5), Instant::now() + Duration::from_micros(5));
        assert_eq!(clock.at(Micros::MAX), Instant::now() + TICK);
    }
}
