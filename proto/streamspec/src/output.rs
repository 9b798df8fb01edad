//! The size of images as sent, and how an image of any size is brought to it.

use crate::{ImageShape, SpecError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Rows and columns of an image; as text "32" or "48x32" (height first).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageSize {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// Output size: what images of any size become before they are augmented and mixed. With a random resized crop, its part
/// of the original is resized to `size`; otherwise the whole image is, as `resize` says (as in evaluation).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// Rows and columns as sent, 1 to [`ImageSize::MAX_SIDE`] each.
    pub size: ImageSize,
    /// How images get there that no random resized crop is taken of.
    #[serde(default)]
    pub resize: Resize,
    /// Decode JPEG files at 1/2, 1/4 or 1/8 (scaled IDCT) where that is still at least the output size: faster, and other
    /// pixels.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scaled_decoding: bool,
}

/// How a whole image is resized to an output size, by an antialiased bilinear filter; as text `center-crop`,
/// `center-crop:SIDE`, `stretch`, `letterbox` or `letterbox:VALUE`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Resize {
    /// Resized in its own proportions, then cropped in the center (torchvision's `Resize(side)` and `CenterCrop(size)`).
    CenterCrop {
        /// Pixels of the shorter side once resized, at least the output's longer side; 0: the image just covers the
        /// output.
        side: u32,
    },
    /// Resized to the output's proportions (torchvision's `Resize((height, width))`).
    Stretch,
    /// Resized in its own proportions so that all of it is seen; what is left of the output, on both sides, is filled.
    Letterbox {
        /// What the values of the filled pixels are.
        fill: u8,
    },
}

impl ImageSize {
    /// Pixels of a side, at most: a batch of one such image still fits a message.
    pub const MAX_SIDE: u32 = 4096;

    /// The shape of a color image of this size.
    #[must_use]
    pub const fn rgb(self) -> ImageShape {
        ImageShape { height: self.height, width: self.width, channels: 3 }
    }
}

impl Output {
    /// Images that cover the size, cropped in the center.
    #[must_use]
    pub const fn center_crop(size: ImageSize) -> Self {
        Self { size, resize: Resize::COVER, scaled_decoding: false }
    }

    pub(crate) fn check(self) -> Result<(), SpecError> {
        let ImageSize { height, width } = self.size;
        for (field, side) in [("output.height", height), ("output.width", width)] {
            if !(1..=ImageSize::MAX_SIDE).contains(&side) {
                return Err(SpecError::new(field, side, format!("1 to {}", ImageSize::MAX_SIDE)));
            }
        }
        let longer = height.max(width);
        match self.resize {
            Resize::CenterCrop { side } if side != 0 && !(longer..=ImageSize::MAX_SIDE).contains(&side) => {
                let allowed = format!("0 (covers the output), or {longer} to {}", ImageSize::MAX_SIDE);
                Err(SpecError::new("output.resize_side", side, allowed))
            }
            _ => Ok(()),
        }
    }
}

impl Resize {
    /// Cropped in the center so that the image just covers the output.
    pub const COVER: Self = Self::CenterCrop { side: 0 };
}

impl Default for Resize {
    /// [`Resize::COVER`].
    fn default() -> Self {
        Self::COVER
    }
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |text: &str| text.parse().ok().filter(|side| (1..=Self::MAX_SIDE).contains(side));
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Self { height, width }),
            _ => Err(format!("{text} is not a size: give a side or HEIGHTxWIDTH, 1 to {}", Self::MAX_SIDE)),
        }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl FromStr for Resize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
        let resize = match (name, value) {
            ("center-crop", None) => Some(Self::COVER),
            ("center-crop", Some(side)) => side.parse().ok().map(|side| Self::CenterCrop { side }),
            ("stretch", None) => Some(Self::Stretch),
            ("letterbox", None) => Some(Self::Letterbox { fill: 0 }),
            ("letterbox", Some(fill)) => fill.parse().ok().map(|fill| Self::Letterbox { fill }),
            _ => None,
        };
        resize.ok_or_else(|| {
            format!(
                "{text} is no way to resize: center-crop[:SIDE], stretch or letterbox[:VALUE], VALUE 0 to 255"
            )
        })
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CenterCrop { side: 0 } => f.write_str("center-crop"),
            Self::CenterCrop { side } => write!(f, "center-crop:{side}"),
            Self::Stretch => f.write_str("stretch"),
            Self::Letterbox { fill: 0 } => f.write_str("letterbox"),
            Self::Letterbox { fill } => write!(f, "letterbox:{fill}"),
        }
    }
}

/// In a settings file both are text.
macro_rules! as_text {
    ($($plain:ty),+) => {$(
        impl TryFrom<String> for $plain {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$plain> for String {
            fn from(value: $plain) -> Self {
                value.to_string()
            }
        }
    )+};
}

as_text!(ImageSize, Resize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let size = |text: &str| text.parse::<ImageSize>();
        assert_eq!(size("32").unwrap(), ImageSize { height: 32, width: 32 });
        assert_eq!(size("48x32").unwrap().to_string(), "48x32");
        for wrong in ["", "0", "32x", "x32", "-1", "5000", "32X32", "1x1x1"] {
            assert!(size(wrong).unwrap_err().contains("HEIGHTxWIDTH"), "{wrong}");
        }
    }

    #[test]
    fn ways_to_resize_are_read_and_written() {
        for text in ["center-crop", "center-crop:256", "stretch", "letterbox", "letterbox:114"] {
            assert_eq!(text.parse::<Resize>().unwrap().to_string(), text);
        }
        for wrong in ["", "crop", "center-crop:", "center-crop:x", "stretch:1", "letterbox:256"] {
            assert!(wrong.parse::<Resize>().unwrap_err().contains("center-crop[:SIDE]"), "{wrong}");
        }
    }

    #[test]
    fn an_output_out_of_range_is_named() {
        let output = |height, width, side| Output {
            resize: Resize::CenterCrop { side },
            ..Output::center_crop(ImageSize { height, width })
        };
        for (wrong, message) in [
            (output(0, 8, 0), "output.height: 0 is not allowed, 1 to 4096"),
            (output(8, 4097, 0), "output.width: 4097 is not allowed, 1 to 4096"),
            (
                output(8, 16, 15),
                "output.resize_side: 15 is not allowed, 0 (covers the output), or 16 to 4096",
            ),
        ] {
            assert_eq!(wrong.check().unwrap_err().to_string(), message);
        }
        for fine in [output(1, 1, 0), output(4096, 4096, 4096), output(8, 16, 16)] {
            assert_eq!(fine.check(), Ok(()));
        }
    }
}
