//! The order of samples in an epoch, without materialising it.
//!
//! A keyed permutation of `0..n` that is evaluated point by point in constant time and memory, so
//! that a set of 10^9 samples costs as much as one of 10. It is the generalised Feistel cipher of
//! Black and Rogaway ("Ciphers with Arbitrary Finite Domains", CT-RSA 2002): a position is split
//! into (left, right) over Z_a × Z_b with a·b just above n, rounds add a keyed function of one half
//! to the other, and a result outside `0..n` is walked on until it falls inside.
//!
//! ```
//! use mixfeed_pipeline::Seed;
//! use mixfeed_pipeline::key::{Key, Purpose};
//! use mixfeed_pipeline::order::Permutation;
//!
//! let order = Permutation::new(Key::new(Seed(1), Purpose::ORDER), 1_000_000_000);
//! let sample = order.at(123_456_789);
//! assert_eq!(order.at(123_456_789), sample);
//!
//! let small = Permutation::new(Key::new(Seed(1), Purpose::ORDER), 10);
//! let mut all: Vec<u64> = (0..10).map(|position| small.at(position)).collect();
//! all.sort_unstable();
//! assert_eq!(all, (0..10).collect::<Vec<_>>());
//! ```

use crate::key::{Key, below, mix};
use crate::left_out::LeftOut;

/// Rounds. Black and Rogaway prove 3 for large domains; tiny ones need more until every
/// permutation is about equally likely (tested for 4 elements).
const ROUNDS: usize = 12;

/// A keyed permutation of `0..len`.
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    left: u64,
    right: u64,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Makes the permutation of `0..len` that belongs to `key`.
    #[must_use]
    pub fn new(key: Key, len: u64) -> Self {
        let left = ceil_sqrt(len).max(1);
        let right = len.div_ceil(left).max(1);
        Self { len, left, right, keys: key.words() }
    }

    /// Returns the element at `position`.
    ///
    /// # Panics
    /// When `position` is not below `len`.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of {}", self.len);
        // The cipher permutes a·b values, of which fewer than `left` lie outside `0..len`. The
        // walk ends because it follows a cycle that began inside.
        let mut value = self.encipher(position);
        while value >= self.len {
            value = self.encipher(value);
        }
        value
    }

    /// Returns the position of an element: the way back.
    fn position(&self, element: u64) -> u64 {
        let mut value = self.decipher(element);
        while value >= self.len {
            value = self.decipher(value);
        }
        value
    }

    fn decipher(&self, value: u64) -> u64 {
        let mut left = value % self.left;
        let mut right = value / self.left;
        for keys in self.keys.chunks_exact(2).rev() {
            right = subtract(right, below(mix(keys[1] ^ left), self.right), self.right);
            left = subtract(left, below(mix(keys[0] ^ right), self.left), self.left);
        }
        right * self.left + left
    }

    fn encipher(&self, value: u64) -> u64 {
        let mut left = value % self.left;
        let mut right = value / self.left;
        for keys in self.keys.chunks_exact(2) {
            left = add(left, below(mix(keys[0] ^ right), self.left), self.left);
            right = add(right, below(mix(keys[1] ^ left), self.right), self.right);
        }
        right * self.left + left
    }
}

/// Adds modulo `modulus`, both terms below it. A modulus is at most 2^32, so nothing overflows.
fn add(a: u64, b: u64, modulus: u64) -> u64 {
    let sum = a + b;
    if sum >= modulus { sum - modulus } else { sum }
}

/// Subtracts modulo `modulus`, both terms below it.
fn subtract(a: u64, b: u64, modulus: u64) -> u64 {
    if a >= b { a - b } else { a + modulus - b }
}

/// The order of an epoch: which sample stands where.
#[derive(Clone, Debug)]
pub struct EpochOrder {
    /// The order of all samples; none where they come by number.
    permutation: Option<Permutation>,
    left_out: LeftOut,
    /// Where those stand that are passed over, ascending, each less the number of those before it.
    gaps: Vec<u64>,
}

impl EpochOrder {
    /// Makes the order of all samples that `permutation` gives, those passed over that were left out.
    #[must_use]
    pub fn new(permutation: Option<Permutation>, left_out: LeftOut) -> Self {
        let place = |number: &u64| permutation.as_ref().map_or(*number, |all| all.position(*number));
        let mut gaps: Vec<u64> = left_out.numbers().iter().map(place).collect();
        gaps.sort_unstable();
        gaps.iter_mut().zip(0..).for_each(|(gap, before)| *gap -= before);
        Self { permutation, left_out, gaps }
    }

