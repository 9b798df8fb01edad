//! A custom transform, in a loader binary of one's own.
//!
//! It keeps the division of the others: [`plan`](CustomAugmentation::plan) draws, from a key that belongs to
//! this occurrence of this sample alone, and [`apply`](CustomAugmentation::apply) computes, with no generator
//! in scope. A stream asks for it by name and version, and both enter the algorithm fingerprint together
//! with what it makes of the probe images, so that a loader without it, or with another one of its name,
//! is refused.
//!
//! What is deliberately not here: more than one for a stream. One that calls others does what several would.
//!
//! ```
//! use mixfeed_pipeline::ImageShape;
//! use mixfeed_pipeline::augment::{Custom, CustomAugmentation, Parameters};
//! use mixfeed_pipeline::key::{Key, below};
//!
//! /// Inverts one image in two.
//! struct Invert;
//!
//! impl CustomAugmentation for Invert {
//!     fn name(&self) -> &'static str {
//!         "invert"
//!     }
//!
//!     fn version(&self) -> u32 {
//!         1
//!     }
//!
//!     fn plan(&self, key: Key, _image: ImageShape) -> Parameters {
//!         let [word] = key.words();
//!         [below(word, 2) as u32, 0, 0, 0]
//!     }
//!
//!     fn apply(&self, [inverted, ..]: Parameters, _image: ImageShape, pixels: &mut [u8]) {
//!         if inverted == 1 {
//!             pixels.iter_mut().for_each(|value| *value = 255 - *value);
//!         }
//!     }
//! }
//!
//! assert_eq!(Custom::new(&Invert).name(), "invert");
//! ```

use crate::key::{Key, Purpose};
use mixfeed_streamspec::{CustomTransform, ImageShape, MAX_NAME_CHARS, SpecError, is_name};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use std::fmt;

pub(crate) const PURPOSE: Purpose = Purpose::new(12);

/// What a transform does to one image: words of its own meaning, which `preview` and `replay` print.
pub type Parameters = [u32; 4];

/// A transform that is applied to each image, after all built-in ones and before mixing.
pub trait CustomAugmentation: Send + Sync {
    /// Returns its name: 1 to [`MAX_NAME_CHARS`] lower-case letters, digits and hyphens.
    fn name(&self) -> &'static str;

    /// Returns its version, 1 or more. It moves with every change of what it draws or computes.
    fn version(&self) -> u32;

    /// Checks that images of this shape are such as it can work on.
    ///
    /// # Errors
    /// What would be allowed, as in "for images of three channels only".
    fn check(&self, _image: ImageShape) -> Result<(), String> {
        Ok(())
    }

    /// Draws what is done to one image: from `key` and nothing else.
    fn plan(&self, key: Key, image: ImageShape) -> Parameters;

    /// Does it, to height × width × channels bytes: by `parameters` and nothing else. Two machines must
    /// agree on every bit, so it does without functions of the system's math library.
    fn apply(&self, parameters: Parameters, image: ImageShape, pixels: &mut [u8]);

    /// The same, of a transform that may fail: batches are made by this one, and a failure is that of the batch.
    ///
    /// # Errors
    /// Why there is no result, in one line.
    fn try_apply(&self, parameters: Parameters, image: ImageShape, pixels: &mut [u8]) -> Result<(), String> {
        self.apply(parameters, image, pixels);
        Ok(())
    }
}

/// A transform that a stream uses. Two are equal when name and version are.
#[derive(Clone, Copy)]
pub struct Custom(&'static dyn CustomAugmentation);

impl Custom {
    /// Takes a transform.
    ///
    /// # Panics
    /// When its name or its version is none, which is for its author to mend.
    #[must_use]
    pub fn new(transform: &'static dyn CustomAugmentation) -> Self {
        let name = transform.name();
        assert!(is_name(name), "{name:?}: a name is 1 to {MAX_NAME_CHARS} of a-z, 0-9 and -");
        assert!(transform.version() > 0, "{name}: a version is 1 or more");
        Self(transform)
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns its version.
    #[must_use]
    pub fn version(self) -> u32 {
        self.0.version()
    }

    /// Finds the transform that a spec asks for, for images of the shape `image`.
    pub(crate) fn find(asked: CustomTransform, known: &[Self], image: ImageShape) -> Result<Self, SpecError> {
        let refused = |allowed: String| SpecError::new("augmentation.custom", asked, allowed);
        let found = known.iter().find(|it| (it.name(), it.version()) == (asked.name(), asked.version()));
        let Some(found) = found else {
            let names: Vec<_> = known.iter().map(ToString::to_string).collect();
            return Err(refused(match names.as_slice() {
                [] => "this loader has no custom transform".into(),
                names => format!("this loader has {}", names.join(", ")),
            }));
        };
        found.0.check(image).map_err(refused)?;
        Ok(*found)
    }

    pub(super) fn draw(self, key: Key, image: ImageShape) -> CustomView {
        CustomView { transform: self, parameters: self.0.plan(key, image) }
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.version()) == (other.name(), other.version())
    }
}

impl Eq for Custom {}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name(), self.version())
    }
}

/// What a custom transform does to one occurrence of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomView {
    /// Which it is.
    pub transform: Custom,
    /// What it drew.
    pub parameters: Parameters,
}

impl Serialize for CustomView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("CustomView", 3)?;
        fields.serialize_field("name", self.transform.name())?;
        fields.serialize_field("version", &self.transform.version())?;
        fields.serialize_field("parameters", &self.parameters)?;
        fields.end()
    }
}

impl CustomView {
    pub(super) fn apply(self, image: ImageShape, pixels: &mut [u8]) -> Result<(), String> {
        let applied = self.transform.0.try_apply(self.parameters, image, pixels);
        applied.map_err(|reason| format!("transform {}: {reason}", self.transform))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::key::below;

    /// Adds a number that is drawn to every value.
    pub(crate) struct Brighter;

    impl CustomAugmentation for Brighter {
        fn name(&self) -> &'static str {
            "brighter"
        }

        fn version(&self) -> u32 {
            2
        }

        fn check(&self, image: ImageShape) -> Result<(), String> {
            if image.height > 1 { Ok(()) } else { Err("for images of two rows or more".into()) }
        }

        fn plan(&self, key: Key, _image: ImageShape) -> Parameters {
            [below(key.words::<1>()[0], 100) as u32, 0, 0, 0]
        }

        fn apply(&self, [more, ..]: Parameters, _image: ImageShape, pixels: &mut [u8]) {
            pixels.iter_mut().for_each(|value| *value = value.saturating_add(more as u8));
        }
    }
}
