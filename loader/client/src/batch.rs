//! One finished, checked batch: what the whole client is there to hand out.

use bytes::Bytes;
use mixfeed_proto::BatchBytes;

/// One batch of training samples. Everything in it was checked against its checksum, the spec and
/// the dataset's classes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    /// Index, counted in batches from the start of training.
    pub index: u64,
    /// Epoch that the index lies in.
    pub epoch: u64,
    /// Number of samples.
    pub rows: usize,
    /// Images, `rows` times height, width and channels in the layout of the spec. The bytes are not
    /// aligned for anything wider than u8.
    pub pixels: Bytes,
    /// Class of each sample.
    pub labels: Vec<u32>,
    /// Class of the sample mixed in; the label itself where nothing is mixed.
    pub partner_labels: Vec<u32>,
    /// Weight of the sample itself in 65536ths, 0 to 65536.
    pub lambdas: Vec<u32>,
    /// Number of the sample in its split, and that of the sample mixed in (the former where nothing is mixed), from 0 in
    /// the order of the dataset; empty unless the spec asks for [`sample_ids`](mixfeed_streamspec::StreamSpec::sample_ids).
    pub samples: Vec<[u64; 2]>,
    /// Digest of the spec that the batch was made by.
    pub spec_digest: [u8; 32],
}

impl Batch {
    /// Returns the BLAKE3 digest under which batches of two runs are compared.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let (labels, partners, lambdas) =
            (encode(&self.labels), encode(&self.partner_labels), encode(&self.lambdas));
        let samples: Vec<u8> =
            self.samples.as_flattened().iter().flat_map(|sample| sample.to_le_bytes()).collect();
        mixfeed_proto::batch_digest(&BatchBytes {
            spec_digest: &self.spec_digest,
            index: self.index,
            pixels: &self.pixels,
            labels: &labels,
            partner_labels: &partners,
            lambdas: &lambdas,
            samples: &samples,
        })
    }

    /// Returns soft targets, `rows` times `classes`, for a loss over class probabilities: lambda at a sample's own class
    /// and 1 - lambda at its partner's (mixup, arXiv:1710.09412); each row sums to 1.
    ///
    /// # Panics
    /// When a label is not below `classes`: give the number that [`DatasetInfo`](crate::DatasetInfo) tells.
    ///
    /// ```
    /// # use mixfeed_client::Batch;
    /// # let pixels = vec![0; 2].into();
    /// let batch = Batch { rows: 2, labels: vec![0, 2], partner_labels: vec![1, 2], lambdas: vec![49_152, 65_536],
    /// #     index: 0, epoch: 0, pixels, spec_digest: [0; 32], samples: Vec::new(),
    /// };
    /// assert_eq!(batch.soft_targets(3), [0.75, 0.25, 0.0, 0.0, 0.0, 1.0]);
    /// ```
    #[must_use]
    pub fn soft_targets(&self, classes: usize) -> Vec<f32> {
        let mut targets = vec![0.0; self.rows * classes];
        let parts = self.labels.iter().zip(&self.partner_labels).zip(&self.lambdas);
        for (row, ((label, partner), lambda)) in targets.chunks_exact_mut(classes.max(1)).zip(parts) {
            // Both are exact: f32 holds every multiple of 1/65536 up to 1.
            let lambda = *lambda as f32 / 65_536.0;
            row[*label as usize] += lambda;
            row[*partner as usize] += 1.0 - lambda;
        }
        targets
    }
}

/// Little-endian bytes of `values`, as on the wire.
pub(crate) fn encode(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Pairs of numbers of samples of little-endian `bytes`; a rest is left out.
pub(crate) fn decode_samples(bytes: &[u8]) -> Vec<[u64; 2]> {
    let numbers: Vec<u64> = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    numbers.as_chunks().0.to_vec()
}

/// Values of little-endian `bytes`; a rest of less than four bytes is left out.
pub(crate) fn decode(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}