    /// Returns the sample at `position`, by its number among those left.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        let position = position + self.gaps.partition_point(|gap| *gap <= position) as u64;
        let number = self.permutation.as_ref().map_or(position, |all| all.at(position));
        self.left_out.number_left(number)
    }
}

fn ceil_sqrt(n: u64) -> u64 {
    let root = n.isqrt();
    if root * root == n { root } else { root + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Purpose, Seed};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn permutation(seed: u64, epoch: u64, len: u64) -> Permutation {
        Permutation::new(Key::new(Seed(seed), Purpose::ORDER).at(epoch), len)
    }

    fn all(permutation: &Permutation) -> Vec<u64> {
        (0..permutation.len).map(|i| permutation.at(i)).collect()
    }

    proptest! {
        #[test]
        fn the_way_back_leads_to_the_position(seed: u64, epoch: u64, len in 1_u64..3000) {
            let permutation = permutation(seed, epoch, len);
            for position in 0..len {
                prop_assert_eq!(permutation.position(permutation.at(position)), position);
            }
        }

        #[test]
        fn what_is_left_out_is_passed_over_and_the_rest_keeps_its_order(
            seed: u64,
            len in 1_u64..500,
            left_out in proptest::collection::btree_set(0_u64..500, 0..40),
            shuffle: bool,
        ) {
            let all = shuffle.then(|| permutation(seed, 0, len));
            let left_out: LeftOut = left_out.into_iter().filter(|number| *number < len).collect();
            let order = EpochOrder::new(all.clone(), left_out.clone());
            let of_all = (0..len).map(|position| all.as_ref().map_or(position, |all| all.at(position)));
            let expected: Vec<_> = of_all.filter(|number| !left_out.contains(*number)).collect();
            let found: Vec<_> =
                (0..expected.len() as u64).map(|position| left_out.number_of_all(order.at(position))).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn every_epoch_is_a_permutation(seed: u64, epoch: u64, len in 1_u64..3000) {
            let mut seen = all(&permutation(seed, epoch, len));
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..len));
        }

        #[test]
        fn huge_sets_stay_in_range(seed: u64, len in 1_u64..=u64::MAX >> 1, at: u64) {
            prop_assert!(permutation(seed, 0, len).at(at % len) < len);
        }
    }

    #[test]
    fn every_length_up_to_200_is_a_permutation() {
        for len in 1..=200 {
            let mut seen = all(&permutation(1, 2, len));
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..len), "length {len}");
        }
    }

    #[test]
    fn a_billion_samples_need_no_memory_and_do_not_repeat() {
        let order = permutation(3, 0, 1_000_000_000);
        let seen: std::collections::HashSet<_> = (0..100_000).map(|i| order.at(i * 9_999)).collect();
        assert_eq!(seen.len(), 100_000);
        assert!(size_of::<Permutation>() < 200);
    }

    #[test]
    fn the_24_orders_of_four_samples_are_equally_likely() {
        let mut counts = HashMap::new();
        let draws = 24_000;
        for epoch in 0..draws {
            *counts.entry(all(&permutation(5, epoch, 4))).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi2: f64 = counts.values().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        // 23 degrees of freedom: 49.7 is the 99.9 % quantile.
        assert!(chi2 < 49.7, "chi-squared {chi2}");
    }

    #[test]
    fn each_of_ten_samples_is_equally_likely_at_each_place() {
        let mut counts = [[0_u32; 10]; 10];
        for epoch in 0..10_000 {
            for (place, sample) in all(&permutation(9, epoch, 10)).into_iter().enumerate() {
                counts[place][sample as usize] += 1;
            }
        }
        let chi2: f64 = counts.iter().flatten().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        // 81 degrees of freedom: 126.1 is the 99.9 % quantile.
        assert!(chi2 < 126.1, "chi-squared {chi2}");
    }

    #[test]
    fn neighbours_do_not_stay_neighbours() {
        let order = all(&permutation(11, 0, 50_000));
        let near = order.windows(2).filter(|w| w[0].abs_diff(w[1]) <= 5).count();
        // Expected 10 / 50,000 of the pairs: 10 in 50,000.
        assert!(near < 30, "{near} neighbouring pairs");
    }

    #[test]
    fn epochs_and_seeds_share_no_order() {
        let base = all(&permutation(1, 0, 10_000));
        for other in [permutation(1, 1, 10_000), permutation(2, 0, 10_000)] {
            let fixed = base.iter().zip(all(&other)).filter(|(a, b)| **a == *b).count();
            // One expected; Poisson.
            assert!(fixed < 10, "{fixed} samples at the same place");
        }
    }
}
