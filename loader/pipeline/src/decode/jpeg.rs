//! JPEG: the pixels that Pillow has (`mixfeed-jpeg`), turned as EXIF or XMP says.

use super::orientation::{self, EXIF};
use super::{DecodeError, MAX_DECODE_BYTES, MAX_SIDE_PIXELS, turned};
use crate::blend::Region;
use crate::dataset::Part;
use image::RgbImage;
use image::metadata::Orientation;
use mixfeed_jpeg::{JpegError, Limits, Scale, header};
use mixfeed_streamspec::ImageSize;
use std::borrow::Cow;

const LIMITS: Limits = Limits { side_pixels: MAX_SIDE_PIXELS, memory_bytes: MAX_DECODE_BYTES };

/// What an APP1 segment with XMP begins with; EXIF has [`EXIF`].
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

pub(super) fn is_one(file: &[u8]) -> bool {
    file.starts_with(&[0xFF, 0xD8])
}

/// The size of the image as a viewer shows it.
pub(super) fn size(file: &[u8]) -> Result<ImageSize, DecodeError> {
    let header = header(file)?;
    let (width, height) = (header.width, header.height);
    if width.max(height) > MAX_SIDE_PIXELS {
        return Err(JpegError::TooLarge { width, height, max: MAX_SIDE_PIXELS }.into());
    }
    Ok(turned(ImageSize { height, width }, orientation(file)))
}

/// Decodes a part of the image, in pixels as a viewer shows it, into `into`: what it is, in pixels of the image at
/// 1/`part.denominator` of its size.
pub(super) fn decode(file: &[u8], part: Part, into: &mut Vec<u8>) -> Result<Region, DecodeError> {
    let denominator = part.denominator;
    let scale = Scale::ALL.into_iter().find(|scale| scale.denominator() == denominator).unwrap_or_default();
    let (width, height) = header(file)?.size(scale);
    let (stored, orientation) = (ImageSize { height, width }, orientation(file));
    let region = scaled(part.region, denominator, turned(stored, orientation));
    let Region { top, left, height, width } = before(region, stored, orientation);
    let wanted = mixfeed_jpeg::Part { top, left, height, width };
    mixfeed_jpeg::decode(file, Some(wanted), scale, &LIMITS, into)?;
    if orientation != Orientation::NoTransforms {
        let pixels =
            RgbImage::from_raw(width, height, std::mem::take(into)).expect("as many as the part has");
        let mut image = image::DynamicImage::from(pixels);
        image.apply_orientation(orientation);
        *into = image.into_rgb8().into_raw();
    }
    Ok(region)
}

/// What a region of an image covers of the image at 1/`denominator` of its size, which is `size`.
fn scaled(region: Region, denominator: u32, size: ImageSize) -> Region {
    let side = |from: u32, length: u32, most: u32| {
        let (from, to) = (from / denominator, (from + length).div_ceil(denominator).min(most));
        let from = from.min(to.saturating_sub(1));
        (from, to - from)
    };
    let (top, height) = side(region.top, region.height, size.height);
    let (left, width) = side(region.left, region.width, size.width);
    Region { top, left, height, width }
}

/// The region of a stored image of this size that becomes `region` once the image is turned.
fn before(region: Region, stored: ImageSize, orientation: Orientation) -> Region {
    let Region { top, left, height, width } = region;
    let (from_below, from_right) = (
        |from: u32, length: u32| stored.height - from - length,
        |from: u32, length: u32| stored.width - from - length,
    );
    let upright = |top, left| Region { top, left, height, width };
    let across = |top, left| Region { top, left, height: width, width: height };
    match orientation {
        Orientation::NoTransforms => region,
        Orientation::FlipHorizontal => upright(top, from_right(left, width)),
        Orientation::FlipVertical => upright(from_below(top, height), left),
        Orientation::Rotate180 => upright(from_below(top, height), from_right(left, width)),
        Orientation::Rotate90 => across(from_below(left, width), top),
        Orientation::Rotate270 => across(left, from_right(top, height)),
        Orientation::Rotate90FlipH => across(left, top),
        Orientation::Rotate270FlipH => across(from_below(left, width), from_right(top, height)),
    }
}

