//! How long a stream waits for its loaders, and when it is given up.
//!
//! While any loader delivers, or gets on with a batch, a stream never fails. The time counts from the last batch that was
//! delivered or taken, and from the last row that a loader said it had built.

use crate::scheduler::{Micros, micros};
use std::time::Duration;

/// A stream whose loaders are connected but deliver nothing is given up after this many idle timeouts at the
/// earliest, so that each of them can be found silent and be replaced first.
const STUCK_IDLE_TIMEOUTS: u32 = 20;

/// A loader that comes back just before the time is up has its chance; but only so many in a row that deliver
/// nothing.
const MAX_FRUITLESS_OPENS: u32 = 10;

/// A stream that gets nowhere says so after this many idle timeouts, and again each time.
const WAIT_LOG_IDLE_TIMEOUTS: u32 = 3;

/// The waiting of a stream.
#[derive(Debug)]
pub(crate) struct Patience {
    /// How long it may get nowhere without a loader.
    timeout: Micros,
    /// What a loader that is connected has at least.
    stuck_timeout: Micros,
    /// When a batch was last delivered or taken, or got on.
    progress_at: Micros,
    last_wait_log: Micros,
    /// Between two lines that say that it gets nowhere.
    log_every: Micros,
    /// Streams that were opened since a batch was last delivered.
    fruitless_opens: u32,
}

impl Patience {
    pub(crate) fn new(loader_timeout: Duration, idle_timeout: Duration) -> Self {
        Self {
            timeout: micros(loader_timeout),
            stuck_timeout: micros(idle_timeout * STUCK_IDLE_TIMEOUTS),
            progress_at: 0,
            last_wait_log: 0,
            log_every: micros(idle_timeout * WAIT_LOG_IDLE_TIMEOUTS),
            fruitless_opens: 0,
        }
    }

    /// A batch was taken by the consumer.
    pub(crate) fn taken(&mut self, now: Micros) {
        self.progress_at = now;
    }

    /// A loader got on with a batch that it owes.
    pub(crate) fn got_on(&mut self, now: Micros) {
        self.progress_at = now;
    }

    /// A batch was delivered by a loader.
    pub(crate) fn delivered(&mut self, now: Micros) {
        self.progress_at = now;
        self.fruitless_opens = 0;
    }

    /// A stream was opened, and `serving` loaders serve now: it has time to deliver, even when the stream was about to
    /// be given up.
    pub(crate) fn opened(&mut self, now: Micros, serving: usize) {
        if self.fruitless_opens < MAX_FRUITLESS_OPENS {
            self.fruitless_opens += 1;
            let latest = now.saturating_sub(self.allowed(serving).saturating_sub(self.stuck_timeout));
            self.progress_at = self.progress_at.max(latest);
        }
    }

    /// How long the stream has got nowhere.
    pub(crate) fn waited(&self, now: Micros) -> Duration {
        Duration::from_micros(now.saturating_sub(self.progress_at))
    }

    /// When the stream is given up, unless something comes.
    pub(crate) fn ends_at(&self, serving: usize) -> Micros {
        self.progress_at.saturating_add(self.allowed(serving))
    }

    fn allowed(&self, serving: usize) -> Micros {
        if serving == 0 { self.timeout } else { self.timeout.max(self.stuck_timeout) }
    }

    /// When a stream that gets nowhere says so next.
    pub(crate) fn log_at(&self) -> Micros {
        self.last_wait_log.max(self.progress_at).saturating_add(self.log_every)
    }

    /// Whether it is to be said now.
    pub(crate) fn log_is_due(&mut self, now: Micros) -> bool {
        let due = self.log_at() <= now;
        if due {
            self.last_wait_log = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_that_gets_on_is_waited_for() {
        let second = micros(Duration::from_secs(1));
        let mut patience = Patience::new(Duration::from_secs(30), Duration::from_secs(1));
        assert_eq!((patience.ends_at(0), patience.ends_at(1)), (30 * second, 30 * second));
        patience.got_on(20 * second);
        patience.got_on(40 * second);
        assert_eq!(patience.ends_at(1), 70 * second);
        assert_eq!(patience.waited(50 * second), Duration::from_secs(10));
    }
}
