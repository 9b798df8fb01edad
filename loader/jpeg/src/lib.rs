//! From a JPEG file to the pixels that Pillow's `Image.open(file).convert("RGB")` has, of the whole image or of a part.
//!
//! libjpeg-turbo decodes, with its integer inverse transform and interpolated chroma, as Pillow has it: equal to the
//! byte. Of a part, only what its pixels depend on is computed: rows below are not even read, rows above are read and
//! not computed, and columns beside it likewise. Whatever the part, it is what cutting it out of the whole image gives.
//! Of baseline files, the Huffman decoder is our own (`huffman.rs`).
//!
//! **Which libjpeg.** mozjpeg-sys, that is mozjpeg 4, whose decoder is libjpeg-turbo's of release 2.1.5 with its later
//! repairs; of mozjpeg's own, only encoding differs. It builds by a C compiler alone, and where nasm is found on x86, with
//! libjpeg-turbo's assembly ([`simd`]); pixels are the same (`idct.c` says how). turbojpeg-sys has a newer release and
//! needs cmake.
//!
//! **What is an error.** A file whose end marker is missing. Data that is damaged in between is none, as with Pillow:
//! libjpeg goes on at the next place that it understands. What follows the end marker is not looked at.
//!
//! What is deliberately not here: orientation, colour profiles and whatever else applications add to a file; files,
//! threads, and formats other than JPEG. Lossless and 12-bit JPEG are refused.

mod error;
mod header;
mod huffman;
mod segments;
mod shim;
mod tables;

pub use error::JpegError;
pub use header::{Header, header};

use std::fmt;

/// Scans in a file, at most. Encoders write about ten, at most a few dozen; each may go over the whole image for a few bytes.
pub const MAX_SCANS: u32 = 100;

/// What decoding may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of the longer side of the stored image, at most.
    pub side_pixels: u32,
    /// Memory of one decoding with its output, in bytes.
    pub memory_bytes: u64,
}

/// A rectangle of the scaled image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Rows above it.
    pub top: u32,
    /// Columns to the left of it.
    pub left: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Columns, at least 1.
    pub width: u32,
}

impl Part {
    /// Bytes of its pixels, in red, green, blue.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        3 * u64::from(self.height) * u64::from(self.width)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}+{}+{}", self.width, self.height, self.left, self.top)
    }
}

/// Of which size the image is decoded. Smaller ones cost less, and have the pixels of Pillow's `draft`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// As it is stored.
    #[default]
    Full,
    /// Sides are halved, and rounded up.
    Half,
    /// A quarter of each side.
    Quarter,
    /// An eighth of each side.
    Eighth,
}

impl Scale {
    /// All, from the largest image to the smallest.
    pub const ALL: [Self; 4] = [Self::Full, Self::Half, Self::Quarter, Self::Eighth];

    /// By what each side is divided: 1, 2, 4 or 8.
    #[must_use]
    pub fn denominator(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

/// Decodes `part` of the image at `scale`, or all of it, into `out`: red, green, blue, row after row, and nothing else. What
/// `out` held is replaced, and its memory used again; after an error it is empty.
///
/// # Errors
/// As [`header()`]; when the end marker is missing, the file is damaged beyond what libjpeg puts up with, the part is not in
/// the image, or a limit is exceeded. Which of these it is depends on the file alone, or on the part's place and size.
pub fn decode(
    file: &[u8],
    part: Option<Part>,
    scale: Scale,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), JpegError> {
    let done = decode_into(file, part, scale, limits, out);
    if done.is_err() {
        out.clear();
    }
    done
}

fn decode_into(
    file: &[u8],
    part: Option<Part>,
    scale: Scale,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), JpegError> {
    let header = header(file)?;
    let (width, height) = header.size(scale);
    let part = part.unwrap_or(Part { top: 0, left: 0, height, width });
    header.check(part, scale, limits)?;
    // Of several scans, libjpeg reads all up to the end marker; of a single one, no more than the part needs.
    if !header.holds_coefficients {
        segments::Segments::new(file, header.scan).end_of_scan(header.restarts)?;
    }
    out.resize(usize::try_from(part.bytes()).map_err(|_too_large| JpegError::NoMemory)?, 0);
    shim::decode(file, &header, part, scale, out)
}

/// Tells whether libjpeg's assembly is in use: it was built, for want of nasm it may not have been, and the CPU can run
/// it. Without it, decoding takes twice as long and gives the same pixels.
#[must_use]
pub fn simd() -> bool {
    shim::simd()
}
