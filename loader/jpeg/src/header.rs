//! What the segments before the first scan say: sizes, sampling, and what decoding will take.
//!
//! It is read here and not by libjpeg, because limits are held before libjpeg reserves anything; the shim sees to it
//! that libjpeg read the same. Deliberately not here: quantisation and Huffman tables, and what applications add (EXIF,
//! colour profiles).

use crate::segments::{Segments, damaged};
use crate::{JpegError, Limits, Part, Scale};

/// Components that an image can have: grey, RGB or YCbCr, CMYK or YCCK.
const MAX_COMPONENTS: usize = 4;

/// What libjpeg holds besides rows and coefficients: tables and its own structures.
const FIXED_BYTES: u64 = 128 << 10;

/// What a file's header says about the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Pixels, 1 to 65,535, as stored: no orientation is applied.
    pub width: u32,
    /// Pixels, 1 to 65,535, as stored.
    pub height: u32,
    /// The decoder has to hold the coefficients of the whole image, because it comes in several scans (progressive, or a
    /// scan for each component): memory as [`Header::working_bytes`] says, and a part costs nearly what the whole does.
    pub holds_coefficients: bool,
    /// 1 (grey), 3 or 4.
    pub(crate) components: u32,
    /// Horizontal and vertical sampling factor of each component, 1 to 4.
    sampling: [(u32, u32); MAX_COMPONENTS],
    /// Where the data of the first scan begins, in bytes from the file's start.
    pub(crate) scan: usize,
    /// Restart markers in it, at which a decoder that lost its way finds it again, where it is the only one.
    pub(crate) restarts: u64,
    /// Bytes of the file from there on.
    data_bytes: u64,
}

impl Header {
    /// Width and height of the image at `scale`, in pixels: divided, and rounded up.
    #[must_use]
    pub fn size(&self, scale: Scale) -> (u32, u32) {
        let divide = |side: u32| side.div_ceil(scale.denominator());
        (divide(self.width), divide(self.height))
    }

    /// An upper bound of what decoding takes besides its output, in bytes, at any scale and for any part.
    #[must_use]
    pub fn working_bytes(&self) -> u64 {
        let (max_h, max_v) = self.max_sampling();
        // Or else the data of its only scan, once more.
        let data = if self.holds_coefficients { 129 * self.blocks() } else { self.data_bytes };
        // Rows before and after upsampling; the rows of the whole width that the shim copies from.
        let padded = u64::from(self.width.next_multiple_of(8 * max_h)) + 64;
        let rows = self.sampling().iter().map(|(_, v)| u64::from(10 * v + max_v + 8)).sum::<u64>();
        FIXED_BYTES + data + padded * rows
    }

    /// Blocks of 8 × 8 coefficients that all scans together may go over: those of [`MAX_SCANS`](crate::MAX_SCANS) whole
    /// scans of a small image, and of fewer of a large one. Encoders go over each block six to ten times.
    pub(crate) fn max_blocks(&self) -> u64 {
        16 * self.blocks() + (4 << 20)
    }

    /// Blocks of the image, of all components, up to whole groups of blocks that are coded together.
    fn blocks(&self) -> u64 {
        let (max_h, max_v) = self.max_sampling();
        let blocks = |side: u32, factor: u32, max: u32| {
            u64::from((side * factor).div_ceil(8 * max).next_multiple_of(factor))
        };
        let of = |(h, v): &(u32, u32)| blocks(self.width, *h, max_h) * blocks(self.height, *v, max_v);
        self.sampling().iter().map(of).sum()
    }

    /// Restart markers of a scan of all components that has one after each `interval` groups of blocks, unless it is 0.
    fn restarts_each(&self, interval: u16) -> u64 {
        let (max_h, max_v) = if self.components == 1 { (1, 1) } else { self.max_sampling() };
        let groups = u64::from(self.width.div_ceil(8 * max_h)) * u64::from(self.height.div_ceil(8 * max_v));
        if interval == 0 { 0 } else { groups.div_ceil(interval.into()) - 1 }
    }

    fn sampling(&self) -> &[(u32, u32)] {
        &self.sampling[..self.components as usize]
    }

    fn max_sampling(&self) -> (u32, u32) {
        self.sampling().iter().fold((1, 1), |max, (h, v)| (max.0.max(*h), max.1.max(*v)))
    }

