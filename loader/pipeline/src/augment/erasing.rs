//! Holes in an image: random erasing and Cutout.
//!
//! Random erasing: Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation", AAAI 2020
//! (arXiv:1708.04896), as torchvision's `RandomErasing` draws it. Cutout: DeVries, Taylor, "Improved
//! Regularization of Convolutional Neural Networks with Cutout" (arXiv:1708.04552), as the paper's
//! code draws it.
//!
//! What is erased gets one value, which the spec names. Both papers' code erases after the pixels were
//! normalised, to zero, the mean; here pixels are bytes, so the mean is for the user to name. Random
//! values are not offered: they would have to be drawn for each pixel.

use super::resized_crop::sides;
use crate::blend::Region;
use crate::key::{Key, Purpose, below, unit};
use mixfeed_streamspec::ImageShape;
use mixfeed_streamspec::RandomErasing;
use rand::Rng as _;

pub(super) const ERASING: Purpose = Purpose::new(10);
pub(super) const CUTOUT: Purpose = Purpose::new(11);

/// Holes that are tried before the image stays whole.
const TRIES: usize = 10;

/// Draws the hole of random erasing, if there is one.
pub(super) fn draw(key: Key, setting: &RandomErasing, image: ImageShape) -> Option<Region> {
    let mut generator = key.generator();
    if unit(generator.next_u64()) >= setting.probability {
        return None;
    }
    for _ in 0..TRIES {
        // torchvision's ratio is height to width here.
        let [height, width] = sides(&mut generator, setting.area(), setting.ratio(), image.size());
        let words = [generator.next_u64(), generator.next_u64()];
        if height < f64::from(image.height) && width < f64::from(image.width) {
            let (height, width) = (height as u32, width as u32);
            // A hole of less than half a pixel is none.
            return (height > 0 && width > 0).then(|| Region::somewhere(words, height, width, image.size()));
        }
    }
    None
}

/// Draws the hole of Cutout: `side` pixels, rounded down to an even number, around any pixel of the
/// image; what lies outside is cut off.
pub(super) fn draw_cutout(key: Key, side: u32, image: ImageShape) -> Option<Region> {
    let words = key.words::<2>();
    let extent = |word, length: u32| {
        let (centre, half) = (below(word, u64::from(length)) as u32, side / 2);
        let (from, to) = (centre.saturating_sub(half), centre.saturating_add(half).min(length));
        (from, to - from)
    };
    let ((top, height), (left, width)) = (extent(words[0], image.height), extent(words[1], image.width));
    (height > 0 && width > 0).then_some(Region { top, left, height, width })
}

/// Fills `region` with `value`.
pub(super) fn apply(region: Region, value: u8, shape: ImageShape, image: &mut [u8]) {
    let channels = shape.channels as usize;
    let (left, width) = (region.left as usize * channels, region.width as usize * channels);
    let rows = image.chunks_exact_mut(shape.width as usize * channels);
    for row in rows.skip(region.top as usize).take(region.height as usize) {
        row[left..left + width].fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Seed;

    const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

    fn key(i: u64) -> Key {
        Key::new(Seed(3), ERASING).at(i)
    }

    #[test]
    fn the_share_erased_is_the_probability_and_holes_are_as_large_as_asked() {
        let setting = RandomErasing { probability: 0.3, ..RandomErasing::PUBLISHED };
        let holes: Vec<_> = (0..20_000).filter_map(|i| draw(key(i), &setting, SHAPE)).collect();
        // 6,000 expected, standard deviation 65.
        assert!((5_740..6_260).contains(&holes.len()), "{}", holes.len());
        assert!(holes.iter().all(|r| r.top + r.height <= 32 && r.left + r.width <= 32));
        let area = |r: &Region| f64::from(r.height * r.width) / 1024.0;
        assert!(holes.iter().all(|r| (0.012..=0.36).contains(&area(r))));
        let mean = holes.iter().map(area).sum::<f64>() / holes.len() as f64;
        assert!((0.16..0.185).contains(&mean), "{mean}");
    }

    #[test]
    fn a_hole_that_never_fits_is_none() {
        let setting =
            RandomErasing { probability: 1.0, min_area: 1.0, max_area: 1.0, min_ratio: 1.0, max_ratio: 1.0 };
        assert!((0..50).all(|i| draw(key(i), &setting, SHAPE).is_none()));
    }

    #[test]
    fn any_pixel_is_the_centre_of_a_cutout_and_the_image_cuts_it_off() {
        let mut rows = [0.0_f64; 32];
        for i in 0..32_000 {
            let hole = draw_cutout(key(i), 17, SHAPE).unwrap();
            assert!(hole.height >= 8 && hole.height <= 16 && hole.top + hole.height <= 32);
            let centre = if hole.top == 0 { hole.height - 8 } else { hole.top + 8 };
            rows[centre as usize] += 1.0;
        }
        let chi2: f64 = rows.iter().map(|n| (n - 1000.0).powi(2) / 1000.0).sum();
        // 31 degrees of freedom: 61.1 is the 99.9 % quantile.
        assert!(chi2 < 61.1, "chi-squared {chi2}");
    }

    #[test]
    fn only_the_hole_changes() {
        let mut image = vec![9; SHAPE.values()];
        apply(Region { top: 30, left: 2, height: 2, width: 5 }, 128, SHAPE, &mut image);
        let holes = image.iter().filter(|value| **value == 128).count();
        assert_eq!((holes, image[(30 * 32 + 2) * 3], image[(29 * 32 + 2) * 3]), (30, 128, 9));
    }
}
