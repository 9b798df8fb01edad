//! Checksum and digest of one batch, as `loader.proto` defines them.

use crate::v1;

/// The bytes of a batch as sent, with what they belong to.
#[derive(Clone, Copy, Debug)]
pub struct BatchBytes<'a> {
    /// Digest of the spec that the batch was made by.
    pub spec_digest: &'a [u8; 32],
    /// Index of the batch.
    pub index: u64,
    /// Images.
    pub pixels: &'a [u8],
    /// Labels, u32 little-endian.
    pub labels: &'a [u8],
    /// Labels of the partners, u32 little-endian.
    pub partner_labels: &'a [u8],
    /// Weights of the samples themselves, u32 little-endian.
    pub lambdas: &'a [u8],
    /// Numbers of the samples and of their partners in turn, u64 little-endian; empty where the spec does not ask for them.
    pub samples: &'a [u8],
}

impl<'a> BatchBytes<'a> {
    /// Returns those of a message.
    #[must_use]
    pub fn of(batch: &'a v1::Batch, spec_digest: &'a [u8; 32]) -> Self {
        let v1::Batch { index, pixels, labels, partner_labels, lambdas, checksum: _, samples } = batch;
        Self { spec_digest, index: *index, pixels, labels, partner_labels, lambdas, samples }
    }

    fn for_each(&self, mut feed: impl FnMut(&[u8])) {
        feed(self.spec_digest);
        feed(&self.index.to_le_bytes());
        feed(self.pixels);
        feed(self.labels);
        feed(self.partner_labels);
        feed(self.lambdas);
        feed(self.samples);
    }
}

/// Returns the CRC-32 (zlib's) of the batch. It finds accidents on the way; it is no signature.
#[must_use]
pub fn batch_checksum(batch: &BatchBytes<'_>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    batch.for_each(|bytes| hasher.update(bytes));
    hasher.finalize()
}

/// Returns the BLAKE3 hash of the batch: the name under which batches of two runs are compared.
#[must_use]
pub fn batch_digest(batch: &BatchBytes<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    batch.for_each(|bytes| {
        hasher.update(bytes);
    });
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: BatchBytes<'static> = BatchBytes {
        spec_digest: &[7; 32],
        index: 0x0102_0304_0506_0708,
        pixels: b"pixels",
        labels: b"labels",
        partner_labels: b"partners",
        lambdas: b"lambdas",
        samples: b"samples",
    };

    #[test]
    fn hashes_the_parts_in_the_documented_order() {
        let mut flat = vec![7; 32];
        flat.extend([8, 7, 6, 5, 4, 3, 2, 1]);
        flat.extend(b"pixelslabelspartnerslambdassamples");
        assert_eq!(batch_checksum(&BATCH), crc32fast::hash(&flat));
        assert_eq!(batch_digest(&BATCH), *blake3::hash(&flat).as_bytes());
    }

    #[test]
    fn crc_is_the_one_of_zlib() {
        // The check value of CRC-32/ISO-HDLC, which zlib computes.
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
    }
}
