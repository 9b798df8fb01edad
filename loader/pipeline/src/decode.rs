//! From the bytes of an image file to pixels.
//!
//! Whatever the file holds becomes red, green, blue of 8 bits: grey is repeated three times, palettes
//! are looked up, 16 bits are rounded to 8, alpha is left out (not blended, as in Pillow's
//! `convert("RGB")`). An orientation by EXIF, XMP or TIFF is honoured, so that pixels stand as a viewer shows them.
//!
//! ```
//! use image::ImageFormat::Png;
//! use mixfeed_pipeline::decode::{decode_rgb, decode_to};
//! use mixfeed_pipeline::spec::{ImageSize, Output};
//! use std::io::Cursor;
//!
//! let mut file = Cursor::new(Vec::new());
//! image::GrayImage::from_pixel(4, 2, image::Luma([9])).write_to(&mut file, Png)?;
//! let (shape, pixels) = decode_rgb(file.get_ref())?;
//! assert_eq!((shape.to_string(), pixels), ("2×4×3".to_owned(), vec![9; 24]));
//! let output = Output::center_crop(ImageSize { height: 2, width: 2 });
//! assert_eq!(decode_to(file.get_ref(), &output)?, vec![9; 12]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod formats;
mod jpeg;
mod orientation;
mod png;
mod unfilter;

use crate::augment::{Frames, Placement, View, apply_built_in};
use crate::blend::Region;
use crate::dataset::{Part, Pixels};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use mixfeed_streamspec::{ImageShape, ImageSize, Output};
use orientation::orientation;
use std::io::Cursor;

/// Pixels of the longer side, at most. Training images are far below; decompression bombs above.
pub const MAX_SIDE_PIXELS: u32 = 16_384;

/// Memory that decoding one image may take.
pub const MAX_DECODE_BYTES: u64 = 512 << 20;

/// The same for the image alone where the decoder holds it twice: once as it is in the file, once as it is handed out.
const MAX_TWICE_HELD_BYTES: u64 = MAX_DECODE_BYTES / 2;

/// An image that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The format is unknown, or the file damaged.
    #[error("cannot decode image: {0}")]
    Image(#[source] image::ImageError),
    /// The image is larger than may be.
    #[error(
        "cannot decode image: {0}; limits: {MAX_SIDE_PIXELS} pixels a side, {MAX_DECODE_BYTES} bytes of memory"
    )]
    TooLarge(#[source] image::ImageError),
    /// The same of a JPEG file.
    #[error("cannot decode image: {0}")]
    Jpeg(#[from] mixfeed_jpeg::JpegError),
    /// The image has no pixels.
    #[error("cannot decode image: it has no pixels")]
    Empty,
}

impl From<image::ImageError> for DecodeError {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Limits(_) => Self::TooLarge(error),
            _ => Self::Image(error),
        }
    }
}

/// Decodes a PNG, JPEG, WebP, BMP, GIF or TIFF file, recognised by its first bytes, into red, green, blue. Of several
/// images in a file it is the first.
///
/// # Errors
/// When the format is unknown, the file damaged or cut short, or the image larger than
/// [`MAX_SIDE_PIXELS`].
pub fn decode_rgb(file: &[u8]) -> Result<(ImageShape, Vec<u8>), DecodeError> {
    if jpeg::is_one(file) {
        let (size, mut pixels) = (jpeg::size(file)?, Vec::new());
        jpeg::decode(file, Part { region: Region::whole(size), denominator: 1 }, &mut pixels)?;
        return Ok((size.rgb(), pixels));
    }
    let image = decode(file)?;
    let size = ImageSize { height: image.height(), width: image.width() };
    Ok((size.rgb(), image.into_raw()))
}

/// Decodes a file, as [`decode_rgb`] does, and resizes the image as `output` says.
///
/// # Errors
/// As [`decode_rgb`].
pub fn decode_to(file: &[u8], output: &Output) -> Result<Vec<u8>, DecodeError> {
    let original = shape_of(file)?.size();
    let Some(placed) = Placement::of_whole(output, original) else { return Ok(decode_rgb(file)?.1) };
    let (mut pixels, mut frames) = (Vec::new(), Frames::default());
    let (region, denominator) = decode_part(file, placed.wanted(output.size), &mut pixels)?;
    let view = View { resized: Some(placed), ..View::PLAIN };
    let pixels = Pixels { bytes: &pixels, region, denominator };
    Ok(apply_built_in(&view, output.size.rgb(), pixels, &mut frames).to_vec())
}

