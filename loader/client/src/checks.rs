//! The gate of the journey: a message becomes a [`Batch`] here, or is refused.
//!
//! Everything is checked that can be checked without a second opinion: the shape that the index
//! calls for, the checksum, the ranges of labels and lambdas. Whether the index was asked for is the
//! scheduler's knowledge; whether two replicas agree is found out by its audits.

use crate::batch::{self, Batch};
use crate::geometry::Geometry;
use mixfeed_proto::{BatchBytes, batch_checksum, limits, v1};
use std::sync::Arc;

/// What every batch of one stream is checked against.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) geometry: Arc<Geometry>,
    pub(crate) spec_digest: [u8; 32],
    pub(crate) classes: u32,
}

/// What is wrong with a batch. The text names it for the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("batch {index} has {found} bytes of {part}, expected {expected}")]
    Shape { index: u64, part: &'static str, found: usize, expected: u64 },
    #[error("batch {index} has checksum {found:08x}, its bytes have {computed:08x}")]
    Checksum { index: u64, found: u32, computed: u32 },
    #[error("batch {index} has label {label}, the dataset has {classes} classes")]
    Label { index: u64, label: u32, classes: u32 },
    #[error("batch {index} has lambda {lambda} of at most {}", limits::LAMBDA_ONE)]
    Lambda { index: u64, lambda: u32 },
    #[error("a part of batch {index} begins at byte {offset} of its pixels, after {received} were received")]
    Offset { index: u64, offset: u64, received: u64 },
    #[error(
        "a part of batch {index} has {bytes} bytes of its pixels, {left} are left, and the last come with the batch"
    )]
    Part { index: u64, bytes: usize, left: u64 },
    #[error("something else came before the end of batch {index}")]
    Interrupted { index: u64 },
}

impl Gate {
    /// Bytes of the pixels of batch `index`.
    pub(crate) fn pixel_bytes(&self, index: u64) -> u64 {
        self.geometry.epochs.rows(index) * self.geometry.row_bytes
    }

