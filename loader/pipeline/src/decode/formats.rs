//! Tests of the formats that the `image` crate decodes alone: BMP, GIF, TIFF.

use super::*;
use image::codecs::gif::GifEncoder;
use image::{Frame, Rgb, Rgba, RgbaImage};
use mixfeed_streamspec::ImageSize;

const OUTPUT: Output = Output::center_crop(ImageSize { height: 8, width: 8 });

const FORMATS: [ImageFormat; 3] = [ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff];

/// Four colours, so that a palette holds them.
fn drawing() -> RgbImage {
    RgbImage::from_fn(13, 9, |x, y| Rgb([(x % 2 * 200) as u8, (y % 2 * 100) as u8, 30]))
}

fn encoded(image: RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A TIFF file of one image: an entry is a tag, its type (3: 16 bits, 4: 32 bits), how many values, and the value.
fn tiff(entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend(data);
    file
}

/// Grey, not compressed, in one strip, which begins where the entries end.
fn grey_tiff(width: u32, height: u32, orientation: u32, data: &[u8]) -> Vec<u8> {
    let entries = 9;
    let at = 8 + 2 + entries * 12 + 4;
    tiff(
        &[
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 8),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, at),
            (274, 3, 1, orientation),
            (278, 4, 1, height),
            (279, 4, 1, data.len() as u32),
        ],
        data,
    )
}

#[test]
fn the_pixels_are_those_that_were_written() {
    for format in FORMATS {
        let file = encoded(drawing(), format);
        let (shape, pixels) = decode_rgb(&file).unwrap();
        assert_eq!((shape.height, shape.width, pixels), (9, 13, drawing().into_raw()), "{format:?}");
        assert_eq!(shape_of(&file).unwrap(), shape);
    }
}

#[test]
fn a_file_that_is_cut_short_is_an_error_or_whole_but_for_its_end() {
    for format in FORMATS {
        let file = encoded(drawing(), format);
        let failed = (0..file.len()).filter(|end| match decode_rgb(&file[..*end]) {
            Ok((_, pixels)) => {
                assert_eq!(pixels, drawing().into_raw(), "{format:?} cut at {end} of {}", file.len());
                false
            }
            Err(_) => true,
        });
        let failed = failed.count();
        assert!(failed + 8 > file.len(), "{format:?}: {failed} of {} cuts are seen", file.len());
    }
}

#[test]
fn of_a_moving_image_the_first_frame_counts() {
    let mut file = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut file);
        for value in [10, 200, 90] {
            encoder.encode_frame(Frame::new(RgbaImage::from_pixel(4, 3, Rgba([value, 0, 7, 255])))).unwrap();
        }
    }
    assert_eq!(decode_rgb(&file).unwrap().1, [10, 0, 7].repeat(12));
}

#[test]
fn a_tiff_orientation_is_honoured() {
    let file = grey_tiff(2, 1, 6, &[250, 5]);
    let (shape, pixels) = decode_rgb(&file).unwrap();
    assert_eq!((shape.height, shape.width), (2, 1));
    assert_eq!(pixels, [250, 250, 250, 5, 5, 5]);
    assert_eq!(shape_of(&file).unwrap(), shape);
}

#[test]
fn files_that_claim_more_than_there_is_memory_for_are_refused_by_their_header() {
    let refused = |file: &[u8]| {
        assert!(shape_of(file).is_err());
        let message = decode_rgb(file).unwrap_err().to_string().to_lowercase();
        assert!(message.contains("limit"), "{message}");
    };
    let bmp = |width: u32, height: u32| {
        let mut file = encoded(RgbImage::new(1, 1), ImageFormat::Bmp);
        file[18..22].copy_from_slice(&width.to_le_bytes());
        file[22..26].copy_from_slice(&height.to_le_bytes());
        file
    };
    refused(&bmp(16_385, 1));
    refused(&bmp(16_000, 16_000));
    let gif = |width: u16, height: u16| {
        let mut file = encoded(drawing(), ImageFormat::Gif);
        file[6..8].copy_from_slice(&width.to_le_bytes());
        file[8..10].copy_from_slice(&height.to_le_bytes());
        file
    };
    refused(&gif(65_535, 1));
    // 64 bytes a pixel too many for half of the memory: the frame may be as large again.
    refused(&gif(8_200, 8_200));
    assert!(shape_of(&gif(8_000, 8_000)).is_ok());
    refused(&grey_tiff(16_385, 1, 1, &[0]));
    let deep = |width: u32, height: u32, kind: u32, strip: u32| {
        // Three values of 32 bits each.
        let entries = 10;
        let at = 8 + 2 + entries * 12 + 4;
        let mut data = [32_u16, 32, 32, 3, 3, 3].map(u16::to_le_bytes).concat();
        data.extend([0; 64]);
        tiff(
            &[
                (256, 4, 1, width),
                (257, 4, 1, height),
                (258, 3, 3, at),
                (259, 3, 1, kind),
                (262, 3, 1, 2),
                (273, 4, 1, at + 12),
                (277, 3, 1, 3),
                (278, 4, 1, height),
                (279, 4, 1, strip),
                (339, 3, 3, at + 6),
            ],
            &data,
        )
    };
    refused(&deep(5_000, 5_000, 1, 64));
    // What fits by its size may still lie: more bytes of a strip than there are, packed or not.
    for kind in [1, 5, 8] {
        assert!(decode_rgb(&deep(4_000, 4_000, kind, 64)).is_err());
        assert!(decode_rgb(&deep(4_000, 4_000, kind, u32::MAX)).is_err());
    }
}

#[test]
fn an_image_without_pixels_is_an_error() {
    for (width, height) in [(0_u16, 0_u16), (0, 9), (13, 0)] {
        let mut file = encoded(drawing(), ImageFormat::Gif);
        file[6..8].copy_from_slice(&width.to_le_bytes());
        file[8..10].copy_from_slice(&height.to_le_bytes());
        assert!(shape_of(&file).is_err() && decode_rgb(&file).is_err() && decode_to(&file, &OUTPUT).is_err());
    }
    for (width, height) in [(0, 0), (0, 1), (1, 0)] {
        let file = grey_tiff(width, height, 1, &[0]);
        assert!(shape_of(&file).is_err() && decode_to(&file, &OUTPUT).is_err());
    }
}

#[test]
fn a_frame_larger_than_its_gif_is_held_to_the_same_memory() {
    let mut file = encoded(drawing(), ImageFormat::Gif);
    // The image descriptor: its mark, left, top, width, height.
    let at = file.windows(9).rposition(|part| part == [0x2C, 0, 0, 0, 0, 13, 0, 9, 0]).unwrap();
    file[at + 5..at + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    assert!(decode_rgb(&file).is_err());
}