/// The orientation by the segments before the image's data. EXIF data may come in several, of XMP the last counts.
fn orientation(file: &[u8]) -> Orientation {
    let mut rest = file.get(2..).unwrap_or_default();
    let (mut exif, mut xmp): (Option<Cow<'_, [u8]>>, _) = (None, None);
    loop {
        match rest {
            // What stands between segments, and fill bytes.
            [0x00..=0xFE, ..] | [0xFF, 0xFF, ..] => rest = &rest[1..],
            [0xFF, 0xDA | 0xD9, ..] => break,
            // Markers without a segment.
            [0xFF, 0x00 | 0x01 | 0xD0..=0xD8, tail @ ..] => rest = tail,
            [0xFF, marker, high, low, tail @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(2);
                let Some((body, tail)) = tail.split_at_checked(length) else { break };
                rest = tail;
                if *marker != 0xE1 {
                } else if let Some(data) = body.strip_prefix(EXIF) {
                    match &mut exif {
                        Some(exif) => exif.to_mut().extend(data),
                        None => exif = Some(data.into()),
                    }
                } else if let Some(text) = body.strip_prefix(XMP) {
                    xmp = Some(text);
                }
            }
            _ => break,
        }
    }
    orientation::orientation(exif.as_deref(), xmp)
}

#[cfg(test)]
mod tests {
    use super::super::{decode_part, decode_rgb, shape_of};
    use super::*;
    use proptest::prelude::*;

    const PROBE: &[u8] = include_bytes!("../../assets/probe.jpg");

    /// The probe image with an EXIF orientation, 1 to 8.
    fn with_orientation(value: u8) -> Vec<u8> {
        let tiff = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[value, 0, 0, 0], &[0; 4]]
            .concat();
        let body = [EXIF, &tiff].concat();
        let length = (body.len() as u16 + 2).to_be_bytes();
        [&PROBE[..2], &[0xFF, 0xE1], &length, &body, &PROBE[2..]].concat()
    }

    #[test]
    fn each_orientation_turns_the_image_as_a_viewer_does() {
        let (_, stored) = decode_rgb(PROBE).unwrap();
        let image = RgbImage::from_raw(32, 32, stored).unwrap();
        for value in 1..=8 {
            let mut expected = image::DynamicImage::from(image.clone());
            expected.apply_orientation(Orientation::from_exif(value).unwrap());
            assert_eq!(decode_rgb(&with_orientation(value)).unwrap().1, expected.into_bytes(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_what_the_whole_has_there(value in 1_u8..=8, top in 0_u32..32, left in 0_u32..32, height in 1_u32..32, width in 1_u32..32) {
            let file = with_orientation(value);
            let region = Region { top, left, height: height.min(32 - top), width: width.min(32 - left) };
            let mut pixels = Vec::new();
            let found = decode_part(&file, Part { region, denominator: 1 }, &mut pixels).unwrap();
            prop_assert_eq!(found, (region, 1));
            let whole = decode_rgb(&file).unwrap().1;
            let row = |y: u32| &whole[((y * 32 + region.left) * 3) as usize..][..region.width as usize * 3];
            let expected: Vec<u8> = (region.top..region.top + region.height).flat_map(|y| row(y).to_vec()).collect();
            prop_assert_eq!(pixels, expected);
        }
    }

    #[test]
    fn a_part_of_a_scaled_image_covers_what_was_asked_for() {
        let mut pixels = Vec::new();
        let region = Region { top: 5, left: 8, height: 20, width: 24 };
        for (denominator, expected) in [
            (2, Region { top: 2, left: 4, height: 11, width: 12 }),
            (8, Region { top: 0, left: 1, height: 4, width: 3 }),
        ] {
            let found = decode_part(PROBE, Part { region, denominator }, &mut pixels).unwrap();
            assert_eq!((found, pixels.len()), ((expected, denominator), expected.size().rgb().values()));
        }
    }

    #[test]
    fn damaged_exif_data_is_no_orientation() {
        for cut in 0..60 {
            let file = with_orientation(6);
            let mut damaged = file.clone();
            damaged[cut.min(file.len() - 1)] ^= 0x55;
            let _ = shape_of(&damaged);
        }
        assert_eq!(orientation(&PROBE[..3]), Orientation::NoTransforms);
    }
}
