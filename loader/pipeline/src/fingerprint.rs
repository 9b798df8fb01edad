//! The algorithm, named by what it computes.
//!
//! Two replicas may share a stream only if they would compute the same batches. Whether they would
//! is found out, not declared: each builds a frozen set of probe batches and hashes them. Another
//! decoder, miscompiled code or another math library shows as well as changed code.
//!
//! A transform that is added has probes of its own, and these enter the hash only where they differ from what they were
//! when it came. So adding one leaves the fingerprint as it was: loaders from before refuse a spec that asks for it, and
//! all other specs have the batches that they had. Changing one moves the fingerprint.
//!
//! ```
//! use mixfeed_pipeline::fingerprint::algorithm_fingerprint;
//!
//! // The same on every machine that computes the same.
//! assert_eq!(algorithm_fingerprint()?, algorithm_fingerprint()?);
//! # Ok::<(), mixfeed_pipeline::fingerprint::FingerprintError>(())
//! ```

use crate::augment::{Custom, LATER};
use crate::checked::CheckedSpec;
use crate::collate::{BatchBuffer, Scratch, collate};
use crate::dataset::{Dataset, InMemory, Samples};
use crate::decode::{DecodeError, decode_rgb, decode_to};
use crate::plan::BatchPlan;
use crate::synthetic;
use mixfeed_streamspec::Split;
use mixfeed_streamspec::{
    Augmentation, ColorJitter, CustomTransform, ImageSize, LambdaScope, Mixing, MixingKind, MixingSchedule,
    Output, PartnerSource, PixelLayout, PixelType, RandomErasing, Remainder, Resize, ResizedCrop, RowShard,
    StreamSpec,
};
use std::sync::Arc;

/// Readable name of the algorithm. It moves with every intended change of batch content; the
/// fingerprint moves with the others too.
pub const ALGORITHM_VERSION: u32 = 2;

const PROBE_PNG: &[u8] = include_bytes!("../assets/probe.png");
const PROBE_JPEG: &[u8] = include_bytes!("../assets/probe.jpg");

/// Why no fingerprint could be made: this program cannot build the probe batches.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// A built-in image does not decode.
    #[error("built-in probe image: {0}")]
    Decode(#[from] DecodeError),
    /// A probe spec or sample is refused.
    #[error("built-in probe batch: {0}")]
    Probe(String),
}

/// Builds the probe batches and returns their BLAKE3 hash.
///
/// # Errors
/// When the program is so broken that it cannot build them.
pub fn algorithm_fingerprint() -> Result<[u8; 32], FingerprintError> {
    let data = probe_images()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mixfeed algorithm probes 2");
    // Images that are resized in each way, down and up.
    for (height, width) in [(20, 28), (48, 40)] {
        let size = ImageSize { height, width };
        for resize in
            [Resize::COVER, Resize::CenterCrop { side: 50 }, Resize::Stretch, Resize::Letterbox { fill: 9 }]
        {
            let output = Output { resize, ..Output::center_crop(size) };
            hasher.update(&decode_to(PROBE_PNG, &output)?);
            hasher.update(&decode_to(PROBE_JPEG, &output)?);
        }
    }
    hash_batches(&mut hasher, &data, probe_specs())?;
    for (specs, frozen) in later_probes() {
        let mut later = blake3::Hasher::new();
        hash_batches(&mut later, &data, specs)?;
        let digest = later.finalize();
        if digest.to_hex().as_str() != frozen {
            hasher.update(digest.as_bytes());
        }
    }
    Ok(hasher.finalize().into())
}

