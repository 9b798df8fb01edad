//! The border: a spec is checked against the data set once, and trusted from there on.

use super::{
    MAX_ALPHA, MAX_BATCH_BYTES, MAX_BATCH_SIZE, Mixing, MixingKind, Remainder, RowShard, SpecError,
    StreamSpec,
};
use crate::dataset::{Dataset, ImageShape};
use crate::left_out::LeftOut;

/// A spec that has been checked against a data set. All its batches exist.
#[derive(Clone, Debug)]
pub struct CheckedSpec {
    spec: StreamSpec,
    image: ImageShape,
    /// Samples that the order of an epoch is made of, after `limit`, those too that were left out.
    all: u64,
    left_out: LeftOut,
}

impl CheckedSpec {
    /// Checks `spec` against `dataset`.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn new(spec: StreamSpec, dataset: &Dataset) -> Result<Self, SpecError> {
        let samples = dataset.samples(spec.split);
        let left_out = samples.left_out();
        Self::of(spec, dataset.image, samples.count() + left_out.count(), &left_out)
    }

    /// Checks `spec` against a split of `available` images of one shape, of which some are left out.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn of(
        spec: StreamSpec,
        image: ImageShape,
        available: u64,
        left_out: &LeftOut,
    ) -> Result<Self, SpecError> {
        if spec.limit > available {
            let allowed = format!("the {} split has {available} samples (0 uses all)", spec.split);
            return Err(SpecError::new("limit", spec.limit, allowed));
        }
        let all = if spec.limit == 0 { available } else { spec.limit };
        let left_out = left_out.below(all);
        let samples = all - left_out.count();
        if samples == 0 {
            return Err(SpecError::new("split", spec.split, "this data set has no samples there"));
        }
        if !(1..=MAX_BATCH_SIZE).contains(&spec.batch_size) {
            return Err(SpecError::new("batch_size", spec.batch_size, format!("1 to {MAX_BATCH_SIZE}")));
        }
        let checked = Self { spec, image, all, left_out };
        let bytes = u64::from(spec.batch_size) * checked.image_bytes() as u64;
        if bytes > MAX_BATCH_BYTES {
            let most = MAX_BATCH_BYTES / checked.image_bytes() as u64;
            let allowed = format!("1 to {most}, so that a batch has at most {MAX_BATCH_BYTES} bytes");
            return Err(SpecError::new("batch_size", spec.batch_size, allowed));
        }
        if spec.remainder == Remainder::Drop && samples < u64::from(spec.batch_size) {
            let allowed = format!("1 to {samples}, or no batch is left when the remainder is dropped");
            return Err(SpecError::new("batch_size", spec.batch_size, allowed));
        }
        check_mixing(spec.mixing.as_ref())?;
        spec.augmentation.check(checked.image)?;
        checked.check_shard()?;
        Ok(checked)
    }

    fn check_shard(&self) -> Result<(), SpecError> {
        let RowShard { rank, world } = self.spec.shard;
        let smallest = self.global_rows(self.batches_per_epoch() - 1);
        if world == 0 || u64::from(world) > smallest {
            let allowed = format!("1 to {smallest}, the rows of the smallest batch of an epoch");
            return Err(SpecError::new("shard.world", world, allowed));
        }
        if rank >= world {
            return Err(SpecError::new("shard.rank", rank, format!("0 to {}", world - 1)));
        }
        Ok(())
    }

    /// Returns the spec as asked for.
    #[must_use]
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// Returns the shape of the images.
    #[must_use]
    pub fn image(&self) -> ImageShape {
        self.image
    }

    /// Returns the number of samples that partners are drawn from.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.all - self.left_out.count()
    }

    /// Returns the samples that the order of an epoch is made of, those too that were left out.
    #[must_use]
    pub fn all_samples(&self) -> u64 {
        self.all
    }

    /// Returns those that are passed over.
    #[must_use]
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Returns the samples of an epoch, those dropped at its end left out.
    #[must_use]
    pub fn samples_per_epoch(&self) -> u64 {
        match self.spec.remainder {
            Remainder::Keep => self.samples(),
            Remainder::Drop => self.samples() - self.samples() % u64::from(self.spec.batch_size),
        }
    }

    /// Returns the batches of an epoch, at least 1.
    #[must_use]
    pub fn batches_per_epoch(&self) -> u64 {
        self.samples_per_epoch().div_ceil(u64::from(self.spec.batch_size))
    }

    /// Returns the bytes of one image as sent.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.image.values() * self.spec.pixel_type.bytes()
    }

    /// Returns the pixel bytes of the largest batch of this shard.
    #[must_use]
    pub fn max_batch_bytes(&self) -> usize {
        let rows = u64::from(self.spec.batch_size).div_ceil(u64::from(self.spec.shard.world));
        rows as usize * self.image_bytes()
    }

    /// Returns the rows of the global batch at `step` of an epoch.
    pub(crate) fn global_rows(&self, step: u64) -> u64 {
        let batch = u64::from(self.spec.batch_size);
        batch.min(self.samples_per_epoch() - step * batch)
    }
}

