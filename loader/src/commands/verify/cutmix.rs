//! The distribution of the lambdas that CutMix sends: what is left of an image when a box is pasted over it.
//!
//! A lambda is drawn from Beta(alpha, alpha) and rounded to 1/65536. The box's sides are sqrt(1 - lambda) of the
//! image's, each rounded down to an even number of pixels; its centre is any pixel, and what lies outside is cut off. So
//! there are finitely many boxes, and each has a probability that can be added up, with no draw made. Written anew
//! after the paper (arXiv:1905.04899) and the contract's text, not after the loader's code that it is to check.

use super::statistics::beta_below;
use mixfeed_pipeline::ImageShape;

/// Sides up to which all boxes are gone through: 45 million for the largest image.
const MAX_SIDE: u32 = 1024;

/// Lambdas are whole numbers of 1/65536.
const ONE: usize = 65_536;

/// The distribution of lambdas that are sent.
pub(super) struct Law {
    /// The probability of each lambda or a smaller one, where CutMix is chosen.
    up_to: Vec<f64>,
}

impl Law {
    /// `None` for images with a side of more than 1,024 pixels.
    pub(super) fn new(alpha: f64, image: ImageShape) -> Option<Self> {
        if image.height.max(image.width) > MAX_SIDE {
            return None;
        }
        let pixels = u64::from(image.height) * u64::from(image.width);
        let mut masses = vec![0.0; ONE + 1];
        // Neighbouring lambdas mostly have boxes of the same size: they are taken together.
        let mut from = 0;
        while from <= ONE && alpha > 0.0 {
            let sides = half_sides(from, image);
            let to =
                (from..=ONE).take_while(|lambda| half_sides(*lambda, image) == sides).last().unwrap_or(from);
            let unit = |edge: f64| beta_below(edge / ONE as f64, alpha, alpha);
            let chance = unit(to as f64 + 0.5) - unit(from as f64 - 0.5);
            let widths = lengths(sides[1], image.width);
            for (height, chance_of_height) in lengths(sides[0], image.height) {
                for (width, chance_of_width) in &widths {
                    let left = pixels - u64::from(height) * u64::from(*width);
                    // The nearest, and the larger one of two.
                    let lambda = (2 * left * ONE as u64 + pixels) / (2 * pixels);
                    masses[lambda as usize] += chance * chance_of_height * chance_of_width;
                }
            }
            from = to + 1;
        }
        let mut sum = 0.0;
        let up_to = masses.iter().map(|mass| {
            sum += mass;
            sum
        });
        Some(Self { up_to: up_to.collect() })
    }

    /// The share of images given to CutMix that show a box: those whose lambda is less than one.
    pub(super) fn shows(&self) -> f64 {
        self.up_to[ONE - 1]
    }

    /// The probability that a lambda, in units of 1/65536, is at most this one, of those that show.
    pub(super) fn up_to(&self, units: i64) -> f64 {
        match usize::try_from(units) {
            Err(_) => 0.0,
            Ok(units) => (self.up_to[units.min(ONE - 1)] / self.shows()).min(1.0),
        }
    }
}

/// Half of the sides of the box that a drawn lambda asks for, before it is cut off.
fn half_sides(lambda: usize, image: ImageShape) -> [u32; 2] {
    let share = ((ONE - lambda) as f64 / ONE as f64).sqrt();
    [image.height, image.width].map(|side| (f64::from(side) / 2.0 * share) as u32)
}

/// How long the box is along a side, and how likely, when its centre is any place of the side.
fn lengths(half: u32, side: u32) -> Vec<(u32, f64)> {
    let mut chances = vec![0_u32; side as usize + 1];
    for centre in 0..side {
        let length = (centre + half).min(side) - centre.saturating_sub(half);
        chances[length as usize] += 1;
    }
    let there = (0..).zip(chances).filter(|(_, count)| *count > 0);
    there.map(|(length, count)| (length, f64::from(count) / f64::from(side))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_a_small_image_has_the_chances_that_can_be_counted_by_hand() {
        // Beta(1, 1) is uniform. Of two pixels a side, half of the box is 1 for lambda 0 alone, which is drawn by
        // half of one in 65,536; it reaches over one or two pixels, as often as not.
        let law = Law::new(1.0, ImageShape { height: 2, width: 2, channels: 3 }).unwrap();
        assert!((law.shows() * 131_072.0 - 1.0).abs() < 1e-9);
        // Two of two pixels in a quarter of the cases, one of them in another quarter.
        for (units, chance) in [(-1, 0.0), (0, 0.25), (32_767, 0.25), (32_768, 0.75), (49_152, 1.0)] {
            assert!((law.up_to(units) - chance).abs() < 1e-9, "{units}: {}", law.up_to(units));
        }
    }

    #[test]
    fn lengths_are_those_of_a_box_cut_off_at_both_ends() {
        assert_eq!(lengths(1, 4), [(1, 0.25), (2, 0.75)]);
        assert_eq!(lengths(2, 4), [(2, 0.25), (3, 0.5), (4, 0.25)]);
        assert_eq!(lengths(0, 3), [(0, 1.0)]);
    }
}
