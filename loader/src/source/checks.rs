//! What tells whether the bytes of a record are still those that the dataset digest covers.

use super::records::{MAX_RECORD_BYTES, Record};
use std::sync::Arc;

/// What is remembered of a file to find out whether it is still the one that the digest covers: its length
/// and its CRC-32 (zlib's). Bytes that changed by accident are missed once in 2³² times; against a forger
/// nothing short of the digest would help, and hashing each image anew as the digest does took 8 % of the time
/// of decoding CIFAR-10 from PNG files.
pub(super) fn mark(bytes: &[u8]) -> u64 {
    const { assert!(MAX_RECORD_BYTES <= u32::MAX as u64, "a length fits into half a mark") };
    (bytes.len() as u64) << 32 | u64::from(crc32fast::hash(bytes))
}

/// Bytes of a BLAKE3 hash.
pub(super) const HASH: usize = 32;

/// Lengths and BLAKE3 hashes of all records of a set, by the records' numbers.
#[derive(Debug)]
pub(super) struct Hashes {
    pub(super) lengths: Vec<u32>,
    /// One after the other.
    pub(super) hashes: Vec<u8>,
}

/// What is known of each record of a split.
pub(super) enum Checks {
    /// From reading the set here, by sample: see [`mark`].
    Marks(Vec<u64>),
    /// From an index that was made elsewhere.
    Hashes(Arc<Hashes>),
}

impl Checks {
    /// Why these are not the bytes of a sample, if they are not.
    pub(super) fn differ(&self, sample: usize, record: Record, bytes: &[u8]) -> Option<&'static str> {
        match self {
            Self::Marks(marks) => {
                (mark(bytes) != marks[sample]).then_some("its bytes have changed since the start")
            }
            Self::Hashes(known) => {
                let number = record.number as usize;
                let hash = &known.hashes[number * HASH..][..HASH];
                if known.lengths[number] as usize != bytes.len() {
                    Some("its length is not the one in the index")
                } else if blake3::hash(bytes).as_bytes() != hash {
                    Some("its bytes are not those in the index")
                } else {
                    None
                }
            }
        }
    }

    /// Whether what is known of the records was not seen by this program.
    pub(super) fn came_from_elsewhere(&self) -> bool {
        matches!(self, Self::Hashes(_))
    }

    /// Bytes of the longest record of the split.
    pub(super) fn most_bytes(&self, records: &[Record]) -> u64 {
        let most = match self {
            Self::Marks(marks) => marks.iter().map(|mark| mark >> 32).max(),
            Self::Hashes(known) => {
                records.iter().map(|record| known.lengths[record.number as usize].into()).max()
            }
        };
        most.unwrap_or(0)
    }

    /// Leaves samples out; those after them move up.
    pub(super) fn retain(&mut self, mut stays: impl FnMut() -> bool) {
        if let Self::Marks(marks) = self {
            marks.retain(|_| stays());
        }
    }
}