/// Decodes at least a part of a file's image into `into`: the part, or the whole; returns what it is, and the denominator
/// of the size at which it was decoded.
///
/// # Errors
/// As [`decode_rgb`].
pub fn decode_part(file: &[u8], part: Part, into: &mut Vec<u8>) -> Result<(Region, u32), DecodeError> {
    if jpeg::is_one(file) {
        return Ok((jpeg::decode(file, part, into)?, part.denominator));
    }
    let (shape, pixels) = decode_rgb(file)?;
    *into = pixels;
    Ok((Region::whole(shape.size()), 1))
}

/// Tells whether JPEG is decoded by SIMD instructions, without which it takes two to three times as long and gives the same
/// pixels: for want of nasm, they may not have been built.
#[must_use]
pub fn jpeg_simd() -> bool {
    mixfeed_jpeg::simd()
}

/// Reads from a file's header what shape [`decode_rgb`] will give.
///
/// # Errors
/// When the format is unknown, the header damaged, or the image too large.
pub fn shape_of(file: &[u8]) -> Result<ImageShape, DecodeError> {
    if jpeg::is_one(file) {
        return Ok(jpeg::size(file)?.rgb());
    }
    let (decoder, orientation) = open(file)?;
    let (width, height) = decoder.dimensions();
    Ok(turned(ImageSize { height, width }, orientation).rgb())
}

/// The size of a stored image once it is turned.
fn turned(ImageSize { height, width }: ImageSize, orientation: Orientation) -> ImageSize {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => ImageSize { height: width, width: height },
        _ => ImageSize { height, width },
    }
}

fn open(file: &[u8]) -> Result<(impl ImageDecoder + '_, Orientation), DecodeError> {
    let mut reader =
        ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(image::ImageError::from)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PIXELS);
    limits.max_image_height = Some(MAX_SIDE_PIXELS);
    let format = reader.format();
    limits.max_alloc = Some(match format {
        Some(ImageFormat::Gif | ImageFormat::Tiff) => MAX_TWICE_HELD_BYTES,
        _ => MAX_DECODE_BYTES,
    });
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    if decoder.total_bytes() == 0 {
        return Err(DecodeError::Empty);
    }
    let orientation = match format {
        // It is one of the image's own entries.
        Some(ImageFormat::Tiff) => decoder.orientation()?,
        // An image whose XMP cannot be read is shown as it is.
        _ => {
            orientation(decoder.exif_metadata()?.as_deref(), decoder.xmp_metadata().ok().flatten().as_deref())
        }
    };
    Ok((decoder, orientation))
}

