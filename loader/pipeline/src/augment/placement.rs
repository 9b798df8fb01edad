//! Where an image of any size stands in the output: which part of it is resized, to what, and what of that is seen.
//!
//! Whole numbers alone. Sizes and places are torchvision's: `Resize` rounds the longer side down, `CenterCrop` rounds a half
//! to even.

use super::taps::taps;
use crate::blend::Region;
use crate::dataset::Part;
use mixfeed_streamspec::{ImageSize, Output, Resize};
use serde::{Serialize, Serializer};
use std::ops::Range;

/// How a part of an image is resized, and where the output shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// The part of the image that is resized.
    #[serde(flatten)]
    pub part: Region,
    /// What the part is resized to.
    #[serde(serialize_with = "as_text")]
    pub resized: ImageSize,
    /// The output shows the resized part from this row on; where it is negative, so many rows of it are filled first.
    #[serde(skip_serializing_if = "is_zero")]
    pub down: i32,
    /// The same of columns.
    #[serde(skip_serializing_if = "is_zero")]
    pub right: i32,
    /// What the values of filled pixels are.
    #[serde(skip_serializing_if = "is_zero")]
    pub fill: u8,
    /// The image itself.
    #[serde(serialize_with = "as_text")]
    pub original: ImageSize,
    /// Whether the file may be decoded at a fraction of its size.
    #[serde(skip)]
    pub scaled_decoding: bool,
}

