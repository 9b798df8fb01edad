//! Datasets that are published as one archive, and what is known of each. Fetching is in [`fetch`](super::fetch).

use super::cifar::{CIFAR10, CIFAR100, Set};

/// A dataset that can be fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Published {
    /// CIFAR-10, 162 MiB to download: 50,000 and 10,000 images of ten classes.
    Cifar10,
    /// CIFAR-100, 161 MiB to download: the same numbers, a hundred classes.
    Cifar100,
}

/// Files beside the records that are worth unpacking.
const CIFAR10_EXTRAS: [&str; 2] = ["batches.meta.txt", "readme.html"];
const CIFAR100_EXTRAS: [&str; 2] = ["fine_label_names.txt", "coarse_label_names.txt"];

impl Published {
    /// Where the authors offer the archive.
    #[must_use]
    pub fn url(self) -> &'static str {
        match self {
            Self::Cifar10 => "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            Self::Cifar100 => "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        }
    }

    /// SHA-256 of the archive. The authors publish MD5 sums only; these are the ones that other projects pin.
    #[must_use]
    pub fn sha256(self) -> [u8; 32] {
        match self {
            Self::Cifar10 => digest("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
            Self::Cifar100 => digest("58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
        }
    }

    /// What a work that uses the set cites.
    #[must_use]
    pub fn citation(self) -> &'static str {
        "A. Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", technical report, University of Toronto, 2009"
    }

    /// The content digest, which does not depend on the order of records, where we have had the images.
    pub(super) fn content(self) -> Option<[u8; 32]> {
        match self {
            Self::Cifar10 => Some(digest("82587eb801709320715e9ded1e564096df69142e6bfaf8a34471754f39cd8435")),
            Self::Cifar100 => None,
        }
    }

    /// Images of the set, for training and for testing.
    pub(super) fn images(self) -> [u64; 2] {
        [50_000, 10_000]
    }

    pub(super) fn set(self) -> &'static Set {
        match self {
            Self::Cifar10 => &CIFAR10,
            Self::Cifar100 => &CIFAR100,
        }
    }

    /// Files of the archive without which the set is not whole.
    pub(super) fn needed(self) -> impl Iterator<Item = &'static str> {
        let files = &self.set().files;
        files.train.iter().copied().chain([files.test])
    }

    /// Files of the archive that are unpacked.
    pub(super) fn members(self) -> impl Iterator<Item = &'static str> {
        let extras = match self {
            Self::Cifar10 => CIFAR10_EXTRAS,
            Self::Cifar100 => CIFAR100_EXTRAS,
        };
        self.needed().chain(extras)
    }
}

/// Reads a constant of 64 hexadecimal digits.
fn digest(text: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).expect("a constant that a test reads");
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn what_is_known_can_be_read() {
        for set in Published::value_variants() {
            assert_ne!(set.sha256(), [0; 32]);
            assert_ne!(set.content(), Some([0; 32]));
            assert!(set.url().ends_with(".tar.gz") && set.members().count() > set.needed().count());
        }
    }
}
