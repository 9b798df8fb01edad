//! The silence of a replica, measured so that our own sleep is not blamed on it.
//!
//! tonic's timeouts end at the response headers, so a stalled stream needs a timer of its own. The
//! timer counts parts of the whole time. When this process itself was stopped or starved, only one
//! part has passed when it wakes, and what the replica sent meanwhile is read first.

use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How many parts must pass in silence.
const PARTS: u32 = 6;

/// The timer of one stream.
#[derive(Debug)]
pub(crate) struct Idle {
    part: Duration,
    silent_parts: u32,
    heard: bool,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    pub(crate) fn new(timeout: Duration) -> Self {
        let part = timeout / PARTS;
        Self { part, silent_parts: 0, heard: true, timer: Box::pin(tokio::time::sleep(part)) }
    }

    /// Notes that the replica sent something, or that it did not owe anything before now.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
    }

    /// Completes when the replica was silent for the whole time. Cancel safe.
    pub(crate) async fn expired(&mut self) {
        loop {
            self.timer.as_mut().await;
            self.timer.as_mut().reset(Instant::now() + self.part);
            self.silent_parts = if self.heard { 0 } else { self.silent_parts + 1 };
            self.heard = false;
            if self.silent_parts >= PARTS {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_soon_after_the_timeout() {
        let start = Instant::now();
        Idle::new(TIMEOUT).expired().await;
        assert!(
            start.elapsed() >= TIMEOUT && start.elapsed() <= TIMEOUT.mul_f64(1.2),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_is_heard_now_and_then_is_not_silent() {
        let mut idle = Idle::new(TIMEOUT);
        for _ in 0..10 {
            assert!(tokio::time::timeout(TIMEOUT.mul_f64(0.9), idle.expired()).await.is_err());
            idle.heard();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_of_our_own_counts_as_one_part_only() {
        let mut idle = Idle::new(TIMEOUT);
        tokio::time::advance(TIMEOUT * 100).await;
        let start = Instant::now();
        idle.expired().await;
        assert!(start.elapsed() >= TIMEOUT.mul_f64(0.8), "{:?}", start.elapsed());
    }
}
