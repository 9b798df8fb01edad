//! What shape the batch of an index must have.
//!
//! Pure arithmetic over the spec and what the loader says of its dataset.

use mixfeed_proto::{limits, v1};
use mixfeed_streamspec::{Epochs, ImageShape, StreamSpec};

/// The shape of every batch of one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) epochs: Epochs,
    pub(crate) image: ImageShape,
    /// Bytes of the pixels of one row.
    pub(crate) row_bytes: u64,
    /// Whether rows say which samples they are made of.
    pub(crate) sample_ids: bool,
}

impl Geometry {
    /// That of a stream by `spec` over so many samples, sent as images of this shape.
    pub(crate) fn new(spec: &StreamSpec, samples: u64, image: ImageShape) -> Self {
        let row_bytes = spec.image_bytes(image) as u64;
        Self { epochs: Epochs::new(spec, samples), image, row_bytes, sample_ids: spec.sample_ids }
    }

    /// Checks a loader's answer to the opening; an error says what is wrong with it.
    pub(crate) fn check(&self, opened: &v1::StreamOpened) -> Result<(), String> {
        let (samples, batches) = (opened.samples_per_epoch, opened.batches_per_epoch);
        let image: ImageShape = opened.image.ok_or("its opening names no image shape")?.try_into()?;
        let own = (self.epochs.samples(), self.epochs.batches(), self.image);
        if batches == 0 || (samples, batches, image) != own {
            return Err(format!(
                "its stream has another shape than it described: epochs of {samples} samples in {batches} batches, images of {image}"
            ));
        }
        Ok(())
    }

    /// Bytes of the largest batch, with what rows have beside pixels.
    pub(crate) fn batch_bytes(&self) -> u64 {
        self.epochs.max_rows() * (self.row_bytes + limits::bytes_beside_pixels(self.sample_ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_streamspec::Remainder;

    #[test]
    fn an_opening_that_is_not_what_was_described_is_refused() {
        let keep = StreamSpec { batch_size: 4, ..StreamSpec::default() };
        let drop = StreamSpec { batch_size: 4, remainder: Remainder::Drop, ..StreamSpec::default() };
        let shape = |width| ImageShape { height: 2, width, channels: 3 };
        let check = |spec, described, samples_per_epoch, batches_per_epoch, width| {
            let image = Some(shape(width).into());
            let opened =
                v1::StreamOpened { samples_per_epoch, batches_per_epoch, image, ..Default::default() };
            Geometry::new(spec, described, shape(2)).check(&opened)
        };
        for (spec, described, samples, batches) in [(&keep, 10, 10, 3), (&drop, 10, 8, 2)] {
            assert_eq!(check(spec, described, samples, batches, 2), Ok(()));
            for (samples, batches, width) in
                [(samples + 1, batches, 2), (samples, batches - 1, 2), (samples, batches, 3)]
            {
                let error = check(spec, described, samples, batches, width).unwrap_err();
                assert!(error.contains("another shape"), "{error}");
            }
        }
        assert!(check(&keep, 0, 0, 0, 2).is_err(), "an epoch of nothing");
    }
}
