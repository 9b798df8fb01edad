//! What shape the batch of an index must have.
//!
//! Pure arithmetic over the spec and the loader's answer to the opening message.

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
    /// Reads the loader's answer to the opening of `spec`; an error says what is wrong with it.
    pub(crate) fn read(spec: &StreamSpec, opened: &v1::StreamOpened) -> Result<Self, String> {
        let (samples, batches) = (opened.samples_per_epoch, opened.batches_per_epoch);
        let epochs = Epochs::new(spec, samples);
        if batches == 0 || (samples, batches) != (epochs.samples(), epochs.batches()) {
            return Err(format!(
                "an epoch of {samples} samples in {batches} batches does not fit batch size {}",
                spec.batch_size
            ));
        }
        let image = opened.image.ok_or("its opening names no image shape")?.try_into()?;
        let row_bytes = spec.image_bytes(image) as u64;
        Ok(Self { epochs, image, row_bytes, sample_ids: spec.sample_ids })
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

    fn geometry(spec: &StreamSpec, samples: u64, batches: u64) -> Result<Geometry, String> {
        let image = v1::ImageShape { height: 2, width: 2, channels: 3 };
        let opened = v1::StreamOpened {
            samples_per_epoch: samples,
            batches_per_epoch: batches,
            image: Some(image),
            window_batches: 1,
            ..v1::StreamOpened::default()
        };
        Geometry::read(spec, &opened)
    }

    #[test]
    fn an_opening_that_does_not_fit_the_spec_is_refused() {
        let keep = StreamSpec { batch_size: 4, ..StreamSpec::default() };
        let drop = StreamSpec { batch_size: 4, remainder: Remainder::Drop, ..StreamSpec::default() };
        assert!(geometry(&keep, 10, 2).is_err());
        assert!(geometry(&keep, 0, 0).is_err());
        assert!(geometry(&drop, 10, 2).is_err());
        assert!(geometry(&drop, 8, 2).is_ok());
    }
}
