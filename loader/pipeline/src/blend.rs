//! How two images become one: the draws of mixup and of CutMix.
//!
//! mixup: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018
//! (arXiv:1710.09412). CutMix: Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to
//! Train Strong Classifiers with Localizable Features", ICCV 2019 (arXiv:1905.04899). The choice
//! between them is timm's (`switch_prob`).
//!
//! Drawn in the plan; the arithmetic that follows is in [`mix`](crate::mix).
//!
//! ```
//! use mixfeed_pipeline::spec::{Mixing, MixingKind};
//! use mixfeed_pipeline::{BatchPlan, CheckedSpec, StreamSpec, synthetic};
//!
//! let cutmix = Mixing { kind: MixingKind::Cutmix, ..Mixing::mixup(1.0, 1.0) };
//! let spec = StreamSpec { mixing: Some(cutmix), ..StreamSpec::train(7, 8) };
//! let plan = BatchPlan::new(&CheckedSpec::new(spec, &synthetic::dataset(100))?, 0);
//! for partner in plan.rows.iter().filter_map(|row| row.partner) {
//!     let shows = partner.blend.pasted.map_or(0, |region| region.height * region.width);
//!     // The weight of the image is the share of its 1,024 pixels that is left.
//!     assert_eq!(partner.blend.lambda.to_q16(), 64 * (1024 - shows));
//! }
//! # Ok::<(), mixfeed_pipeline::SpecError>(())
//! ```

use crate::key::{Key, below, unit};
use crate::lambda::{Lambda, LambdaDraw};
use mixfeed_streamspec::ImageShape;
use mixfeed_streamspec::{Mixing, MixingKind};
use rand::Rng as _;
use serde::Serialize;

/// How a partner is blended into an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blend {
    /// The weight of the image itself.
    pub lambda: Lambda,
    /// `None`: the weighted sum of both. `Some`: this part is the partner's and the rest the
    /// image's own, and lambda is the share of the rest.
    pub pasted: Option<Region>,
}

/// A part of an image, in pixels; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Number of rows.
    pub height: u32,
    /// Number of columns.
    pub width: u32,
}

/// Draws blends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlendDraw {
    probability: f64,
    /// Of what is mixed, the share that CutMix gets.
    cutmix_share: f64,
    mixup: LambdaDraw,
    cutmix: LambdaDraw,
    image: ImageShape,
}

impl BlendDraw {
    pub(crate) fn new(mixing: &Mixing, image: ImageShape) -> Self {
        let (cutmix_alpha, cutmix_share) = match mixing.kind {
            MixingKind::Mixup => (0.0, 0.0),
            MixingKind::Cutmix => (mixing.alpha, 1.0),
            MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } => {
                (cutmix_alpha, switch_probability)
            }
        };
        Self {
            probability: mixing.probability,
            cutmix_share,
            mixup: LambdaDraw::new(mixing.alpha),
            cutmix: LambdaDraw::new(cutmix_alpha),
            image,
        }
    }

    /// Returns a blend and a random word for the choice of the partner, or nothing when the image
    /// stays as it is.
    pub(crate) fn draw(&self, key: Key) -> Option<(Blend, u64)> {
        let mut generator = key.generator();
        if unit(generator.next_u64()) >= self.probability {
            return None;
        }
        // Lambda last: how many words it takes depends on its rejections.
        let partner = generator.next_u64();
        let blend = if self.cutmix_share > 0.0 && unit(generator.next_u64()) < self.cutmix_share {
            let centre = [generator.next_u64(), generator.next_u64()];
            paste(self.cutmix.draw(&mut generator)?, centre, self.image)?
        } else {
            Blend { lambda: self.mixup.draw(&mut generator)?, pasted: None }
        };
        (blend.lambda != Lambda::ONE).then_some((blend, partner))
    }
}

/// The box of CutMix. Its sides are sqrt(1 - lambda) of the image's, each rounded down to an even
/// number of pixels as in the paper's code; its centre is any pixel; what lies outside is cut off.
/// Lambda becomes the share of the image that stays.
fn paste(lambda: Lambda, centre: [u64; 2], image: ImageShape) -> Option<Blend> {
    let (top, height) = extent(lambda, centre[0], image.height)?;
    let (left, width) = extent(lambda, centre[1], image.width)?;
    let whole = u64::from(image.height) * u64::from(image.width);
    let stays = whole - u64::from(height) * u64::from(width);
    // Exact where the number of pixels divides 65536, as 32 x 32 does; else the nearest.
    let lambda = Lambda::from_q16(((stays * 65_536 + whole / 2) / whole) as u32);
    Some(Blend { lambda, pasted: Some(Region { top, left, height, width }) })
}

