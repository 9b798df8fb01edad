//! From the bytes of an image file to pixels.

use crate::dataset::ImageShape;
use image::{ImageReader, Limits};
use std::io::Cursor;

/// Pixels of the longer side, at most. Training images are far below; decompression bombs above.
pub const MAX_SIDE_PIXELS: u32 = 16_384;

/// Memory that decoding one image may take.
const MAX_DECODE_BYTES: u64 = 512 << 20;

/// An image that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode image: {0}")]
pub struct DecodeError(#[from] image::ImageError);

/// Decodes a PNG, JPEG or WebP file, recognised by its first bytes, into red, green, blue.
///
/// # Errors
/// When the format is unknown, the file damaged, or the image larger than [`MAX_SIDE_PIXELS`].
pub fn decode_rgb(file: &[u8]) -> Result<(ImageShape, Vec<u8>), DecodeError> {
    let mut reader =
        ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(image::ImageError::from)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PIXELS);
    limits.max_image_height = Some(MAX_SIDE_PIXELS);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    reader.limits(limits);
    let image = reader.decode()?.into_rgb8();
    let shape = ImageShape { height: image.height(), width: image.width(), channels: 3 };
    Ok((shape, image.into_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
