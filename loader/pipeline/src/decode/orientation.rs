//! Which way up an image is shown, by what a file says of it: EXIF, which is a small TIFF file, or XMP, which is text.
//!
//! What counts where files say it in an unusual way, or twice, is what counts for Pillow 13 (`ImageOps.exif_transpose`): of
//! EXIF the first entry of a known type and its first value, of whatever numeric type; where there is none, XMP.

use image::metadata::Orientation;

/// What EXIF data begin with in a JPEG file, and in some others by mistake.
pub(super) const EXIF: &[u8] = b"Exif\0\0";

/// The entry that says it.
const TAG: u16 = 0x112;

/// Entries that are looked at; a directory of EXIF has some ten.
const MAX_ENTRIES: u16 = 4096;

/// The orientation that these say, of which a file may have either, both or none.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let said = match exif.map(by_exif) {
        Some(Said::Value(value)) => value,
        Some(Said::Unreadable) => None,
        Some(Said::Nothing) | None => xmp.and_then(by_xmp),
    };
    said.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// What EXIF data say of the orientation.
enum Said {
    /// The data are no EXIF.
    Unreadable,
    Nothing,
    /// A number, or what is none.
    Value(Option<u8>),
}

fn by_exif(data: &[u8]) -> Said {
    let data = data.strip_prefix(EXIF).unwrap_or(data);
    let data = data.strip_prefix(EXIF).unwrap_or(data);
    let tiff = match data {
        [] => return Said::Nothing,
        [b'I', b'I', 42, 0, ..] | [b'I', b'I', 0, 42, ..] => Tiff { data, little: true },
        [b'M', b'M', 0, 42, ..] | [b'M', b'M', 42, 0, ..] => Tiff { data, little: false },
        _ => return Said::Unreadable,
    };
    tiff.orientation().map_or(Said::Nothing, Said::Value)
}

struct Tiff<'a> {
    data: &'a [u8],
    little: bool,
}

impl Tiff<'_> {
    fn orientation(&self) -> Option<Option<u8>> {
        let directory = self.number(4, 4)? as usize;
        let entries = self.number(directory, 2)?.min(MAX_ENTRIES.into()) as usize;
        for entry in 0..entries {
            let at = directory.checked_add(2 + 12 * entry)?;
            let (tag, kind) = (self.number(at, 2)?, self.number(at + 2, 2)?);
            let (count, bytes) = (self.number(at + 4, 4)?, bytes_of(kind));
            if tag != u64::from(TAG) || bytes == 0 || count == 0 {
                continue;
            }
            let length = count * bytes as u64;
            let value = if length > 4 { self.number(at + 8, 4)? as usize } else { at + 8 };
            let end = value.checked_add(usize::try_from(length).ok()?)?;
            self.data.get(value..end)?;
            return Some(self.value(kind, value));
        }
        None
    }

    /// A value of this type, if it is a number from 0 to 255.
    fn value(&self, kind: u64, at: usize) -> Option<u8> {
        let signed = |bytes| {
            let unused = 64 - 8 * bytes as u32;
            Some(((self.number(at, bytes)? << unused) as i64 >> unused) as f64)
        };
        let value = match kind {
            SHORT | LONG | IFD | LONG8 => self.number(at, bytes_of(kind))? as f64,
            SIGNED_BYTE | SIGNED_SHORT | SIGNED_LONG => signed(bytes_of(kind))?,
            RATIONAL => self.number(at, 4)? as f64 / self.number(at + 4, 4)? as f64,
            SIGNED_RATIONAL => {
                let half = |at| Some(f64::from(self.number(at, 4)? as u32 as i32));
                half(at)? / half(at + 4)?
            }
            FLOAT => f64::from(f32::from_bits(self.number(at, 4)? as u32)),
            DOUBLE => f64::from_bits(self.number(at, 8)?),
            _ => return None,
        };
        let whole = value as u8;
        (f64::from(whole).to_bits() == value.to_bits()).then_some(whole)
    }

    /// An unsigned number of up to eight bytes.
    fn number(&self, at: usize, bytes: usize) -> Option<u64> {
        let bytes = self.data.get(at..at.checked_add(bytes)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) })
    }
}

// Types of TIFF.
const SHORT: u64 = 3;
const LONG: u64 = 4;
const RATIONAL: u64 = 5;
const SIGNED_BYTE: u64 = 6;
const SIGNED_SHORT: u64 = 8;
const SIGNED_LONG: u64 = 9;
const SIGNED_RATIONAL: u64 = 10;
const FLOAT: u64 = 11;
const DOUBLE: u64 = 12;
const IFD: u64 = 13;
const LONG8: u64 = 16;

/// Bytes of a value of this type; 0 of an unknown one.
fn bytes_of(kind: u64) -> usize {
    match kind {
        // The others of one byte: bytes, text, and whatever it may be.
        1 | 2 | 7 | SIGNED_BYTE => 1,
        SHORT | SIGNED_SHORT => 2,
        LONG | SIGNED_LONG | FLOAT | IFD => 4,
        RATIONAL | SIGNED_RATIONAL | DOUBLE | LONG8 => 8,
        _ => 0,
    }
}

/// The first digit that stands where XMP has an orientation, as an attribute or an element.
fn by_xmp(text: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    memchr::memmem::find_iter(text, NAME).find_map(|at| {
        let rest = &text[at + NAME.len()..];
        let rest = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        rest.first().filter(|digit| digit.is_ascii_digit()).map(|digit| digit - b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::super::{decode_rgb, shape_of};
    use image::metadata::Orientation;
    use image::{DynamicImage, RgbImage};

    /// Bytes of a file in hex.
    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        hex.as_bytes().chunks(2).map(byte).collect()
    }

    /// The file without, and with what says an orientation.
    fn files(format: &str, data: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (file, at): (&[u8], _) = match format {
            "jpeg" => (include_bytes!("../../assets/probe.jpg"), 2),
            "png" => (include_bytes!("../../assets/probe.png"), 33),
            _ => {
                // The image itself, which begins with the signature of lossless WebP, in a container of its own.
                let at = data.windows(4).position(|name| name == b"VP8L").unwrap();
                let length = u32::from_le_bytes(data[at + 4..at + 8].try_into().unwrap()).next_multiple_of(2);
                let image = &data[at..at + 8 + length as usize];
                let size = (image.len() as u32 + 4).to_le_bytes();
                return ([b"RIFF", &size[..], b"WEBP", image].concat(), data.to_vec());
            }
        };
        (file.to_vec(), [&file[..at], data, &file[at..]].concat())
    }

    #[test]
    fn images_stand_as_pillow_shows_them() {
        let cases = include_str!("../../tests/reference/orientation.txt");
        for case in cases.lines() {
            let [number, format, hex, what] = case.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
            let (stored, file) = files(format, &bytes(hex));
            let (shape, pixels) = decode_rgb(&stored).unwrap();
            let mut expected: DynamicImage =
                RgbImage::from_raw(shape.width, shape.height, pixels).unwrap().into();
            expected.apply_orientation(Orientation::from_exif(number.parse().unwrap()).unwrap());
            let (shape, pixels) = decode_rgb(&file).unwrap();
            let size = (expected.width(), expected.height());
            assert_eq!((shape.width, shape.height), size, "{format}: {what}");
            assert!(pixels == expected.into_bytes(), "{format}: {what}");
            assert_eq!(shape_of(&file).unwrap(), shape, "{format}: {what}");
        }
    }
}
