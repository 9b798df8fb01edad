//! What a simulated fleet is like, and what came of it.

use crate::scheduler::{Micros, Tally};

pub(in crate::scheduler) const MILLI: Micros = 1000;
pub(in crate::scheduler) const SECOND: Micros = 1_000_000;

/// splitmix64: all that is random here.
pub(in crate::scheduler) struct Draw(pub(in crate::scheduler) u64);

impl Draw {
    pub(in crate::scheduler) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(in crate::scheduler) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(in crate::scheduler) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What one machine is like.
#[derive(Clone, Copy, Debug)]
pub(in crate::scheduler) struct Kind {
    pub(in crate::scheduler) workers: usize,
    /// Time in which one worker makes a batch.
    pub(in crate::scheduler) service: Micros,
    /// One batch in a hundred takes longer by a Pareto factor of this exponent; 0 for none.
    pub(in crate::scheduler) tail: f64,
    pub(in crate::scheduler) round_trip: Micros,
    pub(in crate::scheduler) limit: usize,
    /// Batches in a thousand that it makes wrong.
    pub(in crate::scheduler) lies: u64,
}

/// What the run is like.
#[derive(Clone, Debug)]
pub(in crate::scheduler) struct Setting {
    pub(in crate::scheduler) seed: u64,
    pub(in crate::scheduler) kinds: Vec<Kind>,
    pub(in crate::scheduler) batches: u64,
    pub(in crate::scheduler) window: u64,
    pub(in crate::scheduler) hedge: bool,
    pub(in crate::scheduler) audit_every: u64,
    /// Time in which the trainer uses a batch; 0 takes them as they come.
    pub(in crate::scheduler) step: Micros,
    /// Mean time between two blows of fate, on the whole fleet; 0 for none.
    pub(in crate::scheduler) fate_every: Micros,
    pub(in crate::scheduler) idle_timeout: Micros,
    /// Whether the pace of each machine is known from an earlier stream.
    pub(in crate::scheduler) known: bool,
}

impl Setting {
    pub(in crate::scheduler) fn new(seed: u64, kinds: Vec<Kind>, batches: u64) -> Self {
        Self {
            seed,
            kinds,
            batches,
            window: 1 << 20,
            hedge: true,
            audit_every: 0,
            step: 0,
            fate_every: 0,
            idle_timeout: 3 * SECOND,
            known: false,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Report {
    pub(in crate::scheduler) seconds: f64,
    /// Batches a second, and what all machines together could do while they ran.
    pub(in crate::scheduler) rate: f64,
    pub(in crate::scheduler) ideal_rate: f64,
    /// 99th percentile of the time that the trainer waited for one batch.
    pub(in crate::scheduler) wait_p99: Micros,
    /// The longest such wait, and the share of the whole time that was waited.
    pub(in crate::scheduler) longest_wait: Micros,
    pub(in crate::scheduler) waited: f64,
    pub(in crate::scheduler) most_slots: usize,
    pub(in crate::scheduler) made: u64,
    pub(in crate::scheduler) tally: Tally,
    /// Batches that were made wrong and handed out, and those of them that another machine vouched for.
    pub(in crate::scheduler) wrong: u64,
    pub(in crate::scheduler) wrong_though_confirmed: u64,
    /// Machines that were found to be wrong.
    pub(in crate::scheduler) convicted: Vec<u32>,
}
