//! How a stream divides into epochs and batches: what shape the batch of an index must have.
//!
//! Pure arithmetic over the spec and the loader's answer to the opening message.

use crate::identity::ImageShape;
use crate::spec::{Remainder, RowShard, StreamSpec};
use mixfeed_proto::v1;

/// The shape of every batch of one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) samples_per_epoch: u64,
    pub(crate) batches_per_epoch: u64,
    pub(crate) image: ImageShape,
    batch_size: u64,
    shard: Option<RowShard>,
    value_bytes: u64,
}

impl Geometry {
    /// Reads the loader's answer to the opening of `spec`; an error says what is wrong with it.
    pub(crate) fn read(spec: &StreamSpec, opened: &v1::StreamOpened) -> Result<Self, String> {
        let batch_size = u64::from(spec.batch_size);
        let (samples, batches) = (opened.samples_per_epoch, opened.batches_per_epoch);
        let consistent = match spec.remainder {
            Remainder::Keep => samples.div_ceil(batch_size),
            Remainder::Drop => samples / batch_size,
        };
        let multiple = spec.remainder == Remainder::Keep || samples % batch_size == 0;
        if batches == 0 || batches != consistent || !multiple {
            return Err(format!(
                "an epoch of {samples} samples in {batches} batches does not fit batch size {batch_size}"
            ));
        }
        Ok(Self {
            samples_per_epoch: samples,
            batches_per_epoch: batches,
            image: ImageShape::read(opened.image.ok_or("its opening names no image shape")?)?,
            batch_size,
            shard: spec.shard,
            value_bytes: spec.pixel_type.bytes(),
        })
    }

    /// The epoch that `index` lies in.
    pub(crate) fn epoch(&self, index: u64) -> u64 {
        index / self.batches_per_epoch
    }

    /// Rows of batch `index` as this client gets it.
    pub(crate) fn rows(&self, index: u64) -> u64 {
        let first = (index % self.batches_per_epoch) * self.batch_size;
        let rows = self.batch_size.min(self.samples_per_epoch - first);
        match self.shard {
            None => rows,
            Some(RowShard { rank, world }) => {
                let cut = |part: u32| rows * u64::from(part) / u64::from(world);
                cut(rank + 1) - cut(rank)
            }
        }
    }

    /// Bytes of the pixels of one row.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.image.values() * self.value_bytes
    }

    /// Bytes of the largest batch, labels and lambdas included.
    pub(crate) fn batch_bytes(&self) -> u64 {
        let rows = self.shard.map_or(self.batch_size, |s| self.batch_size.div_ceil(u64::from(s.world)));
        rows * (self.row_bytes() + 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(spec: &StreamSpec, samples: u64, batches: u64) -> Result<Geometry, String> {
        let image = v1::ImageShape { height: 2, width: 2, channels: 3 };
        let opened = v1::StreamOpened {
            samples_per_epoch: samples,
            batches_per_epoch: batches,
            image: Some(image),
            window_batches: 1,
        };
        Geometry::read(spec, &opened)
    }

    #[test]
    fn the_last_batch_of_an_epoch_is_short() {
        let spec = StreamSpec { batch_size: 4, ..StreamSpec::default() };
        let geometry = geometry(&spec, 10, 3).unwrap();
        let rows: Vec<_> = (0..7).map(|i| (geometry.epoch(i), geometry.rows(i))).collect();
        assert_eq!(rows, [(0, 4), (0, 4), (0, 2), (1, 4), (1, 4), (1, 2), (2, 4)]);
    }

    #[test]
    fn the_shards_of_a_batch_add_up_to_it() {
        for world in 1..=5 {
            for index in 0..3 {
                let rows: u64 = (0..world)
                    .map(|rank| {
                        let shard = Some(RowShard { rank, world });
                        let spec = StreamSpec { batch_size: 5, shard, ..StreamSpec::default() };
                        let geometry = geometry(&spec, 13, 3).unwrap();
                        assert!(geometry.rows(index) * (geometry.row_bytes() + 12) <= geometry.batch_bytes());
                        geometry.rows(index)
                    })
                    .sum();
                assert_eq!(rows, if index == 2 { 3 } else { 5 });
            }
        }
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
