//! The segments of a file, from one marker to the next.

use crate::JpegError;

pub(crate) fn damaged(what: &str) -> JpegError {
    JpegError::Damaged(what.to_owned())
}

fn is_restart(marker: u8) -> bool {
    matches!(marker, 0xD0..=0xD7)
}

/// Goes through a file, segment by segment.
pub(crate) struct Segments<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    /// Begins at `at` bytes from the start of the file.
    pub(crate) fn new(file: &'a [u8], at: usize) -> Self {
        Self { file, at }
    }

    /// Bytes from the file's start to where the last segment ended.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next marker and what its segment holds. What stands between segments is passed over, as libjpeg does.
    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), JpegError> {
        let marker = self.marker()?;
        Ok((marker, self.body(marker)?))
    }

    /// Goes through the data of a file's only scan, in which so many restart markers are expected, and what follows it, up to
    /// the end marker. A marker that has no place there is what libjpeg stops at when it reads the file to its end: most of the
    /// image is missing.
    pub(crate) fn end_of_scan(&mut self, restarts: u64) -> Result<(), JpegError> {
        let mut left = None;
        for number in 0..restarts {
            left = self.restart((number % 8) as u8, left)?;
            if left.is_some_and(|marker| !is_restart(marker)) {
                break;
            }
        }
        loop {
            let marker = left.take().map_or_else(|| self.marker(), Ok)?;
            match marker {
                0xD9 => return Ok(()),
                0x01 | 0xD0..=0xD7 => {}
                0xC4 | 0xCC | 0xDB..=0xDD | 0xE0..=0xEF | 0xFE => {
                    self.body(marker)?;
                }
                _ => return Err(damaged(&format!("unexpected marker 0x{marker:02x} after the scan"))),
            }
        }
    }

    /// What libjpeg does where it expects the restart marker of this number, 0 to 7 (`jpeg_resync_to_restart`), when it has
    /// `left` one unread: passes over those that are none or the last ones, takes what may be it, and leaves the next ones and
    /// any other marker for later.
    fn restart(&mut self, number: u8, left: Option<u8>) -> Result<Option<u8>, JpegError> {
        let mut marker = left.map_or_else(|| self.marker(), Ok)?;
        loop {
            match marker {
                _ if is_restart(marker) => match marker.wrapping_sub(0xD0 + number) % 8 {
                    1 | 2 => return Ok(Some(marker)),
                    6 | 7 => {}
                    _ => return Ok(None),
                },
                0xC0.. => return Ok(Some(marker)),
                _ => {}
            }
            marker = self.marker()?;
        }
    }

    fn byte(&mut self) -> Result<u8, JpegError> {
        let byte = self.file.get(self.at).ok_or(JpegError::CutShort)?;
        self.at += 1;
        Ok(*byte)
    }

    /// The next marker, beyond data, in which a byte of all ones is followed by a zero.
    fn marker(&mut self) -> Result<u8, JpegError> {
        loop {
            let rest = self.file.get(self.at..).unwrap_or_default();
            self.at += memchr::memchr(0xFF, rest).ok_or(JpegError::CutShort)? + 1;
            let mut marker = 0xFF;
            while marker == 0xFF {
                marker = self.byte()?;
            }
            if marker != 0 {
                return Ok(marker);
            }
        }
    }

    fn body(&mut self, marker: u8) -> Result<&'a [u8], JpegError> {
        // These stand alone.
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            return Ok(&[]);
        }
        let length = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
        let length = length.checked_sub(2).ok_or_else(|| damaged("bogus marker length"))?;
        let body = self.file.get(self.at..self.at + length).ok_or(JpegError::CutShort)?;
        self.at += length;
        Ok(body)
    }
}