/// Hashes some batches of each spec.
fn hash_batches(
    hasher: &mut blake3::Hasher,
    data: &Dataset,
    specs: Vec<StreamSpec>,
) -> Result<(), FingerprintError> {
    let (mut scratch, mut buffer) = (Scratch::default(), BatchBuffer::default());
    for spec in specs {
        let checked = CheckedSpec::new(spec, data).map_err(|e| FingerprintError::Probe(e.to_string()))?;
        for index in indices(&checked) {
            let plan = BatchPlan::new(&checked, index);
            collate(&checked, &plan, data.train.as_ref(), &mut scratch, &mut buffer)
                .map_err(|e| FingerprintError::Probe(e.to_string()))?;
            for part in [&buffer.pixels[..], &buffer.labels, &buffer.partner_labels, &buffer.lambdas] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
    }
    Ok(())
}

/// Returns the fingerprint of the algorithm with custom transforms, in whatever order: each enters it by
/// name, version, and what it makes of the probe images. Without any it is [`algorithm_fingerprint`].
///
/// # Errors
/// As [`algorithm_fingerprint`], and when a transform refuses the probe images or gives two results for one
/// image.
pub fn fingerprint_with(transforms: &[Custom]) -> Result<[u8; 32], FingerprintError> {
    let built_in = algorithm_fingerprint()?;
    if transforms.is_empty() {
        return Ok(built_in);
    }
    let data = probe_images()?;
    let mut transforms = transforms.to_vec();
    transforms.sort_by_key(|transform| transform.name());
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mixfeed algorithm with transforms 1").update(&built_in);
    for transform in transforms {
        let [once, again] = [probe(transform, &data)?, probe(transform, &data)?];
        if once != again {
            let reason = format!("transform {transform} gives two results for one image and one key");
            return Err(FingerprintError::Probe(reason));
        }
        hasher.update(transform.name().as_bytes()).update(&[0]).update(&transform.version().to_le_bytes());
        hasher.update(&once);
    }
    Ok(hasher.finalize().into())
}

/// Hashes the probe images as a transform shows them.
fn probe(transform: Custom, data: &Dataset) -> Result<[u8; 32], FingerprintError> {
    let failed = |e: String| FingerprintError::Probe(format!("transform {transform}: {e}"));
    let custom = CustomTransform::new(transform.name(), transform.version());
    let custom = Some(custom.map_err(|e| failed(e.to_string()))?);
    let augmentation = Augmentation { custom, ..Augmentation::NONE };
    let spec = StreamSpec { augmentation, ..StreamSpec::train(20_171_025, 23) };
    let checked = CheckedSpec::with_custom(spec, data, &[transform]).map_err(|e| failed(e.to_string()))?;
    let (mut scratch, mut buffer) = (Scratch::default(), BatchBuffer::default());
    let mut hasher = blake3::Hasher::new();
    for index in 0..4 {
        let plan = BatchPlan::new(&checked, index);
        collate(&checked, &plan, data.train.as_ref(), &mut scratch, &mut buffer)
            .map_err(|e| failed(e.to_string()))?;
        hasher.update(&buffer.pixels);
    }
    Ok(hasher.finalize().into())
}

/// The first batch, the last (short) one of an epoch, and one far away.
fn indices(checked: &CheckedSpec) -> [u64; 3] {
    [0, checked.epochs().batches() - 1, 1_000_003]
}

/// One PNG, one JPEG, and twenty-one drawings.
fn probe_images() -> Result<Dataset, FingerprintError> {
    let mut pixels = Vec::new();
    for file in [PROBE_PNG, PROBE_JPEG] {
        pixels.extend(decode_rgb(file)?.1);
    }
    let drawings = synthetic::dataset(21);
    let mut scratch = Vec::new();
    for sample in 0..drawings.train.count() {
        let image = drawings.train.image(sample, &mut scratch);
        pixels.extend(image.map_err(|e| FingerprintError::Probe(e.to_string()))?);
    }
    let labels: Vec<u32> = (0..23).map(|i| i % 10).collect();
    let samples: Arc<dyn Samples> = Arc::new(InMemory::new(synthetic::SHAPE, pixels, labels));
    Ok(Dataset { name: "probes".into(), train: Arc::clone(&samples), test: samples, ..drawings })
}

/// The transforms that there were when the first probes were frozen.
const FIRST: Augmentation = Augmentation {
    crop_padding: 2,
    flip_probability: 0.5,
    trivial_augment: true,
    cutout_size: 2,
    erased_value: 128,
    resized_crop: Some(ResizedCrop::IMAGENET),
    color_jitter: Some(ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
    random_erasing: Some(RandomErasing::PUBLISHED),
    ..Augmentation::NONE
};

/// A setting of a spec that is no transform, how it is switched on, and the digest of its probes, frozen.
type LaterSetting = (fn(&mut StreamSpec), &'static str);

/// Such settings that came after the first probes were frozen.
const LATER_SETTINGS: [LaterSetting; 2] = [
    (
        |it| it.mixing_schedule = MixingSchedule::once(1, Some(Mixing::mixup(8.0, 1.0))),
        "d30da0d0a96f52e4e4eb527aeb9f2c4a084fba09452933486ad93a1a48facdff",
    ),
    (|it| it.label_noise = 0.4, "42bf952395b6e213bca2e8a4115f10410531a482a1adeb8851d4fcf3f1c2834c"),
];

/// What came later, each with the digest that its probes had when it came.
fn later_probes() -> impl Iterator<Item = (Vec<StreamSpec>, &'static str)> {
    let transforms = LATER.into_iter().map(|(switch_on, frozen)| (later_specs(switch_on), frozen));
    let settings = LATER_SETTINGS.into_iter().map(|(switch_on, frozen)| {
        let mut spec =
            StreamSpec { mixing: Some(Mixing::mixup(1.0, 0.5)), ..StreamSpec::train(20_171_025, 9) };
        switch_on(&mut spec);
        (vec![spec], frozen)
    });
    transforms.chain(settings)
}

/// A transform that came later: alone, and in its place among the first.
fn later_specs(switch_on: fn(&mut Augmentation)) -> Vec<StreamSpec> {
    let with = |mut augmentation: Augmentation| {
        switch_on(&mut augmentation);
        StreamSpec { augmentation, ..StreamSpec::train(20_171_025, 23) }
    };
    vec![with(Augmentation::NONE), with(FIRST)]
}

/// Every setting of a spec at least once, as far as there was such when they were frozen.
fn probe_specs() -> Vec<StreamSpec> {
    let mixing = Mixing::mixup(0.2, 0.2);
    let article = StreamSpec { mixing: Some(mixing), ..StreamSpec::train(20_171_025, 9) };
    let always = |alpha| Some(Mixing { alpha, probability: 1.0, ..mixing });
    let paper = Mixing {
        alpha: 1.0,
        probability: 1.0,
        lambda_scope: LambdaScope::Batch,
        partner_source: PartnerSource::Batch,
        ..mixing
    };
    let per_sample = Mixing { alpha: 1.0, probability: 1.0, ..mixing };
    let either = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
    let augmentation = Augmentation { crop_padding: 4, flip_probability: 0.5, ..Augmentation::NONE };
    // The seed is one with which all changes of TrivialAugment come.
    let output = Some(Output::center_crop(ImageSize { height: 24, width: 40 }));
    let trivial = Augmentation { trivial_augment: true, ..Augmentation::NONE };
    vec![
        article,
        StreamSpec { mixing: None, shuffle: false, split: Split::Test, ..article },
        // Both algorithms of Beta: alpha up to 1, and above.
        StreamSpec { mixing: always(0.2), ..article },
        StreamSpec { mixing: always(2.5), ..article },
        StreamSpec { mixing: Some(paper), ..article },
        StreamSpec { remainder: Remainder::Drop, limit: 20, ..article },
        StreamSpec { shard: Some(RowShard { rank: 1, world: 2 }), ..article },
        StreamSpec { mixing: always(1.0), pixel_type: PixelType::F32, ..article },
        StreamSpec { mixing: always(1.0), pixel_layout: PixelLayout::Nchw, ..article },
        StreamSpec { pixel_type: PixelType::F32, pixel_layout: PixelLayout::Nchw, ..article },
        StreamSpec { augmentation, ..article },
        StreamSpec { mixing: Some(Mixing { kind: MixingKind::Cutmix, ..paper }), ..article },
        StreamSpec { mixing: Some(Mixing { kind: either, ..paper }), pixel_type: PixelType::F32, ..article },
        StreamSpec { mixing: Some(Mixing { kind: either, ..per_sample }), augmentation, ..article },
        StreamSpec { mixing: always(1.0), augmentation: FIRST, ..article },
        StreamSpec { augmentation: trivial, ..StreamSpec::train(2, 23) },
        StreamSpec { output, ..article },
        StreamSpec { output, augmentation: FIRST, mixing: always(1.0), ..article },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{ColorChange, CustomAugmentation, Op, Parameters, View};
    use crate::key::Key;
    use mixfeed_streamspec::ImageShape;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[test]
    fn the_fingerprint_is_the_same_each_time() {
        assert_eq!(algorithm_fingerprint().unwrap(), algorithm_fingerprint().unwrap());
    }

    /// A name, a version, and what is added to every value.
    struct Adds(&'static str, u32, u8);

    impl CustomAugmentation for Adds {
        fn name(&self) -> &'static str {
            self.0
        }

        fn version(&self) -> u32 {
            self.1
        }

        fn plan(&self, _key: Key, _image: ImageShape) -> Parameters {
            [0; 4]
        }

        fn apply(&self, _parameters: Parameters, _image: ImageShape, pixels: &mut [u8]) {
            pixels.iter_mut().for_each(|value| *value = value.wrapping_add(self.2));
        }
    }

    #[test]
    fn transforms_enter_by_name_version_and_what_they_compute_but_not_by_order() {
        static ADDS: [Adds; 5] =
            [Adds("one", 1, 1), Adds("two", 1, 1), Adds("one", 2, 1), Adds("one", 1, 2), Adds("other", 1, 9)];
        let of = |which: &[usize]| {
            let transforms: Vec<_> = which.iter().map(|it| Custom::new(&ADDS[*it])).collect();
            fingerprint_with(&transforms).unwrap()
        };
        assert_eq!(of(&[]), algorithm_fingerprint().unwrap());
        assert_eq!(of(&[0, 4]), of(&[4, 0]));
        let all = [of(&[]), of(&[0]), of(&[1]), of(&[2]), of(&[3]), of(&[0, 4])];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_transform_that_remembers_is_found_out() {
        struct Careless(AtomicU8);

        impl CustomAugmentation for Careless {
            fn name(&self) -> &'static str {
                "careless"
            }

            fn version(&self) -> u32 {
                1
            }

            fn plan(&self, _key: Key, _image: ImageShape) -> Parameters {
                [0; 4]
            }

            fn apply(&self, _parameters: Parameters, _image: ImageShape, pixels: &mut [u8]) {
                pixels[0] = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        static CARELESS: Careless = Careless(AtomicU8::new(0));
        let error = fingerprint_with(&[Custom::new(&CARELESS)]).unwrap_err().to_string();
        assert!(error.contains("careless:1 gives two results"), "{error}");
    }

    #[test]
    fn first_and_later_probes_are_of_all_transforms() {
        let mut all = FIRST;
        for (switch_on, _) in LATER {
            switch_on(&mut all);
        }
        assert_eq!(all, Augmentation::EVERY);
    }

    #[test]
    fn later_probes_give_what_they_gave_at_first() {
        let data = probe_images().unwrap();
        for (specs, frozen) in later_probes() {
            let mut hasher = blake3::Hasher::new();
            hash_batches(&mut hasher, &data, specs).unwrap();
            // Where a change was intended, the fingerprint moves with it: leave the digest, and name the exception here.
            assert_eq!(hasher.finalize().to_hex().as_str(), frozen);
        }
    }

    #[test]
    fn every_transform_is_probed() {
        let data = probe_images().unwrap();
        let mut views = Vec::new();
        let later = LATER.into_iter().flat_map(|(switch_on, _)| later_specs(switch_on));
        for spec in probe_specs().into_iter().chain(later) {
            let checked = CheckedSpec::new(spec, &data).unwrap();
            for row in indices(&checked).into_iter().flat_map(|index| BatchPlan::new(&checked, index).rows) {
                views.push(row.view);
                views.extend(row.partner.map(|partner| partner.view));
            }
        }
        for op in Op::ALL {
            assert!(views.iter().any(|view| view.trivial.is_some_and(|it| it.op == op)), "{op:?}");
        }
        let (own, signs) = View::PLAIN.signs().len().checked_sub(1).map(|own| (own, 0..own)).unwrap();
        assert!(View::PLAIN.signs()[own].1.contains("the loader's own"));
        for sign in signs {
            assert!(views.iter().any(|view| view.signs()[sign].0.is_some()), "sign {sign}");
        }
        let any = |has: fn(&View) -> bool| views.iter().any(has);
        assert!(any(|view| view.resized.is_some()) && any(|view| view.erased.is_some()));
        assert!(any(|view| view.cutout.is_some()) && any(|view| view.flipped) && any(|view| view.down != 0));
        for kind in 0..4 {
            let of = |change: &ColorChange| match change {
                ColorChange::Brightness(_) => 0,
                ColorChange::Contrast(_) => 1,
                ColorChange::Saturation(_) => 2,
                ColorChange::Hue(_) => 3,
            };
            assert!(views.iter().any(|view| view.jitter.iter().flatten().any(|it| of(it) == kind)));
        }
    }
}
