//! What is done to one image before it is mixed: a crop with zero padding, and a mirror.
//!
//! [`AugmentDraw`] belongs to the plan and draws; [`apply`] belongs to collate and moves bytes. Each
//! transform has a purpose of its own, so that switching one on leaves the draws of the others
//! where they were, and a key of its own for each *occurrence* of a sample: (epoch, place in the
//! epoch, role). A partner is therefore augmented independently of its own turn as a base sample,
//! which may be in another batch, in another shard, or not at all. (Code that mixes a batch with a
//! permutation of itself shows the partner as it shows the base; for a single image, the two
//! cannot be told apart.)
//!
//! Not here: anything that invents values. Bytes are moved or set to zero, so the result is the
//! same on every machine.

use crate::dataset::ImageShape;
use crate::key::{Key, Purpose, Seed, below, unit};
use crate::spec::Augmentation;

/// How one occurrence of an image is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The crop lies this many rows below the image (above, when negative); outside it is black.
    pub down: i32,
    /// The crop lies this many columns right of the image (left, when negative).
    pub right: i32,
    /// Whether it is then mirrored left to right.
    pub flipped: bool,
}

impl View {
    /// The image as it is.
    pub const PLAIN: Self = Self { down: 0, right: 0, flipped: false };
}

/// Which image of a row is meant. The numbers are part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Role {
    Base = 0,
    Partner = 1,
}

/// The draws of one epoch's augmentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AugmentDraw {
    augmentation: Augmentation,
    crop: Key,
    flip: Key,
}

impl AugmentDraw {
    pub(crate) fn new(augmentation: Augmentation, seed: Seed, epoch: u64) -> Self {
        let key = |purpose| Key::new(seed, purpose).at(epoch);
        Self { augmentation, crop: key(Purpose::Crop), flip: key(Purpose::Flip) }
    }

    /// Draws how the image at `position` of the epoch is shown.
    pub(crate) fn view(&self, position: u64, role: Role) -> View {
        let Augmentation { crop_padding, flip_probability } = self.augmentation;
        let mut view = View::PLAIN;
        if crop_padding > 0 {
            let words = self.crop.at(position).at(role as u64).words::<2>();
            // 2p + 1 places, the first and the last among them.
            let offset = |word| below(word, 2 * u64::from(crop_padding) + 1) as i32 - crop_padding as i32;
            (view.down, view.right) = (offset(words[0]), offset(words[1]));
        }
        if flip_probability > 0.0 {
            let word = self.flip.at(position).at(role as u64).words::<1>()[0];
            view.flipped = unit(word) < flip_probability;
        }
        view
    }
}

/// Writes `image` as `view` shows it into `out`.
///
/// # Panics
/// When one of the two is not of `shape`.
pub fn apply(view: View, shape: ImageShape, image: &[u8], out: &mut [u8]) {
    assert!(image.len() == shape.values() && out.len() == image.len(), "images of one shape");
    let channels = shape.channels as usize;
    let row_bytes = shape.width as usize * channels;
    let Overlap { before, from, kept } = Overlap::new(view.right, shape.width).times(channels);
    for (y, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let row = y as i64 + i64::from(view.down);
        if !(0..i64::from(shape.height)).contains(&row) {
            out.fill(0);
            continue;
        }
        let part = &image[row as usize * row_bytes + from..][..kept];
        if view.flipped {
            // Mirrored, the columns that stay black change sides.
            let after = row_bytes - before - kept;
            out[..after].fill(0);
            out[after + kept..].fill(0);
            for (to, from) in
                out[after..after + kept].chunks_exact_mut(channels).rev().zip(part.chunks_exact(channels))
            {
                to.copy_from_slice(from);
            }
        } else {
            out[..before].fill(0);
            out[before..before + kept].copy_from_slice(part);
            out[before + kept..].fill(0);
        }
    }
}

/// What a row of the crop shows of a row of the image.
struct Overlap {
    /// Places of the crop before the first that shows something.
    before: usize,
    /// Place of the image that this first one shows.
    from: usize,
    /// How many show something.
    kept: usize,
}

impl Overlap {
    /// Of a crop that lies `offset` places behind an image as wide as itself.
    fn new(offset: i32, width: u32) -> Self {
        let width = width as usize;
        let moved = width.min(offset.unsigned_abs() as usize);
        let (before, from) = if offset < 0 { (moved, 0) } else { (0, moved) };
        Self { before, from, kept: width - moved }
    }

