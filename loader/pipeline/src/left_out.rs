//! Samples that were left out of a split, by the numbers that they had before.
//!
//! What is left has numbers of its own, without gaps. But the order of an epoch is that of the whole split, with those
//! that were left out passed over: batches before the first of them are the same, byte for byte, with it and without.
//! So a training that has not met a bad record yet can go on without it, as if it had been left out from the start.
//!
//! ```
//! use mixfeed_pipeline::LeftOut;
//!
//! let left_out: LeftOut = [2, 5].into_iter().collect();
//! // Of samples 0 to 9, those left have the numbers 0 to 7; the third of them was number 3.
//! assert_eq!((left_out.number_of_all(2), left_out.number_left(3)), (3, 2));
//! ```

use std::sync::Arc;

/// Numbers of the samples that were left out, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut(Arc<[u64]>);

impl Default for LeftOut {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl FromIterator<u64> for LeftOut {
    fn from_iter<T: IntoIterator<Item = u64>>(numbers: T) -> Self {
        let mut numbers: Vec<u64> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into())
    }
}

impl LeftOut {
    /// Returns the numbers, ascending.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.0
    }

    /// Tells whether the sample of this number, among all, was left out.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    /// Returns those below `end`.
    #[must_use]
    pub fn below(&self, end: u64) -> Self {
        Self(self.0[..self.0.partition_point(|number| *number < end)].into())
    }

    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Returns the number among those left of the sample that has `number` among all, and was not left out.
    #[must_use]
    pub fn number_left(&self, number: u64) -> u64 {
        number - self.0.partition_point(|other| *other < number) as u64
    }

    /// Returns the number among all of the sample that has `left` among those left.
    #[must_use]
    pub fn number_of_all(&self, left: u64) -> u64 {
        // The n-th of them is passed over by all samples whose number left is at least its own less n.
        let mut passed = 0;
        let mut end = self.0.len();
        while passed < end {
            let middle = passed.midpoint(end);
            if self.0[middle] - middle as u64 <= left {
                passed = middle + 1;
            } else {
                end = middle;
            }
        }
        left + passed as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::digest_without;

    #[test]
    fn numbers_before_and_after_belong_together() {
        for left_out in [vec![], vec![0], vec![19], vec![3, 4, 5], vec![0, 2, 4, 19], (1..19).collect()] {
            let left_out: LeftOut = left_out.into_iter().rev().collect();
            let left = (0..20).filter(|number| !left_out.contains(*number));
            for (sample, number) in (0..).zip(left) {
                assert_eq!((left_out.number_left(number), left_out.number_of_all(sample)), (sample, number));
            }
        }
    }

    #[test]
    fn the_digest_tells_which_are_left_out_of_which_split() {
        let one: LeftOut = [1].into_iter().collect();
        let (two, none): (LeftOut, _) = ([1, 2].into_iter().collect(), LeftOut::default());
        let whole = [7; 32];
        let digests = [(&one, &none), (&none, &one), (&two, &none), (&one, &two)]
            .map(|(train, test)| digest_without(&whole, train, test));
        for (i, digest) in digests.iter().enumerate() {
            assert!(*digest != whole && !digests[..i].contains(digest));
        }
        assert_eq!(digest_without(&whole, &none, &none), whole);
    }
}
