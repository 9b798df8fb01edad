//! When work was last got on with: what tells a loader that is slow from one that hangs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// A worker that has finished no run of rows for so long hangs. Rows of the largest photographs from the slowest disks come
/// sooner.
const HANGS: Duration = Duration::from_secs(30);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A time that workers set and tasks read. Clones are of the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Work was taken up, or finished.
    pub(crate) fn beat(&self) {
        self.0.store(now(), Ordering::Relaxed);
    }

    /// Whether it was, not long ago.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_alive_after(Duration::ZERO)
    }

    fn is_alive_after(&self, wait: Duration) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        last > 0 && now() + wait.as_millis() as u64 - last < HANGS.as_millis() as u64
    }
}

/// Milliseconds since the first call, and one.
fn now() -> u64 {
    START.elapsed().as_millis() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_alive_for_a_while_after_it_was_got_on_with() {
        let heartbeat = Heartbeat::default();
        assert!(!heartbeat.is_alive(), "nothing was taken up");
        heartbeat.clone().beat();
        assert!(heartbeat.is_alive() && heartbeat.is_alive_after(HANGS / 2));
        assert!(!heartbeat.is_alive_after(HANGS));
    }
}
