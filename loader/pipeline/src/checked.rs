//! The border: a spec is checked against the dataset once, and trusted from there on.

use crate::augment::custom::Custom;
use crate::dataset::{Dataset, Samples};
use crate::left_out::LeftOut;
use mixfeed_streamspec::{
    Epochs, ImageShape, ImageSize, PixelLayout, PixelType, Remainder, RowShard, SpecError, StreamSpec,
};
use std::sync::Arc;

/// The field of a spec without an output size, where one is needed.
const NO_OUTPUT: &str = "output";

/// A spec that has been checked against a dataset. All its batches exist.
#[derive(Clone, Debug)]
pub struct CheckedSpec {
    spec: StreamSpec,
    custom: Option<Custom>,
    /// As sent.
    image: ImageShape,
    /// What the sizes of images are looked up in, where they are of many.
    samples: Option<Arc<dyn Samples>>,
    /// The size of all images where they are of one.
    common: ImageSize,
    epochs: Epochs,
    classes: u32,
    /// Samples that the order of an epoch is made of, after `limit`, those too that were left out.
    all: u64,
    left_out: LeftOut,
}

impl CheckedSpec {
    /// Checks `spec` against `dataset`, without custom transforms.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn new(spec: StreamSpec, dataset: &Dataset) -> Result<Self, SpecError> {
        Self::with_custom(spec, dataset, &[])
    }

    /// Checks `spec` against `dataset`, where the custom transforms `known` are to be had.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn with_custom(spec: StreamSpec, dataset: &Dataset, known: &[Custom]) -> Result<Self, SpecError> {
        let spec = StreamSpec { output: spec.output.or(dataset.output), ..spec };
        let samples = dataset.samples(spec.split);
        let left_out = samples.left_out();
        let classes = dataset.classes.len() as u32;
        let (available, odd) = (samples.count() + left_out.count(), dataset.odd_size());
        let checked = Self::of(spec, dataset.image, classes, available, &left_out, known).map_err(
            |error| match odd {
                Some(odd) if error.field == NO_OUTPUT => {
                    SpecError { allowed: format!("a size, because the images are of many: {odd}"), ..error }
                }
                _ => error,
            },
        )?;
        Ok(Self { samples: dataset.image.is_none().then(|| Arc::clone(samples)), ..checked })
    }

    /// Checks `spec` against a split of `available` images of so many classes, of the shape `image` if they have one in
    /// common, of which some are left out.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn of(
        spec: StreamSpec,
        image: Option<ImageShape>,
        classes: u32,
        available: u64,
        left_out: &LeftOut,
        known: &[Custom],
    ) -> Result<Self, SpecError> {
        if spec.limit > available {
            let allowed = format!("the {} split has {available} samples (0 uses all)", spec.split);
            return Err(SpecError::new("limit", spec.limit, allowed));
        }
        let all = if spec.limit == 0 { available } else { spec.limit };
        let left_out = left_out.below(all);
        let samples = all - left_out.count();
        if samples == 0 {
            return Err(SpecError::new("split", spec.split, "this dataset has no samples there"));
        }
        let common = image.map_or(ImageSize { height: 1, width: 1 }, ImageShape::size);
        let Some(image) = spec.sent(image) else {
            return Err(SpecError::new(NO_OUTPUT, "missing", "a size, because the images are of many"));
        };
        spec.check(image)?;
        if spec.remainder == Remainder::Drop && samples < u64::from(spec.batch_size) {
            let allowed = format!("1 to {samples}, or no batch is left when the remainder is dropped");
            return Err(SpecError::new("batch_size", spec.batch_size, allowed));
        }
        let custom = spec.augmentation.custom.map(|asked| Custom::find(asked, known, image)).transpose()?;
        check_shard(&spec, samples)?;
        let epochs = Epochs::new(&spec, samples);
        Ok(Self { spec, custom, image, samples: None, common, epochs, classes, all, left_out })
    }

    /// Returns the same stream with pixels as bytes, interleaved: what is smallest, and what pictures are made of.
    #[must_use]
    pub fn as_bytes(&self) -> Self {
        let spec = StreamSpec { pixel_type: PixelType::U8, pixel_layout: PixelLayout::Nhwc, ..self.spec };
        Self { spec, ..self.clone() }
    }

    /// Returns the spec as asked for, with the dataset's output where it names none.
    #[must_use]
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// Returns the custom transform that it asks for.
    #[must_use]
    pub fn custom(&self) -> Option<Custom> {
        self.custom
    }

    /// Returns the shape of the images as sent.
    #[must_use]
    pub fn image(&self) -> ImageShape {
        self.image
    }

    /// Returns the size of a sample's image before anything is done to it; one pixel where it is not known because the record
    /// is damaged.
    #[must_use]
    pub fn original(&self, sample: u64) -> ImageSize {
        let own = self.samples.as_ref().map(|samples| samples.size(sample));
        own.map_or(self.common, |size| size.unwrap_or(ImageSize { height: 1, width: 1 }))
    }

    /// Returns the number of samples that partners are drawn from.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.all - self.left_out.count()
    }

    /// Returns the number of classes that labels are of.
    #[must_use]
    pub fn classes(&self) -> u32 {
        self.classes
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

    /// Returns the number of a sample among all, those too that were left out: it stays the same whatever else is left out.
    #[must_use]
    pub fn number_of_all(&self, sample: u64) -> u64 {
        self.left_out.number_of_all(sample)
    }

    /// Returns how the stream divides into epochs, batches and rows.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Returns the bytes of one image as sent.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.spec.image_bytes(self.image)
    }

    /// Returns the pixel bytes of the largest batch of this shard.
    #[must_use]
    pub fn max_batch_bytes(&self) -> usize {
        self.epochs.max_rows() as usize * self.image_bytes()
    }
}