fn decode(file: &[u8]) -> Result<RgbImage, DecodeError> {
    if let Some(image) = png::decode(file) {
        return Ok(image);
    }
    let (decoder, orientation) = open(file)?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, LumaA, Rgb, Rgba};

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.into().write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    #[test]
    fn png_and_jpeg_of_one_drawing_come_out_alike() {
        let (png_shape, png) = decode_rgb(include_bytes!("../assets/probe.png")).unwrap();
        let (jpeg_shape, jpeg) = decode_rgb(include_bytes!("../assets/probe.jpg")).unwrap();
        assert_eq!(png_shape, ImageShape { height: 32, width: 32, channels: 3 });
        assert_eq!(png_shape, jpeg_shape);
        let off: u32 = png.iter().zip(&jpeg).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        let mean = f64::from(off) / 3072.0;
        assert!(mean > 0.0 && mean < 8.0, "mean difference {mean}");
    }

    #[test]
    fn damaged_and_unknown_files_are_errors() {
        let png = include_bytes!("../assets/probe.png");
        assert!(decode_rgb(&png[..png.len() / 2]).is_err());
        assert!(decode_rgb(b"not an image at all").is_err());
        assert!(decode_rgb(b"").is_err());
        assert!(shape_of(b"not an image at all").is_err());
    }

    #[test]
    fn a_jpeg_cut_short_is_an_error_wherever_it_is_cut() {
        let jpeg = include_bytes!("../assets/probe.jpg");
        for end in 0..jpeg.len() - 1 {
            assert!(decode_rgb(&jpeg[..end]).is_err(), "cut at {end} of {}", jpeg.len());
        }
        // What some cameras append does no harm.
        assert!(decode_rgb(&[jpeg.as_slice(), &[0; 16]].concat()).is_ok());
    }

    #[test]
    fn an_image_that_claims_an_absurd_size_is_refused_by_its_header() {
        let mut bomb = png(RgbImage::new(1, 1));
        // Width and height of the IHDR chunk, and its checksum.
        bomb[16..24].copy_from_slice(&[0, 0, 0x40, 1, 0, 0, 0x40, 1]);
        let check = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&check.to_be_bytes());
        let message = decode_rgb(&bomb).unwrap_err().to_string();
        let expected = "cannot decode image: Image size exceeds limit; limits: 16384 pixels a side, 536870912 bytes of memory";
        assert_eq!(message, expected);
        assert!(shape_of(&bomb).is_err());
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |mut crc, byte| {
            crc ^= u32::from(*byte);
            (0..8).for_each(|_| crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()));
            crc
        })
    }

    #[test]
    fn grey_deep_and_transparent_images_become_plain_colours() {
        let pixel = |image: DynamicImage| decode_rgb(&png(image)).unwrap().1;
        assert_eq!(pixel(image::GrayImage::from_pixel(1, 1, Luma([77])).into()), [77; 3]);
        assert_eq!(pixel(image::GrayAlphaImage::from_pixel(1, 1, LumaA([77, 3])).into()), [77; 3]);
        assert_eq!(pixel(image::RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 0])).into()), [1, 2, 3]);
        let deep = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(1, 1, Rgb([0, 65_535, 257 * 100 + 128]));
        assert_eq!(pixel(deep.into()), [0, 255, 100]);
    }

    #[test]
    fn an_exif_orientation_is_honoured() {
        // A photograph held upright: 2 × 1 pixels that a viewer turns by 90 degrees.
        let tiff = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".as_slice(), &[0; 4]].concat();
        let mut image = RgbImage::new(2, 1);
        image.put_pixel(0, 0, Rgb([255, 0, 0]));
        let plain = png(image);
        let mut chunk = (tiff.len() as u32).to_be_bytes().to_vec();
        chunk.extend(b"eXIf");
        chunk.extend(&tiff);
        chunk.extend(crc32(&chunk[4..]).to_be_bytes());
        // The header ends at byte 33.
        let turned = [&plain[..33], &chunk, &plain[33..]].concat();
        let (shape, pixels) = decode_rgb(&turned).unwrap();
        assert_eq!((shape.height, shape.width), (2, 1));
        assert_eq!(pixels, [255, 0, 0, 0, 0, 0]);
        assert_eq!(shape_of(&turned).unwrap(), shape);
    }

    #[test]
    fn an_image_is_resized_as_an_output_says() {
        let to = |file: &[u8], height, width| {
            decode_to(file, &Output::center_crop(ImageSize { height, width })).unwrap()
        };
        // Three upright stripes; the middle one is what a square keeps.
        let stripes =
            |width: u32, height: u32| {
                RgbImage::from_fn(width, height, |x, _| {
                    if x / height == 1 { Rgb([200, 10, 0]) } else { Rgb([0; 3]) }
                })
            };
        let file = png(stripes(24, 8));
        assert_eq!(to(&file, 8, 8), [200, 10, 0].repeat(64));
        assert_eq!(to(&file, 8, 24), stripes(24, 8).into_raw());
        assert_eq!(to(&file, 4, 12).len(), 4 * 12 * 3);
        // Extreme proportions leave something.
        assert_eq!(to(&png(RgbImage::new(500, 1)), 1, 2).len(), 6);
        assert_eq!(to(&png(RgbImage::new(1, 500)), 2, 1).len(), 6);
    }
}
