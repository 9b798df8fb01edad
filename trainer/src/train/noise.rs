//! What a network draws while it learns, as dropout does.
//!
//! It follows from the run's seed, the step's index and the virtual shard alone, so that a run that is resumed draws what
//! it would have drawn, whoever computes the shard. None of the networks in this crate draws; those from files may.

/// Separates these bits from any other use of BLAKE3.
const CONTEXT: &str = "mixfeed-trainer 2026-11 network noise";

/// The seed of libtorch's generator for a step, or for one of the virtual shards that its batch is cut into.
pub(super) fn seed(run: u64, step: u64, shard: Option<u32>) -> i64 {
    let mut bits = blake3::Hasher::new_derive_key(CONTEXT);
    bits.update(&run.to_le_bytes()).update(&step.to_le_bytes());
    if let Some(shard) = shard {
        bits.update(&shard.to_le_bytes());
    }
    let mut bytes = [0; 8];
    bits.finalize_xof().fill(&mut bytes);
    i64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_of_each_step_of_each_run_draws_its_own() {
        let shards = || [None].into_iter().chain((0..4).map(Some));
        let of_run = |run| (0..10).flat_map(move |step| shards().map(move |shard| seed(run, step, shard)));
        let seeds: std::collections::HashSet<_> = (0..10).flat_map(of_run).collect();
        assert_eq!(seeds.len(), 500);
        assert_eq!(seed(3, 4, Some(1)), seed(3, 4, Some(1)));
    }
}
