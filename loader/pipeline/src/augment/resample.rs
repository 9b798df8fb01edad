//! Bilinear and antialiased: a part of an image, resized, to the last bit as Pillow does it.
//!
//! Columns, then rows (or the other way: [`rows_first`]), weights of 22 bits, each pass rounded to bytes (Pillow's `Resample.c`; its `ImagingResample`
//! with the filter BILINEAR). Where the image shrinks, each place of the output is a weighted mean of all the places that it
//! covers. What is not seen is not computed.

use super::placement::Placement;
use super::taps::taps;
use crate::blend::Region;
use crate::dataset::Pixels;
use crate::simd::dispatched;
use mixfeed_streamspec::ImageShape;
use std::ops::Range;

/// Bits of a weight after the point.
const PRECISION: u32 = 22;

/// Values of a row that are summed up at a time: what registers hold.
const LANES: usize = 32;

/// Rows whose columns are summed up together: four registers of AVX2 hold their sums.
const BLOCK: usize = 8;

/// A column of a block of rows: neighbours in memory, so that one weight is for all of them.
/// (The fourth byte is nobody's: words are moved faster.)
type Column = [[u8; 4]; BLOCK];

/// Memory for an image that is resized in one direction and not in the other.
#[derive(Debug, Default)]
pub(super) struct Wide {
    rows: Vec<u8>,
    packed: Packed,
}

/// A block of rows, column by column: before and after.
#[derive(Debug, Default)]
struct Packed {
    source: Vec<Column>,
    sums: Vec<Column>,
}

/// The weights of some places of a resized side.
struct Weights {
    /// First place of the source, and where the weights of this and those that follow it begin and end.
    taps: Vec<(usize, Range<usize>)>,
    weights: Vec<i32>,
}

impl Weights {
    /// Of the places `seen` of a side that covers `in0` to `in1` of `source` places and has `size`.
    fn new(in0: f64, in1: f64, source: u32, size: u32, seen: Range<u32>) -> Self {
        let scale = (in1 - in0) / f64::from(size);
        let narrowed = 1.0 / scale.max(1.0);
        let (mut all, mut exact) = (Self { taps: Vec::new(), weights: Vec::new() }, Vec::new());
        for at in seen {
            let center = in0 + (f64::from(at) + 0.5) * scale;
            let places = taps(in0, in1, source, size, at);
            exact.clear();
            exact.extend(places.clone().map(|place| {
                let distance = ((f64::from(place) - center + 0.5) * narrowed).abs();
                if distance < 1.0 { 1.0 - distance } else { 0.0 }
            }));
            let sum: f64 = exact.iter().sum();
            let fixed = |weight: &f64| {
                let share = if sum == 0.0 { *weight } else { weight / sum };
                (0.5 + share * f64::from(1_u32 << PRECISION)) as i32
            };
            let begin = all.weights.len();
            all.weights.extend(exact.iter().map(fixed));
            // A weight of nothing at the end need not be read.
            while all.weights.len() > begin + 1 && all.weights.last() == Some(&0) {
                all.weights.pop();
            }
            all.taps.push((places.start as usize, begin..all.weights.len()));
        }
        all
    }

    /// The places of the source that any of them is made of.
    fn reach(&self) -> Range<usize> {
        let first = self.taps.first().map_or(0, |(first, _)| *first);
        first..self.taps.iter().map(|(first, weights)| first + weights.len()).max().unwrap_or(first)
    }

    fn of(&self, at: usize) -> (usize, &[i32]) {
        let (first, range) = &self.taps[at];
        (*first, &self.weights[range.clone()])
    }
}

