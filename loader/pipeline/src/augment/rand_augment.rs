//! RandAugment: several changes of fourteen, one after the other, at one strength.
//!
//! Cubuk, Zoph, Shlens, Le, "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", NeurIPS 2020
//! (arXiv:1909.13719), with the changes and strengths of torchvision's `RandAugment`. They are weaker than
//! TrivialAugment's, and translation goes by the size of the image.

use super::operation::{Operation, Strength};
use crate::key::{Key, Purpose};
use mixfeed_streamspec::{ImageShape, RandAugment};

pub(super) const PURPOSE: Purpose = Purpose::new(14);

/// Changes in the order in which they are made; none where the one was drawn that changes nothing.
pub type Operations = [Option<Operation>; RandAugment::MAX_OPS as usize];

/// Sines of 0 to 30 degrees, to 15 digits, as Pillow rounds them.
#[rustfmt::skip]
const SINES: [f64; 31] = [
    0.0, 0.017452406437284, 0.034899496702501, 0.052335956242944, 0.069756473744125,
    0.087155742747658, 0.104528463267653, 0.121869343405147, 0.139173100960065, 0.156434465040231,
    0.17364817766693, 0.190808995376545, 0.207911690817759, 0.224951054343865, 0.241921895599668,
    0.258819045102521, 0.275637355816999, 0.292371704722737, 0.309016994374947, 0.325568154457157,
    0.342020143325669, 0.3583679495453, 0.374606593415912, 0.390731128489274, 0.4067366430758,
    0.422618261740699, 0.438371146789077, 0.453990499739547, 0.469471562785891, 0.484809620246337,
    0.5,
];

/// Cosines likewise.
#[rustfmt::skip]
const COSINES: [f64; 31] = [
    1.0, 0.999847695156391, 0.999390827019096, 0.998629534754574, 0.997564050259824,
    0.996194698091746, 0.994521895368273, 0.992546151641322, 0.99026806874157, 0.987688340595138,
    0.984807753012208, 0.981627183447664, 0.978147600733806, 0.974370064785235, 0.970295726275996,
    0.965925826289068, 0.961261695938319, 0.956304755963035, 0.951056516295154, 0.945518575599317,
    0.939692620785908, 0.933580426497202, 0.927183854566787, 0.92050485345244, 0.913545457642601,
    0.90630778703665, 0.898794046299167, 0.891006524188368, 0.882947592858927, 0.874619707139396,
    0.866025403784439,
];

/// Draws each change by a key of its own, so that asking for one more leaves the others where they were.
pub(super) fn draw(key: Key, setting: &RandAugment) -> Operations {
    let RandAugment { num_ops, magnitude } = *setting;
    std::array::from_fn(|place| {
        let [op, sign] = key.at(place as u64).words();
        ((place as u32) < num_ops).then(|| Operation::of_words(op, sign, magnitude as u8)).flatten()
    })
}

/// Up to 0.3 for shears, 150/331 of a side, 30 degrees, 0.9 for factors, 4 bits, and all values inverted.
pub(super) fn strength(level: u8, shape: ImageShape) -> Strength {
    let steps = u32::from(level);
    let share = f64::from(level) / 30.0;
    Strength {
        shear: 0.3 * share,
        pixels: [shape.width, shape.height].map(|side| 5 * side * steps / 331),
        turn: [SINES[usize::from(level)], COSINES[usize::from(level)]],
        enhance: 0.9 * share,
        bits: 8 - (4 * steps + 15) / 30,
        threshold_tenths: 2550 - 85 * steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::operation::{Op, tests::weakest_changes_nothing};
    use crate::key::Seed;

    fn draws(num_ops: u32, n: u64) -> impl Iterator<Item = Operations> {
        let setting = RandAugment { num_ops, magnitude: 9 };
        (0..n).map(move |i| draw(Key::new(Seed(2), PURPOSE).at(i), &setting))
    }

    #[test]
    fn each_of_the_fourteen_is_equally_likely_in_each_place_whatever_came_before() {
        let mut pairs = [0.0_f64; 14 * 14];
        let mut negative = 0;
        for drawn in draws(2, 196_000) {
            let [first, second] = [drawn[0], drawn[1]].map(|it| it.map_or(0, |it| it.op as usize + 1));
            pairs[first * 14 + second] += 1.0;
            let rotation = drawn[1].filter(|it| it.op == Op::Rotate);
            negative += rotation.map_or(0, |it| i32::from(it.negative));
            assert!(drawn[2..].iter().all(Option::is_none));
        }
        let chi2: f64 = pairs.iter().map(|n| (n - 1000.0).powi(2) / 1000.0).sum();
        // 195 degrees of freedom: 262 is the 99.9 % quantile.
        assert!(chi2 < 262.0, "chi-squared {chi2}");
        // Half of 14,000, standard deviation 60.
        assert!((6_700..7_300).contains(&negative), "{negative}");
    }

    #[test]
    fn one_more_change_leaves_those_before_it() {
        assert!(draws(2, 100).zip(draws(8, 100)).all(|(two, eight)| two[..2] == eight[..2]));
    }

    #[test]
    fn the_tables_hold_sines_and_cosines() {
        for (degrees, (sine, cosine)) in SINES.iter().zip(COSINES).enumerate() {
            let angle = (degrees as f64).to_radians();
            assert!((sine - angle.sin()).abs() < 1e-15 && (cosine - angle.cos()).abs() < 1e-15, "{degrees}");
        }
    }

    #[test]
    fn the_weakest_change_of_those_with_a_sign_changes_nothing() {
        weakest_changes_nothing(&strength(0, ImageShape { height: 9, width: 9, channels: 3 }));
    }
}
