//! Whether work gets on: what tells a loader that is slow from one that hangs.

use std::time::{Duration, Instant};

/// Work of which nothing was done for so long hangs. A row of the largest photographs from the slowest disks comes sooner.
const HANGS: Duration = Duration::from_secs(30);

/// Watches a count of what was done.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    count: u64,
    changed_at: Instant,
}

impl Heartbeat {
    /// Of a count that is 0.
    pub(crate) fn new(now: Instant) -> Self {
        Self { count: 0, changed_at: now }
    }

    /// Whether the count, which is `count` now, has changed not long ago. To be asked every few seconds at least.
    pub(crate) fn is_alive(&mut self, now: Instant, count: u64) -> bool {
        if count != self.count {
            *self = Self { count, changed_at: now };
        }
        now.duration_since(self.changed_at) < HANGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_alive_for_a_while_after_something_was_done() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let mut is_alive = |after: Duration, count| heartbeat.is_alive(start + after, count);
        let second = Duration::from_secs(1);
        assert!(is_alive(HANGS - second, 0) && is_alive(HANGS - second, 1));
        assert!(is_alive(HANGS, 1) && is_alive(2 * HANGS - 2 * second, 1));
        assert!(!is_alive(2 * HANGS, 1));
        assert!(is_alive(2 * HANGS, 2));
    }
}