/// First place and number of places of the box along a side.
fn extent(lambda: Lambda, word: u64, side: u32) -> Option<(u32, u32)> {
    let side = u64::from(side);
    // floor(side / 2 * sqrt(1 - lambda)), in whole numbers: the root of side^2 * q is 256 times
    // that of side^2 * q / 65536.
    let half = (side * side * u64::from(65_536 - lambda.to_q16())).isqrt() / 512;
    let centre = below(word, side);
    let (from, to) = (centre.saturating_sub(half), (centre + half).min(side));
    (to > from).then_some((from as u32, (to - from) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Purpose, Seed};
    use proptest::prelude::*;

    const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

    fn key() -> Key {
        Key::new(Seed(1), Purpose::MIXING)
    }

    fn draws(mixing: Mixing, n: u64) -> Vec<Option<Blend>> {
        let draw = BlendDraw::new(&mixing, SHAPE);
        (0..n).map(|i| draw.draw(key().at(i)).map(|(blend, _)| blend)).collect()
    }

    fn kind(kind: MixingKind) -> Mixing {
        Mixing { kind, ..Mixing::mixup(2.0, 1.0) }
    }

    proptest! {
        #[test]
        fn a_box_lies_inside_and_lambda_is_what_it_leaves(q in 0_u32..=65_536, rows: u64, columns: u64, height in 1_u32..300, width in 1_u32..300) {
            let shape = ImageShape { height, width, channels: 3 };
            let Some(blend) = paste(Lambda::from_q16(q), [rows, columns], shape) else { return Ok(()) };
            let Region { top, left, height: h, width: w } = blend.pasted.unwrap();
            prop_assert!(h > 0 && w > 0 && top + h <= height && left + w <= width);
            let pasted = f64::from(h * w) / f64::from(height * width);
            prop_assert!((1.0 - pasted - blend.lambda.to_unit()).abs() <= 0.5 / 65_536.0);
            // A box is cut off at the edges, so it is never larger than lambda asks for.
            prop_assert!(pasted <= 1.0 - f64::from(q) / 65_536.0 + 1e-9);
        }
    }

    #[test]
    fn on_small_images_lambda_is_exact() {
        for blend in draws(kind(MixingKind::Cutmix), 5_000).into_iter().flatten() {
            let region = blend.pasted.unwrap();
            assert_eq!(65_536 - blend.lambda.to_q16(), 64 * region.height * region.width);
        }
    }

    #[test]
    fn a_box_may_be_centred_on_any_pixel() {
        // A quarter of the image: sides of 16, so the middle one of each is the centre's.
        let lambda = Lambda::from_unit(0.75);
        let mut counts = [0.0_f64; 32];
        for i in 0..32_000 {
            let [word] = key().at(i).words::<1>();
            let (from, length) = extent(lambda, word, 32).unwrap();
            let centre = if from == 0 { length - 8 } else { from + 8 };
            counts[centre as usize] += 1.0;
        }
        let chi2: f64 = counts.iter().map(|n| (n - 1000.0).powi(2) / 1000.0).sum();
        // 31 degrees of freedom: 61.1 is the 99.9 % quantile.
        assert!(chi2 < 61.1, "chi-squared {chi2}");
    }

    #[test]
    fn lambda_one_pastes_nothing_and_lambda_zero_may_paste_all() {
        assert_eq!(paste(Lambda::ONE, [0, 0], SHAPE), None);
        let middle = u64::MAX / 2 + 1;
        let all = paste(Lambda::from_unit(0.0), [middle, middle], SHAPE).unwrap();
        assert_eq!(all.pasted, Some(Region { top: 0, left: 0, height: 32, width: 32 }));
        assert_eq!(all.lambda, Lambda::from_unit(0.0));
    }

    #[test]
    fn alpha_zero_and_probability_zero_mix_nothing() {
        let both = |cutmix_alpha| MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability: 0.5 };
        for mixing in [kind(MixingKind::Mixup), kind(MixingKind::Cutmix), kind(both(1.0))] {
            assert!(draws(Mixing { probability: 0.0, ..mixing }, 1000).iter().all(Option::is_none));
        }
        for mixing in [kind(MixingKind::Mixup), kind(MixingKind::Cutmix), kind(both(0.0))] {
            assert!(draws(Mixing { alpha: 0.0, ..mixing }, 1000).iter().all(Option::is_none));
        }
    }

    #[test]
    fn the_share_mixed_is_the_probability() {
        // With alpha 2 no lambda rounds to 1 but by a very rare chance.
        let blends = draws(Mixing::mixup(2.0, 0.2), 100_000);
        let mixed = blends.iter().flatten().count();
        // 20,000 expected, standard deviation 126.
        assert!((19_370..20_630).contains(&mixed), "{mixed}");
    }

    #[test]
    fn the_switch_divides_what_is_mixed() {
        let either = |switch_probability| {
            let either = MixingKind::MixupOrCutmix { cutmix_alpha: 2.0, switch_probability };
            let blends = draws(kind(either), 20_000);
            let blends = blends.into_iter().flatten().collect::<Vec<_>>();
            (blends.iter().filter(|blend| blend.pasted.is_some()).count(), blends.len())
        };
        // Boxes of less than two pixels are none, which happens to few at alpha 2.
        let (cut, all) = either(0.3);
        assert!((5_650..6_350).contains(&cut) && all > 19_900, "{cut} of {all}");
        assert_eq!(either(0.0).0, 0);
        let (cut, all) = either(1.0);
        assert_eq!(cut, all);
    }
}
