//! Random brightness, contrast, saturation and hue, in a random order (torchvision's `ColorJitter`).

use super::color;
use crate::key::{Key, Purpose, below, unit};
use mixfeed_streamspec::ColorJitter;
use serde::{Serialize, Serializer};

pub(super) const PURPOSE: Purpose = Purpose::new(9);

/// A factor in units of 1/65536, as lambda is: what the plan shows is exactly what is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(u32);

impl Factor {
    /// Takes a factor in units of 1/65536, at most 2^24, which f32 still holds exactly.
    #[must_use]
    pub fn from_q16(units: u32) -> Self {
        Self(units.min(1 << 24))
    }

    /// Returns the factor, exactly.
    #[must_use]
    pub fn to_f32(self) -> f32 {
        self.0 as f32 / 65_536.0
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f32(self.to_f32())
    }
}

/// One change of colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorChange {
    /// From black to the image and beyond.
    Brightness(Factor),
    /// From the mean grey to the image and beyond.
    Contrast(Factor),
    /// From the grey image to the image and beyond.
    Saturation(Factor),
    /// So many parts of 256 around the circle of hues.
    Hue(u8),
}

/// Changes of colour in the order in which they are made.
pub type Jitter = [Option<ColorChange>; 4];

/// Draws all four and their order, whether or not each is asked for, so that asking for one more
/// leaves the others where they were.
pub(super) fn draw(key: Key, setting: &ColorJitter) -> Jitter {
    let [order, words @ ..] = key.words::<5>();
    let factor = |word: u64, strength: f64| {
        let (least, most) = ((1.0 - strength).max(0.0), 1.0 + strength);
        Factor::from_q16(((least + unit(word) * (most - least)) * 65_536.0 + 0.5) as u32)
    };
    let turn = (2.0 * unit(words[3]) - 1.0) * setting.hue;
    let changes = [
        (setting.brightness > 0.0).then(|| ColorChange::Brightness(factor(words[0], setting.brightness))),
        (setting.contrast > 0.0).then(|| ColorChange::Contrast(factor(words[1], setting.contrast))),
        (setting.saturation > 0.0).then(|| ColorChange::Saturation(factor(words[2], setting.saturation))),
        // Towards zero, then around: as torchvision does it.
        (setting.hue > 0.0).then_some(ColorChange::Hue((turn * 255.0) as i32 as u8)),
    ];
    permutation(below(order, 24)).map(|change| changes[change])
}

/// The permutation of four with this number, 0 to 23.
fn permutation(mut number: u64) -> [usize; 4] {
    let mut order = [0, 1, 2, 3];
    for place in 0..3 {
        let choices = 4 - place as u64;
        order.swap(place, place + (number % choices) as usize);
        number /= choices;
    }
    order
}

pub(super) fn apply(jitter: &Jitter, image: &mut [u8]) {
    for change in jitter.iter().flatten() {
        match *change {
            ColorChange::Brightness(factor) => color::brightness(image, factor.to_f32()),
            ColorChange::Contrast(factor) => color::contrast(image, factor.to_f32()),
            ColorChange::Saturation(factor) => color::saturation(image, factor.to_f32()),
            ColorChange::Hue(shift) => color::hue(image, shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Seed;
    use std::collections::HashSet;

    fn draws(setting: ColorJitter) -> Vec<Jitter> {
        (0..4_000).map(|i| draw(Key::new(Seed(1), PURPOSE).at(i), &setting)).collect()
    }

    #[test]
    fn all_orders_of_four_come() {
        let orders: HashSet<_> = (0..24).map(permutation).collect();
        assert_eq!(orders.len(), 24);
    }

    #[test]
    fn factors_fill_their_intervals_and_never_go_below_zero() {
        let setting = ColorJitter { brightness: 0.4, contrast: 2.0, saturation: 0.0, hue: 0.1 };
        let changes: Vec<_> = draws(setting).into_iter().flatten().flatten().collect();
        let (mut brightness, mut contrast, mut hues) = (Vec::new(), Vec::new(), HashSet::new());
        for change in changes {
            match change {
                ColorChange::Brightness(factor) => brightness.push(factor.to_f32()),
                ColorChange::Contrast(factor) => contrast.push(factor.to_f32()),
                ColorChange::Hue(shift) => drop(hues.insert(shift as i8)),
                ColorChange::Saturation(_) => panic!("not asked for"),
            }
        }
        let ends = |values: &[f32]| {
            (values.iter().copied().fold(9.0, f32::min), values.iter().copied().fold(0.0, f32::max))
        };
        let (least, most) = ends(&brightness);
        assert!((0.6..0.602).contains(&least) && (1.398..=1.4).contains(&most), "{least} {most}");
        let (least, most) = ends(&contrast);
        assert!((0.0..0.005).contains(&least) && (2.995..=3.0).contains(&most), "{least} {most}");
        // 25.5 parts either way, towards zero.
        assert_eq!(hues, (-25..=25).collect());
    }

    #[test]
    fn one_more_change_leaves_the_factors_of_the_others() {
        let one = ColorJitter { contrast: 0.5, ..ColorJitter::NONE };
        let two = ColorJitter { brightness: 0.5, ..one };
        let contrasts = |setting| -> Vec<_> {
            let changes = draws(setting).into_iter().flatten().flatten();
            changes.filter(|change| matches!(change, ColorChange::Contrast(_))).collect()
        };
        assert_eq!(contrasts(one), contrasts(two));
    }
}
