//! A random part of the image, brought to the output's size (torchvision's `RandomResizedCrop`): the draw of the part.
//!
//! Resizing it is the business of [`resample`](super::resample).

use super::elementary::{exp, ln};
use crate::blend::Region;
use crate::key::{Key, Purpose, below, unit};
use mixfeed_streamspec::{ImageSize, Interval, ResizedCrop};
use rand::Rng;

pub(super) const PURPOSE: Purpose = Purpose::new(7);

/// Parts that are tried before the largest one in the middle is taken.
const TRIES: usize = 10;

/// Draws the part that is shown.
pub(super) fn draw(key: Key, setting: &ResizedCrop, image: ImageSize) -> Region {
    let mut generator = key.generator();
    for _ in 0..TRIES {
        let [width, height] = sides(&mut generator, setting.area(), setting.ratio(), image);
        let fits = |side: f64, most: u32| side >= 1.0 && side <= f64::from(most);
        let words = [generator.next_u64(), generator.next_u64()];
        if fits(width, image.width) && fits(height, image.height) {
            return Region::somewhere(words, height as u32, width as u32, image);
        }
    }
    largest(setting.ratio(), image)
}

/// Draws width and height in whole pixels: an area, uniformly, and their ratio, uniformly in its
/// logarithm, which is taken without a libm (see [`elementary`](super::elementary)).
pub(super) fn sides(generator: &mut impl Rng, area: Interval, ratio: Interval, image: ImageSize) -> [f64; 2] {
    let mut between = |least: f64, most: f64| least + unit(generator.next_u64()) * (most - least);
    let pixels = f64::from(image.height) * f64::from(image.width);
    let area = pixels * between(area.min, area.max);
    let ratio = exp(between(ln(ratio.min), ln(ratio.max)));
    // A root is rounded one way only, too. Ties go to even, as in Python.
    [(area * ratio).sqrt().round_ties_even(), (area / ratio).sqrt().round_ties_even()]
}

/// The largest part in the middle whose ratio is allowed.
fn largest(ratio: Interval, image: ImageSize) -> Region {
    let (h, w) = (f64::from(image.height), f64::from(image.width));
    let side = |side: f64, most: u32| (side.round_ties_even() as u32).clamp(1, most);
    let (height, width) = if w / h < ratio.min {
        (side(w / ratio.min, image.height), image.width)
    } else if w / h > ratio.max {
        (image.height, side(h * ratio.max, image.width))
    } else {
        (image.height, image.width)
    };
    Region { top: (image.height - height) / 2, left: (image.width - width) / 2, height, width }
}

impl Region {
    /// A region of this size, each of its places in the image equally likely.
    pub(super) fn somewhere(words: [u64; 2], height: u32, width: u32, image: ImageSize) -> Self {
        let place = |word, room: u32| below(word, u64::from(room) + 1) as u32;
        let (top, left) = (place(words[0], image.height - height), place(words[1], image.width - width));
        Self { top, left, height, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Seed;

    const SIZE: ImageSize = ImageSize { height: 32, width: 32 };

    fn draws(setting: ResizedCrop, size: ImageSize, n: u64) -> Vec<Region> {
        (0..n).map(|i| draw(Key::new(Seed(5), PURPOSE).at(i), &setting, size)).collect()
    }

    #[test]
    fn areas_and_ratios_are_drawn_from_their_intervals() {
        let regions = draws(ResizedCrop::IMAGENET, SIZE, 20_000);
        let area = |r: &Region| f64::from(r.height * r.width) / 1024.0;
        assert!(regions.iter().all(|r| r.top + r.height <= 32 && r.left + r.width <= 32));
        assert!(regions.iter().all(|r| (0.06..=1.0).contains(&area(r))));
        // Large parts of a long shape do not fit and are drawn again, which takes a little off the
        // middle of 0.08 and 1.
        let mean = regions.iter().map(area).sum::<f64>() / 20_000.0;
        assert!((0.49..0.54).contains(&mean), "{mean}");
        // A ratio and its reciprocal are equally likely: that is what its logarithm is for.
        let wider = regions.iter().filter(|r| r.width > r.height).count() as f64;
        let taller = regions.iter().filter(|r| r.width < r.height).count() as f64;
        assert!((wider / taller - 1.0).abs() < 0.06, "{wider} wider, {taller} taller");
    }

    #[test]
    fn when_no_part_fits_the_largest_in_the_middle_is_taken() {
        let all = ResizedCrop { min_area: 1.0, ..ResizedCrop::IMAGENET };
        let flat = ImageSize { height: 8, width: 40 };
        // 8 * 4 / 3 is 10.67.
        let middle = Region { top: 0, left: 14, height: 8, width: 11 };
        assert!(draws(all, flat, 20).iter().all(|region| *region == middle));
        let tall = ImageSize { height: 40, width: 8 };
        let middle = Region { top: 14, left: 0, height: 11, width: 8 };
        assert!(draws(all, tall, 20).iter().all(|region| *region == middle));
    }
}
