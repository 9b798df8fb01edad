//! Audits: which batches two loaders are asked for, and what follows when loaders contradict each other.
//!
//! Which batches are audited is drawn from a key of this run that no loader knows, so that none can lie where nobody looks.
//! Two answers are compared by BLAKE3 of what was received, since a checksum can be forged.

use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;

/// What follows when loaders contradict each other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditPolicy {
    /// The stream goes on without a loader that was found to be wrong; where no third can tell who is, with the answer of the one
    /// that was given first.
    #[default]
    Continue,
    /// The stream ends.
    Stop,
}

impl FromStr for AuditPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "continue" => Ok(Self::Continue),
            "stop" => Ok(Self::Stop),
            _ => Err("it is continue or stop".to_owned()),
        }
    }
}

/// From which the audited batches are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditKey(pub(crate) u64);

impl Default for AuditKey {
    fn default() -> Self {
        // The hasher of a map that strangers fill: its keys come from the operating system.
        Self(RandomState::new().hash_one(0_u64) ^ RandomState::new().hash_one(1_u64).rotate_left(32))
    }
}

impl AuditKey {
    /// Whether the batch is one of the share of 1 in `every`; never for 0.
    pub(crate) fn draws(self, every: u64, index: u64) -> bool {
        match every {
            0 => false,
            1 => true,
            _ => {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&self.0.to_le_bytes());
                let hash = blake3::keyed_hash(&key, &index.to_le_bytes());
                let drawn = u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("32 bytes"));
                drawn < u64::MAX / every
            }
        }
    }
}

/// The chance to have found a loader that lies in this share of its batches, when `audited` of its batches were compared at random.
///
/// ```
/// assert!((mixfeed_client::chance_to_find(0.01, 100) - 0.634).abs() < 1e-3);
/// ```
#[must_use]
pub fn chance_to_find(share: f64, audited: u64) -> f64 {
    1.0 - (1.0 - share).powf(audited as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audited_batches_are_the_share_asked_for_and_others_for_each_run() {
        for every in [2, 10, 100] {
            let drawn = |key| (0..100_000).filter(|index| AuditKey(key).draws(every, *index)).count() as f64;
            let expected = 100_000.0 / every as f64;
            for key in 0..5 {
                assert!((drawn(key) - expected).abs() < 5.0 * expected.sqrt(), "1 in {every}");
            }
        }
        let set = |key| (0..64).filter(|index| AuditKey(key).draws(2, *index)).collect::<Vec<u64>>();
        assert_ne!(set(1), set(2));
        assert_ne!(AuditKey::default().0, AuditKey::default().0);
        assert!((0..9).all(|index| AuditKey(7).draws(1, index)) && !(0..9).any(|i| AuditKey(7).draws(0, i)));
    }
}
