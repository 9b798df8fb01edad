//! Which places of a side make up a place of it once it is resized: Pillow's `precompute_coeffs`, for a bilinear filter.

use std::ops::Range;

/// The places of the source that one place of the resized side is made of, which covers `in0` to `in1` of it as a whole and
/// has `size` places: Pillow's `xmin` and `xmax`.
pub(super) fn taps(in0: f64, in1: f64, source: u32, size: u32, at: u32) -> Range<u32> {
    let scale = (in1 - in0) / f64::from(size);
    let (center, support) = (in0 + (f64::from(at) + 0.5) * scale, scale.max(1.0));
    let first = (center - support + 0.5).max(0.0) as u32;
    first..((center + support + 0.5) as u32).min(source)
}
