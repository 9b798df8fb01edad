//! How a stream divides into epochs, batches and rows.

use crate::{Remainder, RowShard, StreamSpec};
use std::ops::Range;

/// The division of a stream into epochs and batches. Batches are counted from the start of training: epoch `e` of a
/// stream of `n` batches an epoch has the indices `e * n` to `e * n + n - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    samples: u64,
    batch_size: u64,
    shard: RowShard,
}

impl Epochs {
    /// Divides a stream over `samples` samples. A batch size of 0, which no check lets pass, counts as 1.
    #[must_use]
    pub fn new(spec: &StreamSpec, samples: u64) -> Self {
        let batch_size = u64::from(spec.batch_size.max(1));
        let samples = match spec.remainder {
            Remainder::Keep => samples,
            Remainder::Drop => samples - samples % batch_size,
        };
        Self { samples, batch_size, shard: spec.shard.unwrap_or(RowShard::WHOLE) }
    }

    /// Samples of an epoch, those dropped at its end left out.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Batches of an epoch.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.samples.div_ceil(self.batch_size)
    }

    /// The epoch of batch `index`, from 0.
    #[must_use]
    pub fn epoch(&self, index: u64) -> u64 {
        index / self.batches()
    }

    /// The place of batch `index` in its epoch, from 0.
    #[must_use]
    pub fn step(&self, index: u64) -> u64 {
        index % self.batches()
    }

    /// Rows of the global batch at `index`: the batch size, or fewer at the end of an epoch.
    #[must_use]
    pub fn global_rows(&self, index: u64) -> u64 {
        self.batch_size.min(self.samples - self.step(index) * self.batch_size)
    }

    /// The rows of the global batch at `index` that belong to the shard.
    #[must_use]
    pub fn shard_rows(&self, index: u64) -> Range<u64> {
        let rows = self.global_rows(index);
        let bound = |rank: u32| rows * u64::from(rank) / u64::from(self.shard.world);
        bound(self.shard.rank)..bound(self.shard.rank + 1)
    }

    /// Rows of batch `index`: of the global batch those that belong to the shard.
    #[must_use]
    pub fn rows(&self, index: u64) -> u64 {
        let Range { start, end } = self.shard_rows(index);
        end - start
    }

    /// Rows of the largest batch.
    #[must_use]
    pub fn max_rows(&self) -> u64 {
        self.batch_size.div_ceil(u64::from(self.shard.world))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_batch_of_an_epoch_is_short() {
        let epochs = Epochs::new(&StreamSpec::train(0, 4), 10);
        let rows: Vec<_> = (0..7).map(|index| (epochs.epoch(index), epochs.rows(index))).collect();
        assert_eq!(rows, [(0, 4), (0, 4), (0, 2), (1, 4), (1, 4), (1, 2), (2, 4)]);
    }

    #[test]
    fn keeping_and_dropping_the_remainder_count_batches_and_samples() {
        let spec = StreamSpec::train(0, 8);
        let keep = Epochs::new(&spec, 20);
        assert_eq!((keep.samples(), keep.batches(), keep.global_rows(2)), (20, 3, 4));
        let drop = Epochs::new(&StreamSpec { remainder: Remainder::Drop, ..spec }, 20);
        assert_eq!((drop.samples(), drop.batches(), drop.global_rows(1)), (16, 2, 8));
    }

    #[test]
    fn the_shards_of_a_batch_are_its_rows_in_order() {
        for world in 1..=5 {
            for index in 0..3 {
                let mut rows = Vec::new();
                for rank in 0..world {
                    let shard = Some(RowShard { rank, world });
                    let epochs = Epochs::new(&StreamSpec { shard, ..StreamSpec::train(0, 5) }, 13);
                    assert!(epochs.rows(index) <= epochs.max_rows());
                    rows.extend(epochs.shard_rows(index));
                }
                let all = if index == 2 { 3 } else { 5 };
                assert_eq!(rows, (0..all).collect::<Vec<_>>());
            }
        }
    }
}
