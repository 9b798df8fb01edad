//! Strengths of random changes of color.

use crate::error::{SpecError, check_range};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest strength of a change of color.
pub const MAX_STRENGTH: f64 = 10.0;

/// Color jitter: brightness, contrast and saturation are multiplied by a factor from max(0, 1 - s) to 1 + s
/// (torchvision's ColorJitter); s is 0 (no change) to [`MAX_STRENGTH`].
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ColorJitter {
    /// Strength for the brightness.
    pub brightness: f64,
    /// Strength for the contrast.
    pub contrast: f64,
    /// Strength for the saturation.
    pub saturation: f64,
    /// The hue turns by up to this share of the circle either way, 0 to 0.5.
    pub hue: f64,
}

impl ColorJitter {
    /// Colors stay as they are.
    pub const NONE: Self = Self { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };

    /// Returns the color jitter of one strength for brightness, contrast and saturation, of one for each, or of these
    /// and the hue's; [`ColorJitter::NONE`] of no strength at all, and nothing of another number of them.
    #[must_use]
    pub fn of_strengths(strengths: &[f64]) -> Option<Self> {
        Some(match *strengths {
            [] => Self::NONE,
            [all] => Self { brightness: all, contrast: all, saturation: all, hue: 0.0 },
            [brightness, contrast, saturation] => Self { brightness, contrast, saturation, hue: 0.0 },
            [brightness, contrast, saturation, hue] => Self { brightness, contrast, saturation, hue },
            _ => return None,
        })
    }

    pub(super) fn check(self) -> Result<(), SpecError> {
        let Self { brightness, contrast, saturation, hue } = self;
        check_range("augmentation.color_jitter.brightness", brightness, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.contrast", contrast, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.saturation", saturation, MAX_STRENGTH)?;
        check_range("augmentation.color_jitter.hue", hue, 0.5)
    }
}

impl fmt::Display for ColorJitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brightness, contrast, saturation, hue } = self;
        write!(f, "colour jitter ({brightness}, {contrast}, {saturation}, {hue})")
    }
}
