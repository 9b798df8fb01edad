//! TrivialAugment, wide: one change of fourteen, at one strength of 31, equally likely.
//!
//! Müller, Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021
//! (arXiv:2103.10158), with the changes and strengths of torchvision's `TrivialAugmentWide`, and its
//! nearest neighbour and black. Translation goes up to 32 pixels whatever the size of the image, as
//! there: of an image of 32 pixels, the farthest shows nothing.

use super::{affine, color, tone};
use crate::key::{Key, Purpose, below};
use mixfeed_streamspec::ImageShape;
use serde::Serialize;
use std::fmt;

pub(super) const PURPOSE: Purpose = Purpose::new(8);

/// The strongest level; the weakest is 0.
const STRONGEST: u8 = 30;

/// A change of TrivialAugment. The numbers of the draw are those of torchvision's list, in which the
/// first changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // They say what they do.
pub enum Op {
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Saturation,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

impl Op {
    /// All, in torchvision's order.
    pub const ALL: [Self; 13] = [
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
        Self::Rotate,
        Self::Brightness,
        Self::Saturation,
        Self::Contrast,
        Self::Sharpness,
        Self::Posterize,
        Self::Solarize,
        Self::AutoContrast,
        Self::Equalize,
    ];

    fn has_level(self) -> bool {
        !matches!(self, Self::AutoContrast | Self::Equalize)
    }

    fn has_sign(self) -> bool {
        self.has_level() && !matches!(self, Self::Posterize | Self::Solarize)
    }
}

/// One change at one strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Trivial {
    /// What is changed.
    pub op: Op,
    /// How strongly, 0 to 30.
    pub level: u8,
    /// Whether the other way: left instead of right, weaker instead of stronger.
    pub negative: bool,
}

impl fmt::Display for Trivial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, level, negative } = self;
        write!(f, "{op:?} {}{level}", if *negative { "-" } else { "" })
    }
}

impl Trivial {
    /// Draws a change; none when it is the one that changes nothing.
    pub(super) fn draw(key: Key) -> Option<Self> {
        let [op, level, sign] = key.words::<3>();
        let op = Op::ALL[below(op, Op::ALL.len() as u64 + 1).checked_sub(1)? as usize];
        let level = if op.has_level() { below(level, u64::from(STRONGEST) + 1) as u8 } else { 0 };
        Some(Self { op, level, negative: op.has_sign() && below(sign, 2) == 1 })
    }

    /// Changes `image` in place or writes it into `out`; returns whether it is there.
    pub(super) fn apply(self, shape: ImageShape, image: &mut [u8], out: &mut [u8]) -> bool {
        let Self { op, level, negative } = self;
        let signed = |value: f64| if negative { -value } else { value };
        let share = signed(0.99 * f64::from(level) / 30.0);
        let factor = (1.0 + share) as f32;
        let pixels = signed(f64::from(u32::from(level) * 16 / 15)) as i32;
        let channels = shape.channels as usize;
        let matrix = match op {
            Op::ShearX => affine::shear_x(share),
            Op::ShearY => affine::shear_y(share),
            Op::TranslateX => affine::translate(pixels, 0),
            Op::TranslateY => affine::translate(0, pixels),
            Op::Rotate => affine::rotate(usize::from(level), negative, shape),
            Op::Sharpness => {
                tone::sharpen(factor, shape, image, out);
                return true;
            }
            _ => {
                match op {
                    Op::Brightness => color::brightness(image, factor),
                    Op::Saturation => color::saturation(image, factor),
                    Op::Contrast => color::contrast(image, factor),
                    Op::Posterize => tone::posterize(image, 8 - (u32::from(level) + 2) / 5),
                    Op::Solarize => tone::solarize(image, 2550 - 85 * u32::from(level)),
                    Op::AutoContrast => tone::autocontrast(image, channels),
                    _ => tone::equalize(image, channels),
                }
                return false;
            }
        };
        affine::apply(matrix, shape, image, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Seed;

    #[test]
    fn each_of_the_fourteen_and_each_strength_is_equally_likely() {
        let (mut ops, mut levels, mut negative) = ([0.0_f64; 14], [0.0_f64; 31], 0);
        for i in 0..140_000 {
            let drawn = Trivial::draw(Key::new(Seed(2), PURPOSE).at(i));
            ops[drawn.map_or(0, |drawn| drawn.op as usize + 1)] += 1.0;
            if let Some(drawn) = drawn.filter(|drawn| drawn.op == Op::Rotate) {
                levels[usize::from(drawn.level)] += 1.0;
                negative += i32::from(drawn.negative);
            }
        }
        let chi2 = |counts: &[f64]| {
            let mean = counts.iter().sum::<f64>() / counts.len() as f64;
            counts.iter().map(|n| (n - mean).powi(2) / mean).sum::<f64>()
        };
        // 13 and 30 degrees of freedom: the 99.9 % quantiles.
        assert!(chi2(&ops) < 34.6 && chi2(&levels) < 59.8, "{ops:?} {levels:?}");
        // Half of about 10,000, standard deviation 50.
        assert!((4_750..5_250).contains(&negative), "{negative}");
    }

    #[test]
    fn the_weakest_change_of_those_with_a_sign_changes_nothing() {
        let shape = ImageShape { height: 9, width: 9, channels: 3 };
        let image: Vec<u8> = (0..shape.values()).map(|i| (i * 37 % 256) as u8).collect();
        for op in Op::ALL.into_iter().filter(|op| op.has_sign()) {
            let (mut place, mut out) = (image.clone(), vec![0; image.len()]);
            let there = Trivial { op, level: 0, negative: false }.apply(shape, &mut place, &mut out);
            assert_eq!(if there { out } else { place }, image, "{op:?}");
        }
    }
}
