//! Undoing the filters of PNG rows of three channels of 8 bits: each value is what an encoder left of it, plus
//! what its neighbours predict (PNG, second edition, chapter 9).
//!
//! Every pixel waits for the one left of it, so a row cannot be done faster than its pixels can wait for each
//! other. But a row may begin as soon as one pixel of the row above is done. Where the CPU has AVX2, four rows
//! are therefore done together, each one pixel behind the one above it: 2.7 µs for 32 × 32 pixels. This is the
//! one place with intrinsics: of plain loops the compiler made anything from 3.7 to 10.8 µs, by small changes
//! of their form.

/// Values of a pixel.
const CHANNELS: usize = 3;

/// Filters by number; the others are none.
const NONE: u8 = 0;
const SUB: u8 = 1;
const UP: u8 = 2;
const AVERAGE: u8 = 3;
const PAETH: u8 = 4;

/// Undoes the filters of rows of `width` pixels, each with the number of its filter before it. Nothing comes
/// back where a number is of no filter.
pub(super) fn unfilter(filtered: &[u8], width: usize) -> Option<Vec<u8>> {
    let row = CHANNELS * width;
    // Above the first row lies a black one.
    let mut image = vec![0; row * (1 + filtered.len() / (1 + row))];
    let mut begun = 0;
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: `wave::rows` asks for a CPU that has AVX2, which was found just above.
        #[expect(unsafe_code, reason = "calls what only some CPUs can run")]
        unsafe {
            begun = wave::rows(filtered, width, &mut image);
        }
    }
    for (line, start) in filtered.chunks_exact(1 + row).zip((0..).step_by(row)).skip(begun) {
        let (above, now) = image[start..start + 2 * row].split_at_mut(row);
        plain(line, above, now)?;
    }
    image.drain(..row);
    Some(image)
}

/// Undoes the filter of one row.
fn plain(line: &[u8], above: &[u8], now: &mut [u8]) -> Option<()> {
    let (filter, line) = line.split_first()?;
    match *filter {
        NONE => now.copy_from_slice(line),
        SUB => by_pixel(line, above, now, |left, _, _| left),
        UP => now.iter_mut().zip(line).zip(above).for_each(|((v, f), up)| *v = f.wrapping_add(*up)),
        AVERAGE => by_pixel(line, above, now, |left, up, _| (left + up) / 2),
        PAETH => by_pixel(line, above, now, paeth),
        _ => return None,
    }
    Some(())
}

/// Adds to each value what `predict` says of those left of it, above it, and above the left one.
#[inline(always)]
fn by_pixel(line: &[u8], above: &[u8], now: &mut [u8], predict: impl Fn(i16, i16, i16) -> i16) {
    let pixels = |row| -> &[[u8; CHANNELS]] { <[u8]>::as_chunks(row).0 };
    let (mut left, mut left_up) = ([0; CHANNELS], [0; CHANNELS]);
    for ((v, f), up) in now.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels(line)).zip(pixels(above)) {
        let up = up.map(i16::from);
        *v = std::array::from_fn(|i| f[i].wrapping_add(predict(left[i], up[i], left_up[i]) as u8));
        (left, left_up) = (v.map(i16::from), up);
    }
}

/// The one of the three that is nearest to left + above - above the left one; the first of equals.
#[inline(always)]
fn paeth(left: i16, up: i16, left_up: i16) -> i16 {
    let (to_left, to_up) = (up - left_up, left - left_up);
    let (from_left, from_up, from_both) = (to_left.abs(), to_up.abs(), (to_left + to_up).abs());
    if from_left <= from_up && from_left <= from_both {
        left
    } else if from_up <= from_both {
        up
    } else {
        left_up
    }
}

#[cfg(target_arch = "x86_64")]
mod wave {
    use super::{CHANNELS, NONE, PAETH, SUB, UP};
    use std::arch::x86_64::{
        __m256i, _mm_set_epi32, _mm256_abs_epi16, _mm256_add_epi16, _mm256_and_si256, _mm256_andnot_si256,
        _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_cmpeq_epi16, _mm256_cvtepu8_epi16,
        _mm256_extract_epi64, _mm256_min_epi16, _mm256_or_si256, _mm256_packus_epi16,
        _mm256_permute4x64_epi64, _mm256_set_epi64x, _mm256_set1_epi16, _mm256_setzero_si256,
        _mm256_sub_epi16,
    };

    /// Rows done together: a pixel of each is a quarter of a register.
    pub(super) const ROWS: usize = 4;

    /// A word of 64 bits with this value in each of its four lanes.
    const fn lanes(value: u8) -> i64 {
        value as i64 * 0x0001_0001_0001_0001
    }

