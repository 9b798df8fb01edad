//! The short way through a plain PNG file: 8 bits of red, green and blue, not interlaced, with nothing that
//! would change its pixels. Most small images are such files.
//!
//! Format: PNG (W3C Recommendation, second edition), with a zlib stream (RFC 1950) in it. What is not plain, or
//! not whole, is left to the library that decodes all others and tells what is wrong with a file; the pixels
//! are the same on both ways.
//!
//! Memory: a file inflates to the size that its header tells, which is checked first, or is refused.

use super::unfilter::unfilter;
use super::{MAX_DECODE_BYTES, MAX_SIDE_PIXELS};
use image::RgbImage;
use libdeflater::Decompressor;
use std::borrow::Cow;

/// The keyword of a text that is XMP, which may tell an orientation.
const XMP: &[u8] = b"XML:com.adobe.xmp\0";

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Decodes a file, if it is a plain and whole one.
pub(super) fn decode(file: &[u8]) -> Option<RgbImage> {
    let mut rest = file.strip_prefix(SIGNATURE)?;
    let header = Header::read(&Chunk::next(&mut rest)?)?;
    let mut stream = Cow::Borrowed(&[][..]);
    loop {
        let Chunk { kind, data } = Chunk::next(&mut rest)?;
        match kind {
            b"IEND" => break,
            b"IDAT" if stream.is_empty() => stream = Cow::Borrowed(data),
            b"IDAT" => stream.to_mut().extend_from_slice(data),
            // A mere suggestion for screens of few colours.
            b"PLTE" => {}
            // An orientation; the frames of a film.
            b"eXIf" | b"acTL" | b"fcTL" => return None,
            b"iTXt" if data.starts_with(XMP) => return None,
            // What begins in lower case need not be known. Transparent pixels are shown as if they were not.
            [first, ..] if first.is_ascii_lowercase() => {}
            _ => return None,
        }
    }
    let mut filtered = vec![0; header.filtered_bytes()];
    let inflated = Decompressor::new().zlib_decompress(&stream, &mut filtered).ok()?;
    if inflated != filtered.len() {
        return None;
    }
    RgbImage::from_raw(header.width, header.height, unfilter(&filtered, header.width as usize)?)
}

/// A part of a file.
struct Chunk<'a> {
    kind: &'a [u8; 4],
    data: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Takes the next one, if there is one and its checksum is right.
    fn next(rest: &mut &'a [u8]) -> Option<Self> {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let covered = after.get(..u32::from_be_bytes(*length) as usize + 4)?;
        let (check, after) = after[covered.len()..].split_first_chunk::<4>()?;
        *rest = after;
        let (kind, data) = covered.split_first_chunk::<4>()?;
        (crc32fast::hash(covered) == u32::from_be_bytes(*check)).then_some(Self { kind, data })
    }
}

/// What the header of a plain file tells.
struct Header {
    width: u32,
    height: u32,
}

impl Header {
    fn read(chunk: &Chunk<'_>) -> Option<Self> {
        let (width, rest) = chunk.data.split_first_chunk::<4>()?;
        let (height, rest) = rest.split_first_chunk::<4>()?;
        let header = Self { width: u32::from_be_bytes(*width), height: u32::from_be_bytes(*height) };
        let allowed = 1..=MAX_SIDE_PIXELS;
        let plain = chunk.kind == b"IHDR"
            // Bits, kind of colour, compression, filters, interlacing.
            && rest == [8, 2, 0, 0, 0]
            && allowed.contains(&header.width)
            && allowed.contains(&header.height)
            // Twice: filtered and not.
            && 2 * header.filtered_bytes() as u64 <= MAX_DECODE_BYTES;
        plain.then_some(header)
    }

