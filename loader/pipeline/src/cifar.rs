//! The binary record layouts of CIFAR-10 and CIFAR-100.
//!
//! A record is the label, then 1,024 red, 1,024 green and 1,024 blue bytes, each plane row by row.
//! CIFAR-10's label is one byte, 0 to 9. CIFAR-100 has two: the coarse label, 0 to 19, which is
//! not used, and the fine one, 0 to 99. A file is a sequence of records and nothing else. Source: the
//! "Binary version" section of <https://www.cs.toronto.edu/~kriz/cifar.html> (A. Krizhevsky,
//! "Learning Multiple Layers of Features from Tiny Images", 2009).
//!
//! ```
//! use mixfeed_pipeline::cifar::{Layout, SHAPE, append_records};
//!
//! let mut record = vec![7];
//! record.extend([[200_u8; 1024], [100; 1024], [0; 1024]].concat());
//! let (mut pixels, mut labels) = (Vec::new(), Vec::new());
//! append_records(Layout::Cifar10, &record, &mut pixels, &mut labels)?;
//! assert_eq!((labels, &pixels[..3], pixels.len()), (vec![7], &[200, 100, 0][..], SHAPE.values()));
//! # Ok::<(), mixfeed_pipeline::cifar::RecordError>(())
//! ```

use mixfeed_streamspec::ImageShape;

/// Shape of every image.
pub const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

/// Which of the two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One label byte.
    Cifar10,
    /// A coarse and a fine label byte.
    Cifar100,
}

impl Layout {
    /// Returns the number of classes.
    #[must_use]
    pub const fn classes(self) -> u8 {
        match self {
            Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// Returns the bytes of a record.
    #[must_use]
    pub const fn record_bytes(self) -> usize {
        self.label_bytes() + SHAPE.values()
    }

    const fn label_bytes(self) -> usize {
        match self {
            Self::Cifar10 => 1,
            Self::Cifar100 => 2,
        }
    }

    /// The label of a record: the last of its label bytes.
    fn label(self, record: &[u8]) -> u8 {
        record[self.label_bytes() - 1]
    }
}

/// A file that is not a sequence of valid records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file ends within a record, or holds none.
    #[error(
        "{bytes} bytes are not a whole number of {record_bytes}-byte records: {} are left over after record {records}",
        bytes % record_bytes
    )]
    Truncated {
        /// Size of the file.
        bytes: usize,
        /// Size of a record.
        record_bytes: usize,
        /// Whole records in it.
        records: usize,
    },
    /// The file is empty.
    #[error("it is empty")]
    Empty,
    /// A label is out of range.
    #[error("record {record} (offset {offset}) has label {label}, but labels are 0 to {}", classes - 1)]
    Label {
        /// Number of the record in the file, from 0.
        record: usize,
        /// Where it begins.
        offset: usize,
        /// The label found.
        label: u8,
        /// Number of classes.
        classes: u8,
    },
}

/// Checks a file's records and appends their images (in pixel order) and labels.
///
/// # Errors
/// When the file is not a sequence of valid records; nothing is then appended.
pub fn append_records(
    layout: Layout,
    file: &[u8],
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<(), RecordError> {
    if file.is_empty() {
        return Err(RecordError::Empty);
    }
    let record_bytes = layout.record_bytes();
    let records = file.chunks_exact(record_bytes);
    if !records.remainder().is_empty() {
        return Err(RecordError::Truncated {
            bytes: file.len(),
            record_bytes,
            records: file.len() / record_bytes,
        });
    }
    let classes = layout.classes();
    let mut labelled = records.clone().map(|record| layout.label(record)).enumerate();
    if let Some((record, label)) = labelled.find(|(_, label)| *label >= classes) {
        return Err(RecordError::Label { record, offset: record * record_bytes, label, classes });
    }
    let start = pixels.len();
    pixels.resize(start + records.len() * SHAPE.values(), 0);
    labels.extend(records.clone().map(|record| u32::from(layout.label(record))));
    for (record, image) in records.zip(pixels[start..].chunks_exact_mut(SHAPE.values())) {
        planar_to_interleaved(&record[layout.label_bytes()..], image);
    }
    Ok(())
}

/// Moves an image from planes (red, green, blue) to pixels.
///
/// # Panics
/// When the two are of different sizes.
pub fn planar_to_interleaved(planes: &[u8], image: &mut [u8]) {
    assert_eq!(planes.len(), image.len(), "images of one size");
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
        append_records(Layout::Cifar10, file, &mut pixels, &mut labels).map(|()| (pixels, labels))
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
    fn the_fine_label_of_cifar_100_is_the_second() {
        let fine = |label: u8| [vec![3], record(label)].concat();
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        append_records(Layout::Cifar100, &[fine(99), fine(7)].concat(), &mut pixels, &mut labels).unwrap();
        assert_eq!(labels, [99, 7]);
        assert_eq!(pixels[..6], [0, 50, 100, 1, 51, 101]);
        let error = append_records(Layout::Cifar100, &fine(100), &mut pixels, &mut labels).unwrap_err();
        assert_eq!(error.to_string(), "record 0 (offset 0) has label 100, but labels are 0 to 99");
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
