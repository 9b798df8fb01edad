//! The luma of an image in all three channels (torchvision's `RandomGrayscale`), in Pillow's fixed point.

use super::color;
use crate::key::Purpose;

pub(super) const PURPOSE: Purpose = Purpose::new(13);

pub(super) fn apply(image: &mut [u8]) {
    // Without saturation, the luma is left, to the bit: what is added to it is zero.
    color::saturation(image, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Seed};

    #[test]
    fn each_pixel_becomes_its_luma() {
        let mut image = vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 1, 2, 3];
        apply(&mut image);
        assert_eq!(image, [76, 76, 76, 150, 150, 150, 29, 29, 29, 255, 255, 255, 2, 2, 2]);
    }

    #[test]
    fn the_share_that_is_grey_is_the_probability() {
        for (probability, range) in [(0.0, 0..=0), (0.2, 19_370..=20_630), (1.0, 100_000..=100_000)] {
            let key = Key::new(Seed(9), PURPOSE);
            let grey = (0..100_000).filter(|i| key.at(*i).happens(probability)).count();
            assert!(range.contains(&grey), "{grey} at {probability}");
        }
    }
}