/// Writes what an output of `shape` shows of an image, of which `pixels` are at least what is needed.
pub(super) fn apply(
    placed: &Placement,
    pixels: Pixels<'_>,
    shape: ImageShape,
    wide: &mut Wide,
    out: &mut [u8],
) {
    let channels = shape.channels as usize;
    let (seen_rows, seen_columns) = (placed.rows(shape.height), placed.columns(shape.width));
    let denominator = f64::from(pixels.denominator);
    // The part in pixels of the image as it was decoded, from its first pixel that was.
    let side = |from: u32, length: u32, begin: u32, there: u32, size: u32, seen: Range<u32>| {
        let in0 = f64::from(from) / denominator - f64::from(begin);
        Weights::new(in0, in0 + f64::from(length) / denominator, there, size, seen)
    };
    let Region { top, left, height, width } = placed.part;
    let there = pixels.region;
    let (rows, columns) = if pixels.denominator == 1 {
        // Nothing outside the part is looked at.
        let part = |from: u32, begin: u32, weights: Weights| Weights {
            taps: weights
                .taps
                .into_iter()
                .map(|(first, it)| (first + from as usize - begin as usize, it))
                .collect(),
            ..weights
        };
        let own = |length: u32, size: u32, seen| Weights::new(0.0, f64::from(length), length, size, seen);
        (
            part(top, there.top, own(height, placed.resized.height, seen_rows.clone())),
            part(left, there.left, own(width, placed.resized.width, seen_columns.clone())),
        )
    } else {
        (
            side(top, height, there.top, there.height, placed.resized.height, seen_rows.clone()),
            side(left, width, there.left, there.width, placed.resized.width, seen_columns.clone()),
        )
    };

    let out_bytes = shape.width as usize * channels;
    let from = (-placed.right).max(0) as usize * channels;
    let before = (-placed.down).max(0) as usize;
    if seen_rows.len() < shape.height as usize || seen_columns.len() < shape.width as usize {
        out.fill(placed.fill);
    }
    let seen_bytes = seen_columns.len() * channels;
    let out = out.chunks_exact_mut(out_bytes).skip(before).take(seen_rows.len());
    let out = out.map(|row| &mut row[from..from + seen_bytes]);

    let source_bytes = there.width as usize * channels;
    if rows_first(placed) {
        let reach = columns.reach();
        let row_bytes = reach.len() * channels;
        wide.rows.resize(BLOCK * row_bytes, 0);
        let mut out = out.enumerate().peekable();
        while out.peek().is_some() {
            let block: Vec<_> = out.by_ref().take(BLOCK).collect();
            for ((at, _), wide) in block.iter().zip(wide.rows.chunks_exact_mut(row_bytes)) {
                let (first, weights) = rows.of(*at);
                let source = &pixels.bytes[first * source_bytes + reach.start * channels..];
                sum_rows(source, source_bytes, weights, wide);
            }
            let (source, out) = (wide.rows.chunks_exact(row_bytes), block.into_iter().map(|(_, out)| out));
            sum_columns(source, channels, reach.clone(), &columns, out, &mut wide.packed);
        }
        return;
    }
    let reach = rows.reach();
    wide.rows.resize(reach.len() * seen_bytes, 0);
    let source = pixels.bytes.chunks_exact(source_bytes).skip(reach.start).take(reach.len());
    let whole = 0..there.width as usize;
    sum_columns(source, channels, whole, &columns, wide.rows.chunks_exact_mut(seen_bytes), &mut wide.packed);
    for (at, out) in out.enumerate() {
        let (first, weights) = rows.of(at);
        sum_rows(&wide.rows[(first - reach.start) * seen_bytes..], seen_bytes, weights, out);
    }
}

/// Whether rows come before columns: Pillow 13 has it so where the height shrinks by more than twice the pixels that the
/// width shrinks by. (Earlier releases always begin with columns. As each pass is rounded, the order shows in the last bit.)
fn rows_first(placed: &Placement) -> bool {
    let shrinks = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let height = shrinks(placed.part.height, placed.resized.height);
    height > 0 && height > 2 * shrinks(placed.part.width, placed.resized.width)
}