    /// Says whether the image, and this part of it, may be decoded.
    pub(crate) fn check(&self, part: Part, scale: Scale, limits: &Limits) -> Result<(), JpegError> {
        let (width, height, max) = (self.width, self.height, limits.side_pixels);
        if width.max(height) > max {
            return Err(JpegError::TooLarge { width, height, max });
        }
        let (width, height) = self.size(scale);
        let fits = |from: u32, length: u32, side: u32| {
            length > 0 && from.checked_add(length).is_some_and(|end| end <= side)
        };
        if !fits(part.left, part.width, width) || !fits(part.top, part.height, height) {
            return Err(JpegError::NoSuchPart { part, width, height });
        }
        let (bytes, max) = (self.working_bytes() + part.bytes(), limits.memory_bytes);
        if bytes > max {
            return Err(JpegError::TooMuchMemory { bytes, max });
        }
        Ok(())
    }
}

/// Reads a file's header, without decoding anything.
///
/// # Errors
/// When the file is no JPEG, breaks off or is damaged before its first scan, has no pixels, or is of a kind that is not
/// decoded: lossless or hierarchical, of other than 8 bits, of two or of more than four components.
pub fn header(file: &[u8]) -> Result<Header, JpegError> {
    if !file.starts_with(&[0xFF, 0xD8]) {
        let begins = [0xFF, 0xD8].starts_with(file);
        return Err(if begins { JpegError::CutShort } else { JpegError::NotJpeg });
    }
    let mut segments = Segments::new(file, 2);
    let (mut frame, mut interval) = (None, 0_u16);
    loop {
        let (marker, body) = segments.next()?;
        match marker {
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                if frame.is_some() {
                    return Err(damaged("two SOF markers"));
                }
                frame = Some(read_frame(marker, body)?);
            }
            // Of another length, libjpeg refuses it.
            0xDD => interval = body.try_into().map_or(0, u16::from_be_bytes),
            0xDA => {
                let mut header = frame.ok_or_else(|| damaged("SOS before SOF"))?;
                let in_scan = body.first().copied().unwrap_or(0);
                header.holds_coefficients |= u32::from(in_scan) < header.components;
                (header.scan, header.restarts) = (segments.at(), header.restarts_each(interval));
                header.data_bytes = (file.len() - header.scan) as u64;
                return Ok(header);
            }
            0xD8 => return Err(damaged("two SOI markers")),
            0xD9 => return Err(damaged("no image before EOI")),
            _ => {}
        }
    }
}

fn read_frame(marker: u8, body: &[u8]) -> Result<Header, JpegError> {
    let progressive = match marker {
        0xC0 | 0xC1 | 0xC9 => false,
        0xC2 | 0xCA => true,
        _ => return Err(JpegError::Unsupported(format!("SOF type 0x{marker:02x}"))),
    };
    let Some((&[bits, h0, h1, w0, w1, components], rest)) = body.split_first_chunk() else {
        return Err(damaged("bogus length of SOF"));
    };
    let (height, width) = (u16::from_be_bytes([h0, h1]).into(), u16::from_be_bytes([w0, w1]).into());
    if bits != 8 {
        return Err(JpegError::Unsupported(format!("{bits} bits")));
    }
    if !matches!(components, 1 | 3 | 4) {
        return Err(JpegError::Unsupported(format!("{components} components")));
    }
    if width == 0 || height == 0 {
        return Err(JpegError::Empty);
    }
    let components = usize::from(components);
    if rest.len() != 3 * components {
        return Err(damaged("bogus length of SOF"));
    }
    let mut sampling = [(1, 1); MAX_COMPONENTS];
    for (factors, component) in sampling.iter_mut().zip(rest.chunks_exact(3)) {
        *factors = (u32::from(component[1] >> 4), u32::from(component[1] & 15));
        if !(1..=4).contains(&factors.0) || !(1..=4).contains(&factors.1) {
            return Err(damaged("bogus sampling factors"));
        }
    }
    let components = components as u32;
    let holds_coefficients = progressive;
    Ok(Header {
        width,
        height,
        holds_coefficients,
        components,
        sampling,
        scan: 0,
        restarts: 0,
        data_bytes: 0,
    })
}
