//! Arithmetic on pixels: the weighted sum of two images, in whole numbers, and the pasted box.
//!
//! A pixel is `(q·a + (65536 − q)·b + 32768) >> 16` with q = lambda · 65536: exact, rounded once,
//! the same on every CPU whatever its vector width. The largest term is 255 · 65536 + 32768, well
//! inside 32 bits. As f32, the same sum before rounding (below 2^24, so exact) is divided by
//! 65536 · 255, which IEEE 754 rounds one way only.
//!
//! ```
//! use mixfeed_pipeline::Lambda;
//! use mixfeed_pipeline::mix::mix_u8;
//!
//! let mut mixed = [0; 2];
//! mix_u8(&mut mixed, &[200, 0], &[100, 255], Lambda::from_unit(0.75));
//! assert_eq!(mixed, [175, 64]);
//! ```

use crate::blend::Region;
use crate::lambda::Lambda;
use crate::simd::dispatched;
use mixfeed_streamspec::ImageShape;

/// The weighted sum of two pixel values, times 65536.
fn weighted(a: u8, b: u8, q: u32) -> u32 {
    q * u32::from(a) + (65_536 - q) * u32::from(b)
}

/// Writes `lambda · a + (1 − lambda) · b`, rounded, into `out`.
///
/// # Panics
/// When the three differ in length.
pub fn mix_u8(out: &mut [u8], a: &[u8], b: &[u8], lambda: Lambda) {
    assert!(out.len() == a.len() && a.len() == b.len(), "images of one size");
    // Between the ends, the weight fits 16 bits, so that the compiler may multiply words instead of double words.
    let Ok(q) = u16::try_from(lambda.to_q16()) else { return out.copy_from_slice(a) };
    mix_words(out, a, b, q);
}

dispatched! { fn mix_words(out: &mut [u8], a: &[u8], b: &[u8], q: u16) = mix_words_plain; }

/// Moves `b` towards `a`: their distance times `q`, in two words of 16 bits. Half a step is rounded up, which is away from `b`
/// where `a` is above it, and towards `b` where it is below.
#[inline(always)]
fn mix_words_plain(out: &mut [u8], a: &[u8], b: &[u8], q: u16) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let distance = u16::from(a.max(b) - a.min(b));
        let high = ((u32::from(distance) * u32::from(q)) >> 16) as u16;
        let low = distance.wrapping_mul(q);
        let step = (high + (low.saturating_sub(u16::from(a < b)) >> 15)) as u8;
        *out = if a < b { b - step } else { b + step };
    }
}

/// Writes `(lambda · a + (1 − lambda) · b) / 255` as little-endian f32 into `out`.
///
/// # Panics
/// When `a` and `b` differ in length, or `out` is not four times as long.
pub fn mix_f32(out: &mut [u8], a: &[u8], b: &[u8], lambda: Lambda) {
    assert!(out.len() == 4 * a.len() && a.len() == b.len(), "images of one size");
    mix_floats(out, a, b, lambda.to_q16());
}

dispatched! { fn mix_floats(out: &mut [u8], a: &[u8], b: &[u8], q: u32) = mix_floats_plain; }

#[inline(always)]
fn mix_floats_plain(out: &mut [u8], a: &[u8], b: &[u8], q: u32) {
    for ((out, &a), &b) in out.as_chunks_mut::<4>().0.iter_mut().zip(a).zip(b) {
        let value = weighted(a, b, q) as f32 / (65_536.0 * 255.0);
        *out = value.to_le_bytes();
    }
}

