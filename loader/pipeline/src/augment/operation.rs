//! The changes that TrivialAugment and RandAugment choose from, as torchvision's `autoaugment` makes them: nearest
//! neighbour, black outside. What a strength means in each is for those two to say.

use super::{affine, color, tone};
use crate::key::below;
use mixfeed_streamspec::ImageShape;
use serde::Serialize;
use std::fmt;

/// The strongest level; the weakest is 0.
pub(super) const STRONGEST: u8 = 30;

/// A change of an image. The numbers of the draw are those of torchvision's lists, in which the first changes nothing.
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
pub struct Operation {
    /// What is changed.
    pub op: Op,
    /// How strongly, 0 to 30.
    pub level: u8,
    /// Whether the other way: left instead of right, weaker instead of stronger.
    pub negative: bool,
}

/// A level in the units of each change.
pub(super) struct Strength {
    /// Pixels that a row or column moves against its neighbour.
    pub(super) shear: f64,
    /// Pixels to the right, and down.
    pub(super) pixels: [u32; 2],
    /// Sine and cosine of the angle.
    pub(super) turn: [f64; 2],
    /// What is added to the factor 1 of brightness, saturation, contrast and sharpness.
    pub(super) enhance: f64,
    /// Bits that posterizing keeps.
    pub(super) bits: u32,
    /// The least value that is inverted, in tenths.
    pub(super) threshold_tenths: u32,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, level, negative } = self;
        write!(f, "{op:?} {}{level}", if *negative { "-" } else { "" })
    }
}

impl Operation {
    /// Takes one of the fourteen changes and a direction from two words; none when it is the one that changes nothing.
    pub(super) fn of_words(op: u64, sign: u64, level: u8) -> Option<Self> {
        let op = Op::ALL[below(op, Op::ALL.len() as u64 + 1).checked_sub(1)? as usize];
        let level = if op.has_level() { level } else { 0 };
        Some(Self { op, level, negative: op.has_sign() && below(sign, 2) == 1 })
    }

    /// Changes `image` in place or writes it into `out`; returns whether it is there.
    pub(super) fn apply(
        self,
        strength: &Strength,
        shape: ImageShape,
        image: &mut [u8],
        out: &mut [u8],
    ) -> bool {
        let Self { op, level: _, negative } = self; // The strength is that of the level.
        let Strength { shear, pixels, turn, enhance, bits, threshold_tenths } = *strength;
        let signed = |value: f64| if negative { -value } else { value };
        let factor = (1.0 + signed(enhance)) as f32;
        let [right, down] = pixels.map(|pixels| signed(f64::from(pixels)) as i32);
        let channels = shape.channels as usize;
        let matrix = match op {
            Op::ShearX => affine::shear_x(signed(shear)),
            Op::ShearY => affine::shear_y(signed(shear)),
            Op::TranslateX => affine::translate(right, 0),
            Op::TranslateY => affine::translate(0, down),
            Op::Rotate => affine::rotate(turn, negative, shape),
            Op::Sharpness => {
                tone::sharpen(factor, shape, image, out);
                return true;
            }
            _ => {
                match op {
                    Op::Brightness => color::brightness(image, factor),
                    Op::Saturation => color::saturation(image, factor),
                    Op::Contrast => color::contrast(image, factor),
                    Op::Posterize => tone::posterize(image, bits),
                    Op::Solarize => tone::solarize(image, threshold_tenths),
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
pub(super) mod tests {
    use super::*;

    /// Checks that the strength of level 0 changes nothing where there is a direction.
    pub(in super::super) fn weakest_changes_nothing(strength: &Strength) {
        let shape = ImageShape { height: 9, width: 9, channels: 3 };
        let image: Vec<u8> = (0..shape.values()).map(|i| (i * 37 % 256) as u8).collect();
        for op in Op::ALL.into_iter().filter(|op| op.has_sign()) {
            let (mut place, mut out) = (image.clone(), vec![0; image.len()]);
            let weakest = Operation { op, level: 0, negative: false };
            let there = weakest.apply(strength, shape, &mut place, &mut out);
            assert_eq!(if there { out } else { place }, image, "{op:?}");
        }
    }
}
