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
//! let key = Key::new(Seed(1), Purpose::Flip).at(0).at(42); // epoch 0, place 42
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// The order of samples in an epoch.
    Order = 1,
    /// Whether, with whom and by how much a sample is mixed.
    Mixing = 2,
    /// The permutation of a batch that gives its partners.
    Partners = 3,
    /// The drawings of the synthetic data set.
    Drawing = 4,
    /// Where an image is cropped.
    Crop = 5,
    /// Whether an image is mirrored.
    Flip = 6,
    /// Which part of an image is brought to its size.
    ResizedCrop = 7,
    /// The change of TrivialAugment.
    TrivialAugment = 8,
    /// Changes of colour and their order.
    ColorJitter = 9,
    /// The hole of random erasing.
    Erasing = 10,
    /// The hole of Cutout.
    Cutout = 11,
    /// A custom transform.
    Custom = 12,
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
        Self(LANE).at(seed.0).at(purpose as u64)
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
        let base = Key::new(Seed(7), Purpose::Mixing).at(3).at(100);
        let others = [
            Key::new(Seed(8), Purpose::Mixing).at(3).at(100),
            Key::new(Seed(7), Purpose::Order).at(3).at(100),
            Key::new(Seed(7), Purpose::Mixing).at(4).at(100),
            Key::new(Seed(7), Purpose::Mixing).at(3).at(101),
            Key::new(Seed(7), Purpose::Mixing).at(100).at(3),
            Key::new(Seed(7), Purpose::Mixing).at(3),
        ];
        for other in others {
            // 16,384 bits: five standard deviations are 0.0195.
            assert!((agreement(base, other) - 0.5).abs() < 0.02, "{other:?}");
        }
    }

    #[test]
    fn seed_and_epoch_do_not_add_up() {
        // What a sum would confuse: seed 1 in epoch 2, seed 2 in epoch 1, seed 3 in epoch 0.
        let keys: Vec<_> = (0..=20)
            .flat_map(|seed| (0..=20).map(move |epoch| Key::new(Seed(seed), Purpose::Order).at(epoch)))
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
