//! TrivialAugment, wide: one change of fourteen, at one strength of 31, equally likely.
//!
//! Müller, Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021
//! (arXiv:2103.10158), with the changes and strengths of torchvision's `TrivialAugmentWide`. Translation goes up to 32
//! pixels whatever the size of the image, as there: of an image of 32 pixels, the farthest shows nothing.

use super::affine;
use super::operation::{Operation, STRONGEST, Strength};
use crate::key::{Key, Purpose, below};

pub(super) const PURPOSE: Purpose = Purpose::new(8);

/// Draws a change; none when it is the one that changes nothing.
pub(super) fn draw(key: Key) -> Option<Operation> {
    let [op, level, sign] = key.words::<3>();
    Operation::of_words(op, sign, below(level, u64::from(STRONGEST) + 1) as u8)
}

/// Up to 0.99 for shears and factors, 32 pixels, 135 degrees, 2 bits, and all values inverted.
pub(super) fn strength(level: u8) -> Strength {
    let steps = u32::from(level);
    let share = 0.99 * f64::from(level) / 30.0;
    Strength {
        shear: share,
        pixels: [steps * 16 / 15; 2],
        turn: affine::turn(usize::from(level)),
        enhance: share,
        bits: 8 - (steps + 2) / 5,
        threshold_tenths: 2550 - 85 * steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::operation::{Op, tests::weakest_changes_nothing};
    use crate::key::Seed;

    #[test]
    fn each_of_the_fourteen_and_each_strength_is_equally_likely() {
        let (mut ops, mut levels, mut negative) = ([0.0_f64; 14], [0.0_f64; 31], 0);
        for i in 0..140_000 {
            let drawn = draw(Key::new(Seed(2), PURPOSE).at(i));
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
        weakest_changes_nothing(&strength(0));
    }
}