fn check_shard(spec: &StreamSpec, samples: u64) -> Result<(), SpecError> {
    let Some(RowShard { rank, world }) = spec.shard else { return Ok(()) };
    let epochs = Epochs::new(&StreamSpec { shard: None, ..*spec }, samples);
    let smallest = epochs.rows(epochs.batches() - 1);
    if world == 0 || u64::from(world) > smallest {
        let allowed = format!("1 to {smallest}, the rows of the smallest batch of an epoch");
        return Err(SpecError::new("shard.world", world, allowed));
    }
    if rank >= world {
        return Err(SpecError::new("shard.rank", rank, format!("0 to {}", world - 1)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::custom::tests::Brighter;
    use crate::synthetic;
    use mixfeed_streamspec::{Augmentation, CustomTransform};

    const SPEC: StreamSpec = StreamSpec::train(0, 8);

    fn shard(rank: u32, world: u32) -> StreamSpec {
        StreamSpec { shard: Some(RowShard { rank, world }), ..SPEC }
    }

    fn custom(name: &str) -> StreamSpec {
        let custom = CustomTransform::new(name, 2).ok();
        StreamSpec { augmentation: Augmentation { custom, ..Augmentation::NONE }, ..SPEC }
    }

    #[test]
    fn fields_out_of_range_are_named_with_what_is_allowed() {
        let data = synthetic::dataset(20);
        for (spec, message) in [
            (
                StreamSpec { limit: 21, ..SPEC },
                "limit: 21 is not allowed, the train split has 20 samples (0 uses all)",
            ),
            (StreamSpec { batch_size: 0, ..SPEC }, "batch_size: 0 is not allowed, 1 to 65536"),
            (
                StreamSpec { batch_size: 21, remainder: Remainder::Drop, ..SPEC },
                "batch_size: 21 is not allowed, 1 to 20, or no batch is left when the remainder is dropped",
            ),
            (
                shard(0, 0),
                "shard.world: 0 is not allowed, 1 to 4, the rows of the smallest batch of an epoch",
            ),
            (
                shard(0, 5),
                "shard.world: 5 is not allowed, 1 to 4, the rows of the smallest batch of an epoch",
            ),
            (shard(4, 4), "shard.rank: 4 is not allowed, 0 to 3"),
            (
                custom("brighter"),
                "augmentation.custom: brighter:2 is not allowed, this loader has no custom transform",
            ),
        ] {
            assert_eq!(CheckedSpec::new(spec, &data).unwrap_err().to_string(), message);
        }
        let known = [Custom::new(&Brighter)];
        let error = CheckedSpec::with_custom(custom("darker"), &data, &known).unwrap_err().to_string();
        assert_eq!(error, "augmentation.custom: darker:2 is not allowed, this loader has brighter:2");
        let flat = ImageShape { height: 1, width: 8, channels: 3 };
        let error =
            CheckedSpec::of(custom("brighter"), Some(flat), 10, 20, &LeftOut::default(), &known).unwrap_err();
        assert_eq!(
            error.to_string(),
            "augmentation.custom: brighter:2 is not allowed, for images of two rows or more"
        );
    }

    #[test]
    fn the_ends_of_each_range_are_allowed() {
        let data = synthetic::dataset(20);
        for spec in [
            StreamSpec { limit: 20, ..SPEC },
            StreamSpec { batch_size: 21_845, ..SPEC },
            StreamSpec { batch_size: 20, remainder: Remainder::Drop, ..SPEC },
            shard(3, 4),
        ] {
            assert!(CheckedSpec::new(spec, &data).is_ok(), "{spec:?}");
        }
        let checked = CheckedSpec::with_custom(custom("brighter"), &data, &[Custom::new(&Brighter)]).unwrap();
        assert_eq!(checked.custom(), Some(Custom::new(&Brighter)));
    }
}
