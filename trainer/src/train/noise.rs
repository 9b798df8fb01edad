//! What a network draws while it learns, as dropout does.
//!
//! It follows from the run's seed and the step's index alone, so that a run that is resumed draws what
//! it would have drawn. None of the networks in this crate draws; those from files may.

/// Separates these bits from any other use of BLAKE3.
const CONTEXT: &str = "mixfeed-trainer 2026-11 network noise";

/// The seed of libtorch's generator for a step.
pub(super) fn seed(run: u64, step: u64) -> i64 {
    let mut bits = blake3::Hasher::new_derive_key(CONTEXT);
    bits.update(&run.to_le_bytes()).update(&step.to_le_bytes());
    let mut bytes = [0; 8];
    bits.finalize_xof().fill(&mut bytes);
    i64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_each_run_draws_its_own() {
        let seeds: std::collections::HashSet<_> =
            (0..10).flat_map(|run| (0..10).map(move |step| seed(run, step))).collect();
        assert_eq!(seeds.len(), 100);
        assert_eq!(seed(3, 4), seed(3, 4));
    }
}