const HALF: i32 = 1 << (PRECISION - 1);

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Sums up the columns of some rows, which begin with column `there.start`.
fn sum_columns<'a>(
    source: impl Iterator<Item = &'a [u8]>,
    channels: usize,
    there: Range<usize>,
    columns: &Weights,
    out: impl Iterator<Item = &'a mut [u8]>,
    packed: &mut Packed,
) {
    let mut rows = source.zip(out);
    if channels != 3 {
        return rows.for_each(|(source, out)| any_columns(source, channels, there.start, columns, out));
    }
    let reach = columns.reach();
    packed.source.resize(reach.len(), [[0; 4]; BLOCK]);
    packed.sums.resize(columns.taps.len(), [[0; 4]; BLOCK]);
    loop {
        let mut block: [Option<&mut [u8]>; BLOCK] = std::array::from_fn(|_| None);
        for (at, (source, out)) in rows.by_ref().take(BLOCK).enumerate() {
            pack(&source[(reach.start - there.start) * 3..], at, &mut packed.source);
            block[at] = Some(out);
        }
        if block[0].is_none() {
            return;
        }
        rgb_columns(&packed.source, reach.start, columns, &mut packed.sums);
        for (at, out) in block.into_iter().flatten().enumerate() {
            unpack(&packed.sums, at, out);
        }
    }
}

/// Puts the pixels of a row into place `at` of columns.
fn pack(row: &[u8], at: usize, columns: &mut [Column]) {
    let Some((last, before)) = columns.split_last_mut() else { return };
    for (column, word) in before.iter_mut().zip(row.windows(4).step_by(3)) {
        column[at].copy_from_slice(word);
    }
    last[at][..3].copy_from_slice(&row[before.len() * 3..][..3]);
}

/// Takes the pixels of a row out of place `at` of columns.
fn unpack(columns: &[Column], at: usize, row: &mut [u8]) {
    for (pixel, column) in row.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
        let [red, green, blue, _] = column[at];
        *pixel = [red, green, blue];
    }
}

fn any_columns(source: &[u8], channels: usize, from: usize, columns: &Weights, out: &mut [u8]) {
    for (at, out) in out.chunks_exact_mut(channels).enumerate() {
        let (first, weights) = columns.of(at);
        for (channel, out) in out.iter_mut().enumerate() {
            let values = source[(first - from) * channels + channel..].iter().step_by(channels);
            *out = byte(
                HALF + values.zip(weights).map(|(value, weight)| i32::from(*value) * weight).sum::<i32>(),
            );
        }
    }
}

dispatched! { fn rgb_columns(source: &[Column], from: usize, columns: &Weights, out: &mut [Column]) = plain_rgb_columns; }

#[inline(always)]
fn plain_rgb_columns(source: &[Column], from: usize, columns: &Weights, out: &mut [Column]) {
    for (out, (first, range)) in out.iter_mut().zip(&columns.taps) {
        let weights = &columns.weights[range.clone()];
        let mut sums = [HALF; 4 * BLOCK];
        for (values, weight) in source[first - from..].iter().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(values.as_flattened()) {
                *sum += i32::from(*value) * weight;
            }
        }
        for (out, sum) in out.as_flattened_mut().iter_mut().zip(sums) {
            *out = byte(sum);
        }
    }
}

dispatched! { fn sum_rows(source: &[u8], row_bytes: usize, weights: &[i32], out: &mut [u8]) = plain_sum_rows; }

#[inline(always)]
fn plain_sum_rows(source: &[u8], row_bytes: usize, weights: &[i32], out: &mut [u8]) {
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    let done = chunks.len() * LANES;
    for (at, out) in chunks.iter_mut().enumerate() {
        let mut sums = [HALF; LANES];
        for (row, weight) in weights.iter().enumerate() {
            let values: &[u8; LANES] = source[row * row_bytes + at * LANES..]
                .first_chunk()
                .expect("a row is as long as the output's");
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += i32::from(*value) * weight;
            }
        }
        *out = sums.map(byte);
    }
    for (at, out) in rest.iter_mut().enumerate() {
        let value = |row: usize| i32::from(source[row * row_bytes + done + at]);
        *out = byte(HALF + weights.iter().enumerate().map(|(row, weight)| value(row) * weight).sum::<i32>());
    }
}
