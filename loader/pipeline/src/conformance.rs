//! Conformance: what custom transforms and datasets must keep to, as checks that their authors run in tests.
//!
//! Loaders rely on it: replicas agree on every bit only if a transform follows from its key alone, and if an image is the
//! same whenever it is read. Here are the checks that need no threads; `mixfeed_loader::conformance` adds those of a source.
//!
//! ```
//! use mixfeed_pipeline::augment::{CustomAugmentation, Parameters};
//! use mixfeed_pipeline::{ImageShape, conformance, key::Key};
//!
//! struct Invert;
//!
//! impl CustomAugmentation for Invert {
//!     fn name(&self) -> &'static str {
//!         "invert"
//!     }
//!     fn version(&self) -> u32 {
//!         1
//!     }
//!     fn plan(&self, _key: Key, _image: ImageShape) -> Parameters {
//!         [0; 4]
//!     }
//!     fn apply(&self, _parameters: Parameters, _image: ImageShape, pixels: &mut [u8]) {
//!         pixels.iter_mut().for_each(|value| *value = 255 - *value);
//!     }
//! }
//!
//! conformance::transform(&Invert)?;
//! conformance::dataset(&mixfeed_pipeline::synthetic::dataset(100))?;
//! # Ok::<(), conformance::Violation>(())
//! ```

use crate::augment::CustomAugmentation;
use crate::augment::custom::PURPOSE;
use crate::key::{Key, Seed};
use crate::{Dataset, SampleError, Samples};
use mixfeed_streamspec::{CustomTransform, ImageShape, Split};

/// Images that are read of each split, at most; the first and the last are among them.
const MAX_SAMPLES: u64 = 4096;

/// Occurrences that a transform draws for, of each shape.
const DRAWS: u64 = 64;

/// Height and width of the images that a transform is tried on, with three channels and with one.
const SIDES: [(u32, u32); 7] = [(32, 32), (33, 17), (1, 1), (1, 9), (9, 1), (28, 28), (224, 224)];

/// A rule that is not kept, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Violation {
    /// Says what is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// Checks that name and version of a transform can be asked for, that it draws from the key alone and computes from
/// its parameters and the image alone, and that it works on images of each shape that it accepts.
///
/// # Errors
/// Names the first rule that is not kept.
///
/// # Panics
/// Where the transform does.
pub fn transform(transform: &dyn CustomAugmentation) -> Result<(), Violation> {
    CustomTransform::new(transform.name(), transform.version()).map_err(|e| Violation(e.to_string()))?;
    let shapes = SIDES
        .into_iter()
        .flat_map(|(height, width)| [3, 1].map(|channels| ImageShape { height, width, channels }));
    let accepted: Vec<ImageShape> = shapes.filter(|shape| transform.check(*shape).is_ok()).collect();
    ensure(!accepted.is_empty(), || "`check` accepts no shape".into())?;
    for shape in accepted {
        let key = |draw: u64| Key::new(Seed(20_171_025), PURPOSE).at(draw);
        let image: Vec<u8> =
            (0..shape.values()).map(|at| key(0).at(at as u64).words::<1>()[0] as u8).collect();
        let show = |parameters| {
            let mut pixels = image.clone();
            transform.apply(parameters, shape, &mut pixels);
            pixels
        };
        // One occurrence at a time; then all are drawn before any is shown, in the opposite order.
        let alone: Vec<_> =
            (0..DRAWS).map(|draw| transform.plan(key(draw), shape)).map(|it| (it, show(it))).collect();
        let mut again: Vec<_> = (0..DRAWS).rev().map(|draw| transform.plan(key(draw), shape)).collect();
        again.reverse();
        for (draw, (parameters, pixels)) in alone.iter().enumerate().rev() {
            ensure(again[draw] == *parameters, || {
                format!("`plan` gives two results for one key, on {shape}")
            })?;
            ensure(show(*parameters) == *pixels, || {
                format!("`apply` gives two results for one image, on {shape}")
            })?;
        }
    }
    Ok(())
}

/// Checks that a dataset has training images, that classes have names of their own and labels are among them, that every
/// image has the shape of the set, and that it is the same each time, whatever was read before it. Of large splits,
/// 4,096 images are read. A sample that fails must fail each time.
///
/// # Errors
/// Names the first rule that is not kept.
pub fn dataset(dataset: &Dataset) -> Result<(), Violation> {
    let Dataset { classes, image, .. } = dataset;
    ensure(dataset.train.count() > 0, || "there are no training images".into())?;
    if let Some(image) = image {
        ensure(image.values() > 0, || format!("images of {image} have no pixels"))?;
    }
    for (at, class) in classes.iter().enumerate() {
        ensure(!classes[..at].contains(class), || format!("two classes are called {class}"))?;
    }
    for split in Split::ALL {
        self::split(dataset, split).map_err(|Violation(what)| Violation(format!("{split} split: {what}")))?;
    }
    Ok(())
}

fn split(dataset: &Dataset, split: Split) -> Result<(), Violation> {
    let (samples, classes) = (dataset.samples(split).as_ref(), dataset.classes.len());
    let count = samples.count();
    let tried: Vec<u64> = match count {
        0..=MAX_SAMPLES => (0..count).collect(),
        _ => (0..MAX_SAMPLES).map(|at| at * (count - 1) / (MAX_SAMPLES - 1)).collect(),
    };
    let mut scratch = Vec::new();
    let mut first = Vec::with_capacity(tried.len());
    for sample in &tried {
        let label = samples.label(*sample);
        ensure((label as usize) < classes, || {
            format!("sample {sample} has label {label}, of {classes} classes")
        })?;
        let read = read(samples, *sample, &mut scratch);
        if let Ok((length, _)) = read {
            let image = dataset.shape(split, *sample);
            let values = image.values();
            ensure(length == values, || {
                format!("sample {sample} has {length} bytes, a shape of {image} has {values}")
            })?;
        }
        first.push(read);
    }
    for (sample, first) in tried.iter().zip(first).rev() {
        // What lies there must not show through.
        let mut scratch = vec![0xA5; dataset.shape(split, *sample).values() / 2 + 1];
        ensure(read(samples, *sample, &mut scratch) == first, || {
            format!("sample {sample} is another when read again")
        })?;
    }
    Ok(())
}

