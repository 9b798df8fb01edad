//! What is done to each image before it is mixed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is done to each image before it is mixed; the contract says in which order. Each time a
/// sample comes, as itself or as a partner, it is drawn for anew.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Augmentation {
    /// Black pixels added on each side before a part of the image's own size is cut out; 0 crops
    /// nothing.
    pub crop_padding: u32,
    /// The share of images that is mirrored left to right.
    pub flip_probability: f64,
    /// Whether one change of TrivialAugment is made.
    #[serde(skip_serializing_if = "is_default")]
    pub trivial_augment: bool,
    /// Side in pixels of the square that Cutout erases; 0 erases none.
    #[serde(skip_serializing_if = "is_default")]
    pub cutout_size: u32,
    /// What the values of an erased pixel become.
    #[serde(skip_serializing_if = "is_default")]
    pub erased_value: u8,
    /// A random part is brought to the image's size. This comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<ResizedCrop>,
    /// Random changes of colour, after TrivialAugment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
    /// A random rectangle is erased, before Cutout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_erasing: Option<RandomErasing>,
    /// A transform that the loaders have of their own. This comes last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomAugmentation>,
}

impl Augmentation {
    /// Tells whether images stay as they are.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A run that does not use a setting writes the file that it wrote before there was one.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A transform of loaders of one's own, by name and version; as text `NAME:VERSION`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomAugmentation {
    /// Its name.
    pub name: String,
    /// Its version, 1 or more.
    pub version: u32,
}

impl FromStr for CustomAugmentation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?}: expected a name and a version, as in posterise:1");
        let (name, version) = text.split_once(':').ok_or_else(wrong)?;
        match version.parse() {
            Ok(version) if version > 0 && !name.is_empty() => Ok(Self { name: name.into(), version }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for CustomAugmentation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for CustomAugmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}

impl From<CustomAugmentation> for String {
    fn from(custom: CustomAugmentation) -> Self {
        custom.to_string()
    }
}

/// A random part of the image, brought to the image's size.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResizedCrop {
    /// The least share of the image's area.
    pub min_area: f64,
    /// The largest.
    pub max_area: f64,
    /// The least ratio of width to height.
    pub min_ratio: f64,
    /// The largest.
    pub max_ratio: f64,
}

impl Default for ResizedCrop {
    /// torchvision's.
    fn default() -> Self {
        Self { min_area: 0.08, max_area: 1.0, min_ratio: 3.0 / 4.0, max_ratio: 4.0 / 3.0 }
    }
}

/// Random changes of colour: factors from 1 less a value to 1 and that value.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ColorJitter {
    /// Of the brightness.
    pub brightness: f64,
    /// Of the contrast.
    pub contrast: f64,
    /// Of the saturation.
    pub saturation: f64,
    /// The share of the circle that the hue turns by, at most, either way.
    pub hue: f64,
}

/// A random rectangle is erased.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandomErasing {
    /// The share of images with a hole.
    pub probability: f64,
    /// The least share of the image's area.
    pub min_area: f64,
    /// The largest.
    pub max_area: f64,
    /// The least ratio of height to width.
    pub min_ratio: f64,
    /// The largest.
    pub max_ratio: f64,
}

impl Default for RandomErasing {
    /// torchvision's.
    fn default() -> Self {
        Self { probability: 0.5, min_area: 0.02, max_area: 0.33, min_ratio: 0.3, max_ratio: 3.3 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::spec) fn every() -> Augmentation {
        Augmentation {
            crop_padding: 4,
            flip_probability: 0.5,
            trivial_augment: true,
            cutout_size: 16,
            erased_value: 128,
            resized_crop: Some(ResizedCrop::default()),
            color_jitter: Some(ColorJitter { brightness: 0.4, hue: 0.1, ..ColorJitter::default() }),
            random_erasing: Some(RandomErasing::default()),
            custom: Some(CustomAugmentation { name: "posterise".into(), version: 3 }),
        }
    }

    #[test]
    fn a_transform_of_ones_own_is_a_name_and_a_version() {
        let custom = CustomAugmentation { name: "posterise".into(), version: 3 };
        assert_eq!("posterise:3".parse(), Ok(custom.clone()));
        assert_eq!(custom.to_string(), "posterise:3");
        for wrong in ["posterise", "posterise:", "posterise:0", ":1", "posterise:x"] {
            assert!(wrong.parse::<CustomAugmentation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_used_is_not_written() {
        let text = toml::to_string(&Augmentation { crop_padding: 4, ..Augmentation::default() }).unwrap();
        assert_eq!(text, "crop-padding = 4\nflip-probability = 0.0\n");
    }
}
