//! From pixel order, as images are computed, to plane order: all red values, then all green, then all blue.

use crate::simd::dispatched;

/// Moves values of `size` bytes from pixel order to plane order.
pub(crate) fn interleaved_to_planar(image: &[u8], channels: usize, size: usize, out: &mut [u8]) {
    match (channels, size) {
        (3, 1) => rgb_to_planar(image, out),
        (3, 4) => rgb_f32_to_planar(image, out),
        _ => any_to_planar(image, channels, size, out),
    }
}

dispatched! { fn rgb_to_planar(image: &[u8], out: &mut [u8]) = values_to_planar::<1>; }
dispatched! { fn rgb_f32_to_planar(image: &[u8], out: &mut [u8]) = values_to_planar::<4>; }

/// Red, green and blue values of `SIZE` bytes each, all three planes in one pass.
#[inline(always)]
fn values_to_planar<const SIZE: usize>(image: &[u8], out: &mut [u8]) {
    let plane = out.len() / 3;
    let (red, rest) = out.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let planes = red.as_chunks_mut::<SIZE>().0.iter_mut().zip(green.as_chunks_mut::<SIZE>().0);
    let planes = planes.zip(blue.as_chunks_mut::<SIZE>().0);
    let values = image.as_chunks::<SIZE>().0.as_chunks::<3>().0;
    for (((red, green), blue), pixel) in planes.zip(values) {
        (*red, *green, *blue) = (pixel[0], pixel[1], pixel[2]);
    }
}

fn any_to_planar(image: &[u8], channels: usize, size: usize, out: &mut [u8]) {
    let plane = image.len() / channels;
    for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
        let values = image.chunks_exact(channels * size).map(|pixel| &pixel[channel * size..][..size]);
        for (out, value) in out.chunks_exact_mut(size).zip(values) {
            out.copy_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_any_number_of_channels_are_those_of_three() {
        let image: Vec<u8> = (0..=251).collect();
        for (size, pixels) in [(1, 84), (4, 21)] {
            assert_eq!(pixels * 3 * size, image.len());
            let (mut three, mut any) = (vec![0; image.len()], vec![0; image.len()]);
            interleaved_to_planar(&image, 3, size, &mut three);
            any_to_planar(&image, 3, size, &mut any);
            assert_eq!(three, any);
        }
    }
}
