//! The binary record layout of CIFAR-10.
//!
//! A record is 3,073 bytes: the label (0 to 9), then 1,024 red, 1,024 green and 1,024 blue bytes,
//! each plane row by row. A file is a sequence of records and nothing else. Source: the "Binary
//! version" section of <https://www.cs.toronto.edu/~kriz/cifar.html> (A. Krizhevsky, "Learning
//! Multiple Layers of Features from Tiny Images", 2009).

use crate::dataset::ImageShape;

/// Shape of every image.
pub const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

/// Number of classes.
pub const CLASSES: u8 = 10;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 1 + SHAPE.values();

/// A file that is not a sequence of valid records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file ends within a record, or holds none.
    #[error(
        "{bytes} bytes are not a whole number of {RECORD_BYTES}-byte records: {} are left over after record {records}",
        bytes % RECORD_BYTES
    )]
    Truncated {
        /// Size of the file.
        bytes: usize,
        /// Whole records in it.
        records: usize,
    },
    /// The file is empty.
    #[error("it is empty")]
    Empty,
    /// A label is out of range.
    #[error("record {record} (offset {offset}) has label {label}, but labels are 0 to {}", CLASSES - 1)]
    Label {
        /// Number of the record in the file, from 0.
        record: usize,
        /// Where it begins.
        offset: usize,
        /// The label found.
        label: u8,
    },
}

/// Checks a file's records and appends their images (in pixel order) and labels.
///
/// # Errors
/// When the file is not a sequence of valid records; nothing is then appended.
pub fn append_records(file: &[u8], pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<(), RecordError> {
    if file.is_empty() {
        return Err(RecordError::Empty);
    }
    let records = file.chunks_exact(RECORD_BYTES);
    if !records.remainder().is_empty() {
        return Err(RecordError::Truncated { bytes: file.len(), records: file.len() / RECORD_BYTES });
    }
    if let Some((record, bytes)) = records.clone().enumerate().find(|(_, bytes)| bytes[0] >= CLASSES) {
        return Err(RecordError::Label { record, offset: record * RECORD_BYTES, label: bytes[0] });
    }
    let start = pixels.len();
    pixels.resize(start + records.len() * SHAPE.values(), 0);
    labels.extend(records.clone().map(|record| u32::from(record[0])));
    for (record, image) in records.zip(pixels[start..].chunks_exact_mut(SHAPE.values())) {
        planar_to_interleaved(&record[1..], image);
    }
    Ok(())
}

fn planar_to_interleaved(planes: &[u8], image: &mut [u8]) {
    let (red, rest) = planes.split_at(planes.len() / 3);
    let (green, blue) = rest.split_at(rest.len() / 2);
    for (((pixel, &r), &g), &b) in image.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        pixel.copy_from_slice(&[r, g, b]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: u8) -> Vec<u8> {
        let plane = |base: u8| (0..1024_u32).map(move |i| base.wrapping_add(i as u8));
        std::iter::once(label).chain(plane(0)).chain(plane(50)).chain(plane(100)).collect()
    }

    fn parse(file: &[u8]) -> Result<(Vec<u8>, Vec<u32>), RecordError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        append_records(file, &mut pixels, &mut labels).map(|()| (pixels, labels))
    }

    #[test]
    fn planes_become_pixels() {
        let (pixels, labels) = parse(&[record(3), record(9)].concat()).unwrap();
        assert_eq!(labels, [3, 9]);
        assert_eq!(pixels.len(), 2 * 3072);
        assert_eq!(pixels[..6], [0, 50, 100, 1, 51, 101]);
        assert_eq!(pixels[3069..3072], [255, 49, 99]);
        assert_eq!(pixels[..3072], pixels[3072..]);
    }

    #[test]
    fn a_file_cut_short_is_refused_with_the_place() {
        let error = parse(&record(1)[..3000]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3000 bytes are not a whole number of 3073-byte records: 3000 are left over after record 0"
        );
        assert!(parse(&[record(1), vec![0]].concat()).is_err());
        assert_eq!(parse(&[]).unwrap_err(), RecordError::Empty);
    }

    #[test]
    fn a_label_out_of_range_is_refused_with_the_place() {
        let error = parse(&[record(1), record(10)].concat()).unwrap_err();
        assert_eq!(error.to_string(), "record 1 (offset 3073) has label 10, but labels are 0 to 9");
    }
}
