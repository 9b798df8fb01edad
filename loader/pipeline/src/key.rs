//! Keyed generators: the only source of randomness.
//!
//! A key is the mix of a seed, a purpose and positions (epoch, place in the epoch). It is never a
//! sum: with sums, the run of seed 1 shows in epoch 1 what the run of seed 2 shows in epoch 0.
//! There is no shared generator whose state depends on what was drawn before, so any replica can
//! draw for any batch.
//!
//! ```
//! use mixfeed_pipeline::Seed;
//! use mixfeed_pipeline::key::{Key, Purpose, unit};
//!
//! let key = Key::new(Seed(1), Purpose::MIXING).at(0).at(42); // epoch 0, place 42
//! let [word] = key.words();
//! assert!((0.0..1.0).contains(&unit(word)));
//! assert_eq!(key.words(), [word]);
//! ```

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// The seed of a stream. Every value is as good as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seed(pub u64);

/// What a stream of random numbers is for. Streams of two purposes are unrelated.
///
/// It stands beside the code that draws for it; a test finds all of them and that no two share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Purpose(u64);

impl Purpose {
    /// The order of samples in an epoch.
    pub const ORDER: Self = Purpose::new(1);
    /// Whether, with whom and by how much a sample is mixed.
    pub const MIXING: Self = Purpose::new(2);
    /// The permutation of a batch that gives its partners.
    pub const PARTNERS: Self = Purpose::new(3);
    /// The drawings of the synthetic dataset.
    pub const DRAWING: Self = Purpose::new(4);

    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A point in the tree of keys, 128 bits wide.
///
/// Two lanes keep two different paths from meeting: with one lane of 64 bits, some pair among
/// 2^32 samples would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u64; 2]);

/// Odd constants from the digits of the golden ratio and of the square roots of 2 and 3.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
const LANE: [u64; 2] = [0x6A09_E667_F3BC_C909, 0xBB67_AE85_84CA_A73B];

impl Key {
    /// Returns the root key of `purpose` under `seed`.
    #[must_use]
    pub fn new(seed: Seed, purpose: Purpose) -> Self {
        Self(LANE).at(seed.0).at(purpose.0)
    }

    /// Returns the key of child `position`.
    #[must_use]
    pub fn at(self, position: u64) -> Self {
        let absorb = |lane: usize| mix(self.0[lane] ^ mix(position.wrapping_add(LANE[lane])));
        Self([absorb(0), absorb(1)])
    }

    /// Returns a generator that belongs to this key alone.
    #[must_use]
    pub fn generator(self) -> Xoshiro256PlusPlus {
        let mut seed = [0; 32];
        for (word, bytes) in self.words::<4>().into_iter().zip(seed.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Xoshiro256PlusPlus::from_seed(seed)
    }

    /// Draws whether something of this probability happens.
    #[must_use]
    pub fn happens(self, probability: f64) -> bool {
        unit(self.words::<1>()[0]) < probability
    }

    /// Returns `N` words that belong to this key.
    #[must_use]
    pub fn words<const N: usize>(self) -> [u64; N] {
        std::array::from_fn(|i| {
            let step = GOLDEN.wrapping_mul(i as u64 / 2 + 1);
            mix(self.0[i % 2].wrapping_add(step))
        })
    }
}

/// A bijection of 64-bit words in which each input bit moves every output bit: the finaliser of
/// `SplitMix64`, variant 13 of Stafford.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// Returns the random word after `word`, where that was of no use.
pub(crate) fn again(word: u64) -> u64 {
    mix(word.wrapping_add(GOLDEN))
}

/// Maps a random word to `0..bound`, for a bound of at least 1. The bias is below `bound / 2^64`.
#[must_use]
pub fn below(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

/// Maps a random word to `[0, 1)`, all 53 bits of precision used.
#[must_use]
pub fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    /// The share of equal bits of two streams of 64 × 256 bits; 0.5 for unrelated ones.
    fn agreement(a: Key, b: Key) -> f64 {
        let (mut a, mut b) = (a.generator(), b.generator());
        let equal: u32 = (0..256).map(|_| (!(a.next_u64() ^ b.next_u64())).count_ones()).sum();
        f64::from(equal) / (64.0 * 256.0)
    }

    #[test]
    fn neighbouring_seeds_purposes_epochs_and_positions_give_unrelated_streams() {
        let base = Key::new(Seed(7), Purpose::MIXING).at(3).at(100);
        let others = [
            Key::new(Seed(8), Purpose::MIXING).at(3).at(100),
            Key::new(Seed(7), Purpose::ORDER).at(3).at(100),
            Key::new(Seed(7), Purpose::MIXING).at(4).at(100),
            Key::new(Seed(7), Purpose::MIXING).at(3).at(101),
            Key::new(Seed(7), Purpose::MIXING).at(100).at(3),
            Key::new(Seed(7), Purpose::MIXING).at(3),
        ];
        for other in others {
            // 16,384 bits: five standard deviations are 0.0195.
            assert!((agreement(base, other) - 0.5).abs() < 0.02, "{other:?}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // It reads the sources.
    fn no_two_purposes_share_a_number() {
        let mut numbers = Vec::new();
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(path).unwrap();
                    let made =
                        text.split("= Purpose::new(").skip(1).filter_map(|rest| rest.split(')').next());
                    numbers.extend(made.filter_map(|number| number.parse::<u64>().ok()));
                }
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        assert!(numbers.len() >= 12, "{numbers:?}");
    }

    #[test]
    fn seed_and_epoch_do_not_add_up() {
        // What a sum would confuse: seed 1 in epoch 2, seed 2 in epoch 1, seed 3 in epoch 0.
        let keys: Vec<_> = (0..=20)
            .flat_map(|seed| (0..=20).map(move |epoch| Key::new(Seed(seed), Purpose::ORDER).at(epoch)))
            .collect();
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(u64::MAX, 1), 0);
        assert_eq!(below(u64::MAX, u64::MAX), u64::MAX - 1);
    }

    #[test]
    fn unit_covers_zero_to_just_below_one() {
        assert!(unit(0).abs() < f64::EPSILON);
        assert!(unit(u64::MAX) < 1.0);
        assert!(unit(u64::MAX) > 1.0 - 1e-15);
    }
}
