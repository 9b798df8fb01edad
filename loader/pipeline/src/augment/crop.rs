//! A crop with zero padding, and a mirror (torchvision's `RandomCrop(padding)` and
//! `RandomHorizontalFlip`), in one pass.
//!
//! Bytes are moved or set to zero, so the result is the same on every machine.

use crate::key::{Key, Purpose, below};
use mixfeed_streamspec::ImageShape;

pub(super) const CROP: Purpose = Purpose::new(5);
pub(super) const FLIP: Purpose = Purpose::new(6);

/// Where a crop of the image's own size lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crop {
    /// This many rows below the image; above, when negative.
    pub(super) down: i32,
    /// This many columns right of it; left, when negative.
    pub(super) right: i32,
}

impl Crop {
    /// Draws one of the (2p + 1)² places, the first and the last among them.
    pub(super) fn draw(key: Key, padding: u32) -> Self {
        let words = key.words::<2>();
        let offset = |word| below(word, 2 * u64::from(padding) + 1) as i32 - padding as i32;
        Self { down: offset(words[0]), right: offset(words[1]) }
    }
}

/// Writes `image`, cropped and then mirrored, into `out`.
pub(super) fn apply(crop: Crop, flipped: bool, shape: ImageShape, image: &[u8], out: &mut [u8]) {
    let channels = shape.channels as usize;
    let row_bytes = shape.width as usize * channels;
    let Overlap { before, from, kept } = Overlap::new(crop.right, shape.width).times(channels);
    for (y, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let row = y as i64 + i64::from(crop.down);
        if !(0..i64::from(shape.height)).contains(&row) {
            out.fill(0);
            continue;
        }
        let part = &image[row as usize * row_bytes + from..][..kept];
        if flipped {
            // Mirrored, the columns that stay black change sides.
            let after = row_bytes - before - kept;
            out[..after].fill(0);
            out[after + kept..].fill(0);
            mirror(part, channels, &mut out[after..after + kept]);
        } else {
            out[..before].fill(0);
            out[before..before + kept].copy_from_slice(part);
            out[before + kept..].fill(0);
        }
    }
}

/// Writes the pixels of a row from right to left.
fn mirror(row: &[u8], channels: usize, out: &mut [u8]) {
    if channels == 3 {
        // Of a length that is known, pixels move as words and not by a call of memcpy each.
        let pixels = out.as_chunks_mut::<3>().0.iter_mut().rev().zip(row.as_chunks::<3>().0);
        pixels.for_each(|(to, from)| *to = *from);
        return;
    }
    for (to, from) in out.chunks_exact_mut(channels).rev().zip(row.chunks_exact(channels)) {
        to.copy_from_slice(from);
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

    #[test]
    fn a_mirror_of_any_number_of_channels_turns_pixels_and_not_their_values() {
        let row: Vec<u8> = (0..12).collect();
        let mut out = [0; 12];
        mirror(&row, 3, &mut out);
        assert_eq!(out, [9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2]);
        mirror(&row, 4, &mut out);
        assert_eq!(out, [8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]);
    }
}