/// Writes `region` of `partner` over the same part of `image`.
///
/// # Panics
/// When one of the images is not of `shape`, or the region reaches outside.
pub fn paste(image: &mut [u8], partner: &[u8], shape: ImageShape, region: Region) {
    assert!(image.len() == shape.values() && partner.len() == image.len(), "images of one shape");
    let (row, pixel) = (shape.width as usize * shape.channels as usize, shape.channels as usize);
    let (left, width) = (region.left as usize * pixel, region.width as usize * pixel);
    let rows = image.chunks_exact_mut(row).zip(partner.chunks_exact(row));
    for (image, partner) in rows.skip(region.top as usize).take(region.height as usize) {
        image[left..left + width].copy_from_slice(&partner[left..left + width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn one(a: u8, b: u8, q: f64) -> u8 {
        let mut out = [0];
        mix_u8(&mut out, &[a], &[b], Lambda::from_unit(q));
        out[0]
    }

    #[test]
    fn every_pair_of_values_is_mixed_as_the_formula_says() {
        let pairs: (Vec<u8>, Vec<u8>) = (0..=u16::MAX).map(|pair| ((pair >> 8) as u8, pair as u8)).unzip();
        let weights = [0, 1, 2, 32_767, 32_768, 32_769, 65_534, 65_535, 65_536];
        for q in (0..65_536).step_by(1_999).chain(weights) {
            let (a, b) = &pairs;
            let mut mixed = vec![0; a.len()];
            mix_u8(&mut mixed, a, b, Lambda::from_unit(f64::from(q) / 65_536.0));
            for ((&mixed, &a), &b) in mixed.iter().zip(a).zip(b) {
                assert_eq!(u32::from(mixed), (weighted(a, b, q) + 32_768) >> 16, "{q}: {a}, {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn pixels_stay_between_the_two_sources(a: u8, b: u8, q in 0.0..=1.0_f64) {
            let mixed = one(a, b, q);
            prop_assert!((a.min(b)..=a.max(b)).contains(&mixed));
        }

        #[test]
        fn rounds_the_exact_weighted_mean_to_nearest(a: u8, b: u8, q in 0.0..=1.0_f64) {
            let lambda = Lambda::from_unit(q).to_unit();
            let exact = lambda * f64::from(a) + (1.0 - lambda) * f64::from(b);
            prop_assert!((f64::from(one(a, b, q)) - exact).abs() <= 0.5);
        }

        #[test]
        fn f32_is_the_exact_weighted_mean_over_255(a: u8, b: u8, q in 0.0..=1.0_f64) {
            let lambda = Lambda::from_unit(q);
            let mut out = [0; 4];
            mix_f32(&mut out, &[a], &[b], lambda);
            let exact = (lambda.to_unit() * f64::from(a) + (1.0 - lambda.to_unit()) * f64::from(b)) / 255.0;
            prop_assert_eq!(out, (exact as f32).to_le_bytes());
        }
    }

    proptest! {
        #[test]
        fn wide_and_plain_code_agree_at_every_length(
            images in (0_usize..200).prop_flat_map(|n| (vec(any::<u8>(), n), vec(any::<u8>(), n))),
            q in 1_u16..=u16::MAX,
        ) {
            let (a, b) = images;
            let (mut wide, mut plain) = (vec![1; a.len()], vec![2; a.len()]);
            mix_words(&mut wide, &a, &b, q);
            mix_words_plain(&mut plain, &a, &b, q);
            prop_assert_eq!(wide, plain);
            let (mut wide, mut plain) = (vec![1; 4 * a.len()], vec![2; 4 * a.len()]);
            mix_floats(&mut wide, &a, &b, u32::from(q));
            mix_floats_plain(&mut plain, &a, &b, u32::from(q));
            prop_assert_eq!(wide, plain);
        }
    }

    #[test]
    fn lambda_one_gives_the_sample_and_lambda_zero_the_partner() {
        for (a, b) in [(0, 255), (255, 0), (17, 200)] {
            assert_eq!((one(a, b, 1.0), one(a, b, 0.0)), (a, b));
        }
    }

    #[test]
    fn white_is_exactly_one_and_black_exactly_zero() {
        let mut out = [0; 8];
        mix_f32(&mut out, &[255, 0], &[255, 0], Lambda::from_unit(0.3));
        assert_eq!(out[..4], 1.0_f32.to_le_bytes());
        assert_eq!(out[4..], 0.0_f32.to_le_bytes());
    }
}
