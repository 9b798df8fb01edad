//! One log line for a burst of the same event: what a peer does a thousand times a second must not fill a disk.

use std::time::{Duration, Instant};

/// Shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts an event, and tells when to say so.
#[derive(Debug, Default)]
pub(super) struct Burst {
    told: Option<Instant>,
    untold: u64,
}

impl Burst {
    /// Returns how often it happened since the last line, this time included, when it is time for a line.
    pub(super) fn count(&mut self) -> Option<u64> {
        self.count_at(Instant::now())
    }

    fn count_at(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now.duration_since(told) < INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_by_their_number() {
        let mut burst = Burst::default();
        let start = Instant::now();
        assert_eq!(burst.count_at(start), Some(1));
        for _ in 0..1000 {
            assert_eq!(burst.count_at(start + INTERVAL / 2), None);
        }
        assert_eq!(burst.count_at(start + INTERVAL), Some(1001));
    }
}