    /// Lets `message` pass as a batch, without copying its pixels.
    pub(crate) fn check(&self, message: v1::Batch) -> Result<Batch, Fault> {
        let v1::Batch { index, checksum, .. } = message;
        let rows = self.geometry.epochs.rows(index);
        let samples = if self.geometry.sample_ids { rows * limits::SAMPLE_IDS_BYTES } else { 0 };
        for (part, bytes, expected) in [
            ("pixels", &message.pixels, self.pixel_bytes(index)),
            ("labels", &message.labels, rows * 4),
            ("partner labels", &message.partner_labels, rows * 4),
            ("lambdas", &message.lambdas, rows * 4),
            ("sample ids", &message.samples, samples),
        ] {
            if bytes.len() as u64 != expected {
                return Err(Fault::Shape { index, part, found: bytes.len(), expected });
            }
        }
        let computed = batch_checksum(&BatchBytes::of(&message, &self.spec_digest));
        if computed != checksum {
            return Err(Fault::Checksum { index, found: checksum, computed });
        }
        let [labels, partner_labels, lambdas] =
            [&message.labels, &message.partner_labels, &message.lambdas].map(|bytes| batch::decode(bytes));
        let classes = self.classes;
        if let Some(&label) = labels.iter().chain(&partner_labels).find(|label| **label >= classes) {
            return Err(Fault::Label { index, label, classes });
        }
        if let Some(&lambda) = lambdas.iter().find(|lambda| **lambda > limits::LAMBDA_ONE) {
            return Err(Fault::Lambda { index, lambda });
        }
        Ok(Batch {
            index,
            epoch: self.geometry.epochs.epoch(index),
            rows: labels.len(),
            pixels: message.pixels,
            labels,
            partner_labels,
            lambdas,
            samples: batch::decode_samples(&message.samples),
            spec_digest: self.spec_digest,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;
    use mixfeed_streamspec::{ImageShape, StreamSpec};

    pub(crate) fn gate() -> Gate {
        gate_of(&StreamSpec { batch_size: 4, ..StreamSpec::default() })
    }

    fn gate_of(spec: &StreamSpec) -> Gate {
        let image = ImageShape { height: 2, width: 2, channels: 3 };
        let geometry = Arc::new(Geometry::new(spec, 10, image));
        Gate { geometry, spec_digest: mixfeed_proto::digest_of(spec), classes: 3 }
    }

    pub(crate) fn sealed(index: u64, rows: usize, change: impl FnOnce(&mut v1::Batch)) -> v1::Batch {
        let words = |values: Vec<u32>| Bytes::from(batch::encode(&values));
        let mut message = v1::Batch {
            index,
            pixels: Bytes::from(vec![9; rows * 12]),
            labels: words(vec![2; rows]),
            partner_labels: words(vec![1; rows]),
            lambdas: words(vec![65_536; rows]),
            ..v1::Batch::default()
        };
        change(&mut message);
        message.checksum = batch_checksum(&BatchBytes::of(&message, &gate().spec_digest));
        message
    }

    #[test]
    fn a_sound_batch_passes_with_its_pixels_uncopied() {
        let message = sealed(5, 2, |_| {});
        let pixels = message.pixels.as_ptr();
        let batch = gate().check(message.clone()).unwrap();
        assert_eq!((batch.index, batch.epoch, batch.rows), (5, 1, 2));
        assert_eq!(
            (batch.labels.as_slice(), batch.lambdas.as_slice()),
            ([2; 2].as_slice(), [65_536; 2].as_slice())
        );
        assert_eq!(batch.pixels.as_ptr(), pixels);
        let digest = mixfeed_proto::batch_digest(&BatchBytes::of(&message, &gate().spec_digest));
        assert_eq!(batch.digest(), digest);
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let sound = sealed(0, 4, |_| {});
        for bit in 0..sound.pixels.len() * 8 {
            let mut pixels = sound.pixels.to_vec();
            pixels[bit / 8] ^= 1 << (bit % 8);
            let message = v1::Batch { pixels: pixels.into(), ..sound.clone() };
            assert!(matches!(gate().check(message), Err(Fault::Checksum { index: 0, .. })));
        }
        let other = v1::Batch { index: 1, ..sound };
        assert!(
            matches!(gate().check(other), Err(Fault::Checksum { index: 1, .. })),
            "the index is sealed too"
        );
    }

    #[test]
    fn a_batch_of_another_shape_is_refused_even_when_its_checksum_is_right() {
        let fault = gate().check(sealed(2, 4, |_| {})).unwrap_err();
        assert_eq!(fault, Fault::Shape { index: 2, part: "pixels", found: 48, expected: 24 });
        let fault = gate().check(sealed(0, 4, |m| m.lambdas = Bytes::new())).unwrap_err();
        assert_eq!(fault, Fault::Shape { index: 0, part: "lambdas", found: 0, expected: 16 });
    }

    #[test]
    fn sample_ids_come_if_and_only_if_the_spec_asks_for_them() {
        let ids = |numbers: [u64; 4]| Bytes::from(numbers.map(u64::to_le_bytes).concat());
        let gate = gate_of(&StreamSpec { batch_size: 4, sample_ids: true, ..StreamSpec::default() });
        let sealed_for = |change: &dyn Fn(&mut v1::Batch)| {
            let mut message = sealed(5, 2, change);
            message.checksum = batch_checksum(&BatchBytes::of(&message, &gate.spec_digest));
            message
        };
        let message = sealed_for(&|m| m.samples = ids([7, 2, 5_000_000_000, 0]));
        let batch = gate.check(message.clone()).unwrap();
        assert_eq!(batch.samples, [[7, 2], [5_000_000_000, 0]]);
        let digest = mixfeed_proto::batch_digest(&BatchBytes::of(&message, &gate.spec_digest));
        assert_eq!(batch.digest(), digest);
        let other = v1::Batch { samples: ids([7, 3, 5_000_000_000, 0]), ..message };
        assert!(matches!(gate.check(other), Err(Fault::Checksum { index: 5, .. })), "they are sealed, too");

        let fault = gate.check(sealed_for(&|_| {})).unwrap_err();
        assert_eq!(fault, Fault::Shape { index: 5, part: "sample ids", found: 0, expected: 32 });
        let fault = self::gate().check(sealed(5, 2, |m| m.samples = ids([7, 2, 5, 0]))).unwrap_err();
        assert_eq!(fault, Fault::Shape { index: 5, part: "sample ids", found: 32, expected: 0 });
    }

    #[test]
    fn labels_and_lambdas_out_of_range_are_refused_even_when_the_checksum_is_right() {
        let words = |value: u32| Bytes::from(batch::encode(&[0, 0, 0, value]));
        let fault = gate().check(sealed(0, 4, |m| m.labels = words(3))).unwrap_err();
        assert_eq!(fault, Fault::Label { index: 0, label: 3, classes: 3 });
        let fault = gate().check(sealed(0, 4, |m| m.partner_labels = words(u32::MAX))).unwrap_err();
        assert_eq!(fault, Fault::Label { index: 0, label: u32::MAX, classes: 3 });
        let fault = gate().check(sealed(0, 4, |m| m.lambdas = words(65_537))).unwrap_err();
        assert_eq!(fault, Fault::Lambda { index: 0, lambda: 65_537 });
    }
}
