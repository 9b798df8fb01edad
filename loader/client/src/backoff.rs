//! Pauses between attempts: exponential, with full jitter.
//!
//! Full jitter (anything from nothing to the bound) spreads the clients of a loader that comes back
//! best. The first attempt after a loss is quick, since most losses are restarts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The bound of the first pause.
const BASE: Duration = Duration::from_millis(100);

/// The pauses before the attempts to reach one replica.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempts: u32,
    cap: Duration,
    state: u64,
}

impl Backoff {
    pub(crate) fn new(cap: Duration) -> Self {
        // The standard library seeds this from the operating system: no two processes pause alike.
        Self { attempts: 0, cap, state: RandomState::new().hash_one(0) }
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The pause before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = BASE.saturating_mul(1 << self.attempts.min(16)).min(self.cap);
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(self.uniform())
    }

    /// A draw from [0, 1), by splitmix64.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_are_spread_over_their_whole_range() {
        let cap = Duration::from_secs(4);
        let mut longest = [Duration::ZERO; 10];
        let mut shortest = [cap; 10];
        for _ in 0..200 {
            let mut backoff = Backoff::new(cap);
            for attempt in 0..10 {
                let pause = backoff.next();
                assert!(pause <= BASE * (1 << attempt) && pause <= cap);
                longest[attempt as usize] = longest[attempt as usize].max(pause);
                shortest[attempt as usize] = shortest[attempt as usize].min(pause);
            }
        }
        for attempt in 0..10 {
            let bound = (BASE * (1 << attempt)).min(cap);
            assert!(longest[attempt] > bound.mul_f64(0.9), "{attempt}: {longest:?}");
            assert!(shortest[attempt] < bound.mul_f64(0.1), "{attempt}: {shortest:?}");
        }
    }

    #[test]
    fn a_success_starts_it_over() {
        let mut backoff = Backoff::new(Duration::from_secs(4));
        for _ in 0..100 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= BASE);
    }
}