fn check_mixing(mixing: Option<&Mixing>) -> Result<(), SpecError> {
    let Some(mixing) = mixing else { return Ok(()) };
    check_range("mixing.alpha", mixing.alpha, MAX_ALPHA)?;
    check_range("mixing.probability", mixing.probability, 1.0)?;
    if let MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } = mixing.kind {
        check_range("mixing.cutmix_alpha", cutmix_alpha, MAX_ALPHA)?;
        check_range("mixing.switch_probability", switch_probability, 1.0)?;
    }
    Ok(())
}

/// Checks a number that may be 0 to `most`. NaN is refused.
pub(super) fn check_range(field: &'static str, value: f64, most: f64) -> Result<(), SpecError> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    Err(SpecError::new(field, value, format!("0 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Augmentation;
    use crate::synthetic;

    const SPEC: StreamSpec = StreamSpec::train(0, 8);

    const MIXUP: Mixing = Mixing::mixup(0.2, 0.2);

    fn refused(spec: StreamSpec) -> String {
        CheckedSpec::new(spec, &synthetic::dataset(20)).unwrap_err().to_string()
    }

    #[test]
    fn fields_out_of_range_are_named_with_what_is_allowed() {
        let mixing =
            |alpha, probability| StreamSpec { mixing: Some(Mixing { alpha, probability, ..MIXUP }), ..SPEC };
        let either = |cutmix_alpha, switch_probability| {
            let kind = MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability };
            StreamSpec { mixing: Some(Mixing { kind, ..MIXUP }), ..SPEC }
        };
        let augmented = |crop_padding, flip_probability| StreamSpec {
            augmentation: Augmentation { crop_padding, flip_probability, ..Augmentation::NONE },
            ..SPEC
        };
        let shard = |rank, world| StreamSpec { shard: RowShard { rank, world }, ..SPEC };
        let cases = [
            (
                StreamSpec { limit: 21, ..SPEC },
                "limit: 21 is not allowed, the train split has 20 samples (0 uses all)",
            ),
            (StreamSpec { batch_size: 0, ..SPEC }, "batch_size: 0 is not allowed, 1 to 65536"),
            (StreamSpec { batch_size: 65_537, ..SPEC }, "batch_size: 65537 is not allowed, 1 to 65536"),
            (
                StreamSpec { batch_size: 21, remainder: Remainder::Drop, ..SPEC },
                "batch_size: 21 is not allowed, 1 to 20, or no batch is left when the remainder is dropped",
            ),
            (mixing(-1.0, 0.2), "mixing.alpha: -1 is not allowed, 0 to 1000"),
            (mixing(f64::NAN, 0.2), "mixing.alpha: NaN is not allowed, 0 to 1000"),
            (mixing(f64::INFINITY, 0.2), "mixing.alpha: inf is not allowed, 0 to 1000"),
            (mixing(0.2, 2.0), "mixing.probability: 2 is not allowed, 0 to 1"),
            (mixing(0.2, f64::NAN), "mixing.probability: NaN is not allowed, 0 to 1"),
            (either(-1.0, 0.5), "mixing.cutmix_alpha: -1 is not allowed, 0 to 1000"),
            (either(1.0, 1.5), "mixing.switch_probability: 1.5 is not allowed, 0 to 1"),
            (
                augmented(32, 0.5),
                "augmentation.crop_padding: 32 is not allowed, 0 to 31, so that something of the image is seen",
            ),
            (augmented(4, f64::NAN), "augmentation.flip_probability: NaN is not allowed, 0 to 1"),
            (
                shard(0, 0),
                "shard.world: 0 is not allowed, 1 to 4, the rows of the smallest batch of an epoch",
            ),
            (
                shard(0, 5),
                "shard.world: 5 is not allowed, 1 to 4, the rows of the smallest batch of an epoch",
            ),
            (shard(4, 4), "shard.rank: 4 is not allowed, 0 to 3"),
        ];
        for (spec, message) in cases {
            assert_eq!(refused(spec), message);
        }
    }

    #[test]
    fn the_ends_of_each_range_are_allowed() {
        let data = synthetic::dataset(20);
        for spec in [
            StreamSpec { limit: 20, ..SPEC },
            StreamSpec { batch_size: 21_845, ..SPEC },
            StreamSpec { mixing: Some(Mixing { alpha: 0.0, probability: 0.0, ..MIXUP }), ..SPEC },
            StreamSpec { mixing: Some(Mixing { alpha: MAX_ALPHA, probability: 1.0, ..MIXUP }), ..SPEC },
            StreamSpec {
                augmentation: Augmentation { crop_padding: 31, flip_probability: 1.0, ..Augmentation::NONE },
                ..SPEC
            },
            StreamSpec { shard: RowShard { rank: 3, world: 4 }, ..SPEC },
        ] {
            assert!(CheckedSpec::new(spec, &data).is_ok(), "{spec:?}");
        }
    }

    #[test]
    fn keeping_and_dropping_the_remainder_count_batches_and_samples() {
        let data = synthetic::dataset(20);
        let keep = CheckedSpec::new(SPEC, &data).unwrap();
        assert_eq!((keep.samples_per_epoch(), keep.batches_per_epoch(), keep.global_rows(2)), (20, 3, 4));
        let drop = CheckedSpec::new(StreamSpec { remainder: Remainder::Drop, ..SPEC }, &data).unwrap();
        assert_eq!((drop.samples_per_epoch(), drop.batches_per_epoch(), drop.global_rows(1)), (16, 2, 8));
    }
}