    /// Before each row of red, green and blue values stands the number of its filter.
    fn filtered_bytes(&self) -> usize {
        (1 + 3 * self.width as usize) * self.height as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageFormat;
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    use proptest::prelude::*;

    /// An image with slopes and noise, so that an adaptive encoder takes every filter.
    fn drawing(width: u32, height: u32, noise: u8) -> RgbImage {
        let mut state = 1_u32;
        RgbImage::from_fn(width, height, |x, y| {
            let mut value = |slope: u32| {
                state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                (slope as u8).wrapping_add((state >> 24) as u8 & noise)
            };
            image::Rgb([value(3 * x), value(5 * y), value(x + 2 * y)])
        })
    }

    fn encoded(image: &RgbImage, filter: FilterType) -> Vec<u8> {
        let mut file = Vec::new();
        image
            .write_with_encoder(PngEncoder::new_with_quality(&mut file, CompressionType::Fast, filter))
            .unwrap();
        file
    }

    /// A file with one more chunk behind its header.
    fn with_chunk(file: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let covered = [kind, data].concat();
        let (length, check) = ((data.len() as u32).to_be_bytes(), crc32fast::hash(&covered).to_be_bytes());
        [&file[..33], &length, &covered, &check, &file[33..]].concat()
    }

    proptest! {
        #[test]
        fn gives_the_pixels_whatever_the_filter(
            width in 1..70_u32, height in 1..40_u32, noise: u8, filter in 0..6_usize,
        ) {
            use FilterType::{Adaptive, Avg, NoFilter, Paeth, Sub, Up};
            let image = drawing(width, height, noise);
            let file = encoded(&image, [NoFilter, Sub, Up, Avg, Paeth, Adaptive][filter]);
            prop_assert_eq!(decode(&file), Some(image));
        }

        #[test]
        fn a_file_with_a_flipped_bit_is_left_to_the_library(at in 0..1000_usize, bit in 0..8) {
            let mut file = encoded(&drawing(16, 16, 15), FilterType::Adaptive);
            let at = at % file.len();
            file[at] ^= 1_u8 << bit;
            // A bit of the kind of a chunk is covered by its checksum too.
            prop_assert_eq!(decode(&file), None);
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_left_to_the_library() {
        let file = encoded(&drawing(9, 7, 255), FilterType::Paeth);
        for end in 0..file.len() {
            assert_eq!(decode(&file[..end]), None, "cut at {end}");
        }
        assert!(decode(&file).is_some());
    }

    #[test]
    fn chunks_that_change_nothing_are_passed_over_and_others_are_left_to_the_library() {
        let image = drawing(9, 7, 255);
        let file = encoded(&image, FilterType::Sub);
        for (kind, data) in [(b"tEXt", &b"a\0b"[..]), (b"gAMA", &[0, 0, 0xB1, 0x8F]), (b"PLTE", &[1; 6])] {
            let file = with_chunk(&file, kind, data);
            assert_eq!(decode(&file).as_ref(), Some(&image));
            let by_library = image::load_from_memory_with_format(&file, ImageFormat::Png).unwrap();
            assert_eq!(by_library.into_rgb8(), image);
        }
        for kind in [b"eXIf", b"acTL", b"ABCD", b"IHDR"] {
            assert_eq!(decode(&with_chunk(&file, kind, b"1234")), None);
        }
    }

    #[test]
    fn data_in_many_chunks_is_one_stream() {
        let image = drawing(40, 40, 255);
        let file = encoded(&image, FilterType::Adaptive);
        let at = file.windows(4).position(|kind| kind == b"IDAT").unwrap();
        let length = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
        let data = &file[at + 4..][..length];
        let mut parted = [&file[..at - 4], &file[at + 8 + length..]].concat();
        // Each goes right behind the header, so the last comes first.
        for part in data.chunks(100).rev() {
            parted = with_chunk(&parted, b"IDAT", part);
        }
        assert_eq!(decode(&parted), Some(image));
    }

    #[test]
    fn other_kinds_of_png_and_absurd_sizes_are_left_to_the_library() {
        let mut file = std::io::Cursor::new(Vec::new());
        image::RgbaImage::new(3, 3).write_to(&mut file, ImageFormat::Png).unwrap();
        assert_eq!(decode(file.get_ref()), None);
        let header = |width: u32, height: u32| {
            let data = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
            Header::read(&Chunk { kind: b"IHDR", data: &data }).is_some()
        };
        assert!(header(1, 1) && header(9000, 9000));
        for (width, height) in [(0, 1), (1, 0), (MAX_SIDE_PIXELS + 1, 1), (MAX_SIDE_PIXELS, MAX_SIDE_PIXELS)]
        {
            assert!(!header(width, height), "{width} × {height}");
        }
    }

    #[test]
    fn more_or_less_data_than_the_header_says_is_left_to_the_library() {
        let file = encoded(&drawing(9, 7, 255), FilterType::Sub);
        for height in [6_u32, 8] {
            let mut other = file.clone();
            other[20..24].copy_from_slice(&height.to_be_bytes());
            let check = crc32fast::hash(&other[12..29]);
            other[29..33].copy_from_slice(&check.to_be_bytes());
            assert_eq!(decode(&other), None);
        }
    }
}