fn as_text<S: Serializer>(size: &ImageSize, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(size)
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Region {
    /// The whole of an image.
    #[must_use]
    pub const fn whole(ImageSize { height, width }: ImageSize) -> Self {
        Self { top: 0, left: 0, height, width }
    }

    /// Height and width.
    #[must_use]
    pub const fn size(self) -> ImageSize {
        ImageSize { height: self.height, width: self.width }
    }
}

impl Placement {
    /// A part of an image, resized to the output.
    #[must_use]
    pub fn of_part(part: Region, original: ImageSize, resized: ImageSize) -> Self {
        Self { part, resized, down: 0, right: 0, fill: 0, original, scaled_decoding: false }
    }

    /// The whole of an image, as the output asks for it; nothing where it already is what is asked for.
    pub(crate) fn of_whole(output: &Output, original: ImageSize) -> Option<Self> {
        let size = output.size;
        let resized = match output.resize {
            Resize::Stretch => size,
            Resize::Letterbox { .. } => {
                let less_high = is_flatter(original, size);
                in_proportion(
                    original,
                    if less_high { Side::Width(size.width) } else { Side::Height(size.height) },
                )
            }
            Resize::CenterCrop { side: 0 } => {
                let less_high = is_flatter(original, size);
                in_proportion(
                    original,
                    if less_high { Side::Height(size.height) } else { Side::Width(size.width) },
                )
            }
            Resize::CenterCrop { side } => {
                let upright = original.height >= original.width;
                in_proportion(original, if upright { Side::Width(side) } else { Side::Height(side) })
            }
        };
        let fill = if let Resize::Letterbox { fill } = output.resize { fill } else { 0 };
        let placed = Self {
            down: middle(resized.height, size.height),
            right: middle(resized.width, size.width),
            fill,
            scaled_decoding: output.scaled_decoding,
            ..Self::of_part(Region::whole(original), original, resized)
        };
        (original != size || resized != size).then_some(placed)
    }

    /// The rows of the resized part that an output of this height shows.
    pub(super) fn rows(&self, height: u32) -> Range<u32> {
        seen(self.down, self.resized.height, height)
    }

    /// The columns.
    pub(super) fn columns(&self, width: u32) -> Range<u32> {
        seen(self.right, self.resized.width, width)
    }

    /// What of the image has to be decoded for an output of this size.
    pub(crate) fn wanted(&self, size: ImageSize) -> Part {
        let rows = needed(self.part.height, self.resized.height, &self.rows(size.height));
        let columns = needed(self.part.width, self.resized.width, &self.columns(size.width));
        let region = Region {
            top: self.part.top + rows.start,
            left: self.part.left + columns.start,
            height: rows.end - rows.start,
            width: columns.end - columns.start,
        };
        // The largest of 2, 4 and 8 by which the part can be divided and still has the pixels that it is resized to.
        let fits = |denominator: &u32| {
            self.part.height / denominator >= self.resized.height
                && self.part.width / denominator >= self.resized.width
        };
        let denominator = [8, 4, 2].into_iter().find(fits).filter(|_| self.scaled_decoding).unwrap_or(1);
        Part { region, denominator }
    }
}

/// Whether an image is flatter than another, or of the same proportions.
fn is_flatter(image: ImageSize, other: ImageSize) -> bool {
    u64::from(image.height) * u64::from(other.width) <= u64::from(image.width) * u64::from(other.height)
}

/// The side that is given when an image is resized in its own proportions.
#[derive(Clone, Copy)]
enum Side {
    Height(u32),
    Width(u32),
}

/// The other side is rounded down, as torchvision does, and is never 0.
fn in_proportion(ImageSize { height, width }: ImageSize, side: Side) -> ImageSize {
    let other = |given: u32, own: u32, other: u32| {
        let exact = u64::from(given) * u64::from(other) / u64::from(own.max(1));
        u32::try_from(exact).unwrap_or(u32::MAX).max(1)
    };
    match side {
        Side::Height(given) => ImageSize { height: given, width: other(given, height, width) },
        Side::Width(given) => ImageSize { height: other(given, width, height), width: given },
    }
}

/// Where the middle of the resized side begins that has the output's length; negative where it is shorter. A half goes to
/// the even number, as Python rounds.
fn middle(resized: u32, output: u32) -> i32 {
    let twice = i64::from(resized) - i64::from(output);
    let down = twice.div_euclid(2);
    let place = if twice.rem_euclid(2) == 1 && down.rem_euclid(2) == 1 { down + 1 } else { down };
    place as i32
}

/// The places of a resized side that an output shows which begins at one of them.
fn seen(begin: i32, resized: u32, output: u32) -> Range<u32> {
    let end = (i64::from(begin) + i64::from(output)).clamp(0, i64::from(resized)) as u32;
    (begin.max(0) as u32).min(end)..end
}

/// The places of a side of `part` that `seen` places are made of, once it is resized.
fn needed(part: u32, resized: u32, seen: &Range<u32>) -> Range<u32> {
    if seen.is_empty() {
        return 0..part.min(1);
    }
    let of = |at| taps(0.0, f64::from(part), part, resized, at);
    of(seen.start).start..of(seen.end - 1).end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(height: u32, width: u32) -> ImageSize {
        ImageSize { height, width }
    }

    fn placed(resize: Resize, output: ImageSize, image: ImageSize) -> Option<Placement> {
        Placement::of_whole(&Output { resize, ..Output::center_crop(output) }, image)
    }

    /// What torchvision 0.26 does with `Resize(side)` and `CenterCrop(output)`: its sizes and its places.
    #[test]
    fn a_center_crop_stands_where_torchvision_has_it() {
        for (side, output, image, resized, place) in [
            (256, size(224, 224), size(375, 500), size(256, 341), (16, 58)),
            (256, size(224, 224), size(500, 333), size(384, 256), (80, 16)),
            (232, size(224, 224), size(480, 640), size(232, 309), (4, 42)),
            // 257 - 224 is 33, whose half goes to 16, and 255 - 224 is 31, whose half goes to 16 too.
            (257, size(224, 224), size(400, 400), size(257, 257), (16, 16)),
            (255, size(224, 224), size(400, 400), size(255, 255), (16, 16)),
        ] {
            let placed = placed(Resize::CenterCrop { side }, output, image).unwrap();
            assert_eq!((placed.resized, (placed.down, placed.right)), (resized, place));
            assert_eq!(placed.part, Region::whole(image));
        }
    }

    #[test]
    fn an_image_covers_the_output_is_stretched_or_is_seen_whole() {
        let (wide, tall) = (size(100, 200), size(200, 100));
        let to = |resize, image| {
            let placed = placed(resize, size(50, 60), image).unwrap();
            (placed.resized, placed.down, placed.right)
        };
        assert_eq!(to(Resize::COVER, wide), (size(50, 100), 0, 20));
        assert_eq!(to(Resize::COVER, tall), (size(120, 60), 35, 0));
        assert_eq!(to(Resize::Stretch, wide), (size(50, 60), 0, 0));
        let box_of = Resize::Letterbox { fill: 9 };
        assert_eq!(to(box_of, wide), (size(30, 60), -10, 0));
        assert_eq!(to(box_of, tall), (size(50, 25), 0, -18));
        assert_eq!(placed(Resize::COVER, size(50, 60), size(50, 60)), None);
        assert!(placed(Resize::CenterCrop { side: 70 }, size(50, 60), size(50, 60)).is_some());
    }

    #[test]
    fn a_file_is_decoded_at_the_least_size_that_still_has_the_pixels() {
        let scaled = |image, scaled_decoding| {
            let output = Output { scaled_decoding, ..Output::center_crop(size(100, 100)) };
            Placement::of_whole(&output, image).unwrap().wanted(output.size).denominator
        };
        assert_eq!([399, 400, 799, 800].map(|side| scaled(size(side, side), true)), [2, 4, 4, 8]);
        assert_eq!(scaled(size(800, 800), false), 1);
    }

    proptest! {
        #[test]
        fn what_is_seen_lies_in_the_output_and_what_is_needed_in_the_image(
            height in 1_u32..3000, width in 1_u32..3000, to_height in 1_u32..300, to_width in 1_u32..300, which in 0..4_usize,
        ) {
            let output = size(to_height, to_width);
            let side = to_height.max(to_width) + 7;
            let resize =
                [Resize::COVER, Resize::CenterCrop { side }, Resize::Stretch, Resize::Letterbox { fill: 1 }][which];
            let Some(placed) = placed(resize, output, size(height, width)) else { return Ok(()) };
            let (rows, columns) = (placed.rows(to_height), placed.columns(to_width));
            prop_assert!(rows.end <= placed.resized.height && columns.end <= placed.resized.width);
            prop_assert!(!rows.is_empty() && !columns.is_empty());
            if !matches!(resize, Resize::Letterbox { .. }) {
                prop_assert_eq!((rows.len(), columns.len()), (to_height as usize, to_width as usize));
            }
            let Region { top, left, height: h, width: w } = placed.wanted(output).region;
            prop_assert!(h > 0 && w > 0 && top + h <= height && left + w <= width);
        }
    }
}