    fn times(self, channels: usize) -> Self {
        Self { before: self.before * channels, from: self.from * channels, kept: self.kept * channels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const SHAPE: ImageShape = ImageShape { height: 4, width: 5, channels: 3 };

    fn numbered() -> Vec<u8> {
        (1..=SHAPE.values() as u8).collect()
    }

    /// torchvision's way: pad, cut out, mirror; one value after the other.
    fn reference(view: View, padding: i32) -> Vec<u8> {
        let (h, w) = (SHAPE.height as i32, SHAPE.width as i32);
        let image = numbered();
        let padded = |y: i32, x: i32, c: i32| {
            let (y, x) = (y - padding, x - padding);
            let inside = (0..h).contains(&y) && (0..w).contains(&x);
            if inside { image[((y * w + x) * 3 + c) as usize] } else { 0 }
        };
        let (top, left) = (view.down + padding, view.right + padding);
        let mut out = Vec::new();
        for (y, x, c) in (0..h).flat_map(|y| (0..w).flat_map(move |x| (0..3).map(move |c| (y, x, c)))) {
            let x = if view.flipped { w - 1 - x } else { x };
            out.push(padded(top + y, left + x, c));
        }
        out
    }

    fn views(augmentation: Augmentation, n: u64) -> impl Iterator<Item = View> {
        let draw = AugmentDraw::new(augmentation, Seed(9), 3);
        (0..n).map(move |position| draw.view(position, Role::Base))
    }

    proptest! {
        #[test]
        fn crops_and_mirrors_as_torchvision_does(down in -9..=9_i32, right in -9..=9_i32, flipped: bool) {
            let view = View { down, right, flipped };
            // What was there before must not show through.
            let mut out = vec![77; SHAPE.values()];
            apply(view, SHAPE, &numbered(), &mut out);
            prop_assert_eq!(out, reference(view, 9));
        }
    }

    #[test]
    fn every_place_of_a_crop_is_equally_likely_the_last_included() {
        let augmentation = Augmentation { crop_padding: 4, ..Augmentation::NONE };
        let mut counts: HashMap<(i32, i32), f64> = HashMap::new();
        for view in views(augmentation, 81_000) {
            *counts.entry((view.down, view.right)).or_default() += 1.0;
        }
        assert!((-4..=4).all(|y| (-4..=4).all(|x| counts.contains_key(&(y, x)))) && counts.len() == 81);
        let chi2: f64 = counts.values().map(|n| (n - 1000.0).powi(2) / 1000.0).sum();
        // 80 degrees of freedom: 124.8 is the 99.9 % quantile.
        assert!(chi2 < 124.8, "chi-squared {chi2}");
    }

    #[test]
    fn the_share_mirrored_is_the_probability() {
        for (probability, range) in
            [(0.0, 0..=0), (0.2, 19_370..=20_630), (0.5, 49_200..=50_800), (1.0, 100_000..=100_000)]
        {
            let augmentation = Augmentation { flip_probability: probability, ..Augmentation::NONE };
            let flipped = views(augmentation, 100_000).filter(|view| view.flipped).count();
            assert!(range.contains(&flipped), "{flipped} at {probability}");
        }
    }

    #[test]
    fn one_transform_does_not_move_the_draws_of_another() {
        let both = Augmentation { crop_padding: 4, flip_probability: 0.5 };
        let crops: Vec<_> =
            views(Augmentation { flip_probability: 0.0, ..both }, 100).map(|v| (v.down, v.right)).collect();
        let flips: Vec<_> = views(Augmentation { crop_padding: 0, ..both }, 100).map(|v| v.flipped).collect();
        assert!(views(both, 100).map(|v| (v.down, v.right)).eq(crops));
        assert!(views(both, 100).map(|v| v.flipped).eq(flips));
    }

    #[test]
    fn base_and_partner_epochs_and_seeds_are_drawn_for_independently() {
        let both = Augmentation { crop_padding: 4, flip_probability: 0.5 };
        let draw = |seed, epoch| AugmentDraw::new(both, Seed(seed), epoch);
        let base: Vec<_> = (0..1620).map(|i| draw(1, 0).view(i, Role::Base)).collect();
        let others: [Vec<_>; 3] = [
            (0..1620).map(|i| draw(1, 0).view(i, Role::Partner)).collect(),
            (0..1620).map(|i| draw(1, 1).view(i, Role::Base)).collect(),
            (0..1620).map(|i| draw(2, 0).view(i, Role::Base)).collect(),
        ];
        for other in others {
            // One view of 162: 10 of 1,620 agree by chance, with a standard deviation of 3.2.
            let same = base.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!(same < 26, "{same} views agree");
        }
    }
}