    /// Undoes the filters of as many rows from the top as come in whole fours without the filter of averages,
    /// which encoders seldom take. Returns their number. Before the rows of `image` lies a black one.
    #[target_feature(enable = "avx2")]
    pub(super) fn rows(filtered: &[u8], width: usize, image: &mut [u8]) -> usize {
        let row = CHANNELS * width;
        // By step, the pixels of four rows: filtered, then not.
        let mut pixels = vec![[0; ROWS]; width + ROWS - 1];
        let mut done = 0;
        for four in filtered.chunks_exact(ROWS * (1 + row)) {
            let filters = std::array::from_fn(|which| four[which * (1 + row)]);
            if !filters.iter().all(|filter| matches!(*filter, NONE | SUB | UP | PAETH)) {
                break;
            }
            for (which, line) in four.chunks_exact(1 + row).enumerate() {
                for (step, pixel) in pixels[which..].iter_mut().zip(line[1..].as_chunks::<CHANNELS>().0) {
                    step[which] = u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]);
                }
            }
            let (above, now) = image[done * row..][..(1 + ROWS) * row].split_at_mut(row);
            pass(&mut pixels, filters, above);
            for (which, line) in now.chunks_exact_mut(row).enumerate() {
                for (pixel, step) in line.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(&pixels[which..]) {
                    [pixel[0], pixel[1], pixel[2], _] = step[which].to_le_bytes();
                }
            }
            done += ROWS;
        }
        done
    }

    /// One pass over four rows. The row above them moves in at the lowest quarter, each row's pixels serve
    /// the quarter above as what is above, one step later.
    #[target_feature(enable = "avx2")]
    fn pass(pixels: &mut [[u32; ROWS]], filters: [u8; ROWS], above: &[u8]) {
        let [a, b, c, d] = filters.map(lanes);
        let filters = _mm256_set_epi64x(d, c, b, a);
        let is = |filter: u8| _mm256_cmpeq_epi16(filters, _mm256_set1_epi16(filter.into()));
        // A distance of -1 is the least, and so chooses.
        let (left_always, up_always) = (is(SUB), is(UP));
        let any = _mm256_andnot_si256(is(NONE), _mm256_set1_epi16(255));
        // In the first steps, rows that have not begun stay black.
        let begun: [__m256i; ROWS] = std::array::from_fn(|step| {
            let [a, b, c, d] = std::array::from_fn(|which| if which <= step { lanes(255) } else { 0 });
            _mm256_set_epi64x(d, c, b, a)
        });
        let (mut now, mut up) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        let mut above = above.as_chunks::<CHANNELS>().0.iter();
        for (step, four) in pixels.iter_mut().enumerate() {
            let [p, q, r, s] = four.map(u32::cast_signed);
            let filtered = _mm256_cvtepu8_epi16(_mm_set_epi32(s, r, q, p));
            let next =
                above.next().map_or(0, |&[r, g, b]| i64::from(r) | i64::from(g) << 16 | i64::from(b) << 32);
            let (left, left_up) = (now, up);
            let moved = _mm256_permute4x64_epi64::<0b10_01_00_00>(now);
            up = _mm256_blend_epi32::<0b11>(moved, _mm256_set_epi64x(0, 0, 0, next));
            let (to_left, to_up) = (_mm256_sub_epi16(up, left_up), _mm256_sub_epi16(left, left_up));
            let from_left = _mm256_or_si256(_mm256_abs_epi16(to_left), left_always);
            let from_up = _mm256_or_si256(_mm256_abs_epi16(to_up), up_always);
            let from_both = _mm256_abs_epi16(_mm256_add_epi16(to_left, to_up));
            let min = _mm256_min_epi16(_mm256_min_epi16(from_left, from_up), from_both);
            let nearest = _mm256_blendv_epi8(left_up, up, _mm256_cmpeq_epi16(from_up, min));
            let nearest = _mm256_blendv_epi8(nearest, left, _mm256_cmpeq_epi16(from_left, min));
            let value = _mm256_add_epi16(_mm256_and_si256(nearest, any), filtered);
            now = _mm256_and_si256(value, begun[step.min(ROWS - 1)]);
            let bytes = _mm256_packus_epi16(now, now);
            let (low, high) = (_mm256_extract_epi64::<0>(bytes), _mm256_extract_epi64::<2>(bytes));
            *four = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Row by row, as on any CPU.
    fn row_by_row(filtered: &[u8], width: usize) -> Option<Vec<u8>> {
        let mut above = vec![0; CHANNELS * width];
        let mut image = Vec::new();
        for line in filtered.chunks_exact(1 + CHANNELS * width) {
            let mut now = vec![0; CHANNELS * width];
            plain(line, &above, &mut now)?;
            image.extend_from_slice(&now);
            above = now;
        }
        Some(image)
    }

    proptest! {
        #[test]
        fn four_rows_at_once_and_one_by_one_agree(
            width in 1..40_usize,
            filters in proptest::collection::vec(0..5_u8, 1..21),
            seed: u32,
            averages: bool,
            spread in 0..8,
        ) {
            let mut state = seed;
            let filtered: Vec<u8> = filters
                .iter()
                .flat_map(|filter| {
                    let filter = if *filter == AVERAGE && !averages { PAETH } else { *filter };
                    let mut line = vec![filter];
                    line.extend((0..CHANNELS * width).map(|_| {
                        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                        ((state >> 24) as u8) >> spread
                    }));
                    line
                })
                .collect();
            let image = unfilter(&filtered, width);
            prop_assert_eq!(&image, &row_by_row(&filtered, width));
            prop_assert_eq!(image.map(|image| image.len()), Some(CHANNELS * width * filters.len()));
        }
    }

    #[test]
    fn a_filter_that_does_not_exist_is_found_in_any_row() {
        for row in 0..9 {
            let mut filtered = vec![0; 9 * 7];
            filtered[row * 7] = 5;
            assert_eq!(unfilter(&filtered, 2), None);
        }
    }
}