/// Length and hash of an image; nothing more of one that fails than that it does.
fn read(samples: &dyn Samples, sample: u64, scratch: &mut Vec<u8>) -> Result<(usize, blake3::Hash), ()> {
    let image: Result<&[u8], SampleError> = samples.image(sample, scratch);
    image.map(|pixels| (pixels.len(), blake3::hash(pixels))).map_err(|_fails| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeftOut;
    use crate::augment::Parameters;
    use crate::dataset::InMemory;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Breaks one rule, or none.
    #[derive(Debug, Default)]
    struct Odd {
        named: Option<&'static str>,
        accepts_nothing: bool,
        draws_by_count: bool,
        remembers_its_draw: bool,
        computes_by_count: bool,
        calls: AtomicU32,
    }

    impl CustomAugmentation for Odd {
        fn name(&self) -> &'static str {
            self.named.unwrap_or("odd")
        }

        fn version(&self) -> u32 {
            1
        }

        fn check(&self, _image: ImageShape) -> Result<(), String> {
            if self.accepts_nothing { Err("none".into()) } else { Ok(()) }
        }

        fn plan(&self, key: Key, _image: ImageShape) -> Parameters {
            let [word] = key.words();
            let calls = self.calls.fetch_add(u32::from(self.draws_by_count), Ordering::Relaxed);
            if self.remembers_its_draw {
                self.calls.store(word as u32, Ordering::Relaxed);
            }
            [word as u32, calls * u32::from(self.draws_by_count), 0, 0]
        }

        fn apply(&self, [drawn, ..]: Parameters, _image: ImageShape, pixels: &mut [u8]) {
            let calls = self.calls.fetch_add(u32::from(self.computes_by_count), Ordering::Relaxed);
            let is_odd = self.remembers_its_draw || self.computes_by_count;
            pixels[0] = if is_odd { calls as u8 } else { drawn as u8 };
        }
    }

    #[test]
    fn a_transform_that_follows_from_its_key_conforms_and_any_other_does_not() {
        assert_eq!(transform(&Odd::default()), Ok(()));
        let refused = |odd: Odd| transform(&odd).unwrap_err().to_string();
        assert!(refused(Odd { named: Some("No Name"), ..Odd::default() }).contains("No Name"));
        assert!(refused(Odd { accepts_nothing: true, ..Odd::default() }).contains("accepts no shape"));
        assert!(refused(Odd { draws_by_count: true, ..Odd::default() }).contains("`plan` gives two results"));
        assert!(
            refused(Odd { remembers_its_draw: true, ..Odd::default() }).contains("`apply` gives two results")
        );
        assert!(
            refused(Odd { computes_by_count: true, ..Odd::default() }).contains("`apply` gives two results")
        );
    }

    const SHAPE: ImageShape = ImageShape { height: 2, width: 1, channels: 1 };

    /// A sample whose pixels do not follow from its number.
    #[derive(Debug)]
    struct Restless(AtomicU32);

    impl Samples for Restless {
        fn count(&self) -> u64 {
            1
        }

        fn label(&self, _sample: u64) -> u32 {
            0
        }

        fn image<'a>(&'a self, _sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
            scratch.clear();
            scratch.extend([self.0.fetch_add(1, Ordering::Relaxed) as u8, 0]);
            Ok(scratch)
        }

        fn left_out(&self) -> LeftOut {
            LeftOut::default()
        }
    }

    #[test]
    fn a_data_set_that_is_the_same_each_time_conforms_and_any_other_does_not() {
        let set = |classes: &[&str], train: Arc<dyn Samples>| Dataset {
            name: "set".into(),
            classes: classes.iter().map(ToString::to_string).collect(),
            image: Some(SHAPE),
            output: None,
            train,
            test: Arc::new(InMemory::new(SHAPE, Vec::new(), Vec::new())),
            digest: [0; 32],
            whole_digest: None,
        };
        let two =
            |label| -> Arc<dyn Samples> { Arc::new(InMemory::new(SHAPE, vec![1, 2, 3, 4], vec![0, label])) };
        assert_eq!(dataset(&set(&["a", "b"], two(1))), Ok(()));
        let refused = |set: &Dataset| dataset(set).unwrap_err().to_string();
        assert_eq!(refused(&set(&["a", "a"], two(1))), "two classes are called a");
        assert_eq!(refused(&set(&["a", "b"], two(2))), "train split: sample 1 has label 2, of 2 classes");
        let larger = ImageShape { height: 3, ..SHAPE };
        let message = refused(&Dataset { image: Some(larger), ..set(&["a", "b"], two(1)) });
        assert!(message.starts_with("train split: sample 0 has 2 bytes, a shape of "), "{message}");
        let restless = Arc::new(Restless(AtomicU32::new(0)));
        assert_eq!(refused(&set(&["a"], restless)), "train split: sample 0 is another when read again");
        let nothing = Arc::new(InMemory::new(SHAPE, Vec::new(), Vec::new()));
        assert_eq!(refused(&set(&["a"], nothing)), "there are no training images");
    }
}
