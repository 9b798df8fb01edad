//! Thrift's compact protocol, as far as headers of pages and their index need it. Fields are of the types that are expected and
//! come once and in order, as every writer has them: what is read otherwise by one reader and otherwise by another is
//! refused.
//!
//! After the specification of the Apache Thrift compact protocol encoding.

use std::io::{self, Read};

/// Structures, lists and maps inside each other, at most. Headers of pages have three.
const MAX_DEPTH: u32 = 8;

/// Something that is no header.
#[derive(Debug)]
pub(super) struct ThriftError;

/// The type of a field, as it is written.
pub(super) type Kind = u8;

const TRUE: Kind = 1;
const FALSE: Kind = 2;
const LIST: Kind = 9;
const STRUCTURE: Kind = 12;

/// A reader that counts.
pub(super) struct Thrift<R> {
    input: R,
    bytes: u64,
    depth: u32,
}

impl<R: Read> Thrift<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, bytes: 0, depth: 0 }
    }

    /// Bytes that were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands each field of a structure, by number and type, to `field`, which reads its value.
    pub(super) fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, i64, Kind) -> Result<(), ThriftError>,
    ) -> Result<(), ThriftError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ThriftError);
        }
        let mut last = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                self.depth -= 1;
                return Ok(());
            }
            let id = match byte >> 4 {
                0 => self.zigzag()?,
                step => last + i64::from(step),
            };
            if id <= last || id > i64::from(i16::MAX) {
                return Err(ThriftError);
            }
            last = id;
            field(self, id, byte & 0x0F)?;
        }
    }

    /// The same of a field that is a structure.
    pub(super) fn structure(
        &mut self,
        kind: Kind,
        field: impl FnMut(&mut Self, i64, Kind) -> Result<(), ThriftError>,
    ) -> Result<(), ThriftError> {
        if kind == STRUCTURE { self.fields(field) } else { Err(ThriftError) }
    }

    /// Hands each structure of a list that is a field to `each`, which reads it.
    pub(super) fn structures(
        &mut self,
        kind: Kind,
        mut each: impl FnMut(&mut Self) -> Result<(), ThriftError>,
    ) -> Result<(), ThriftError> {
        if kind != LIST {
            return Err(ThriftError);
        }
        let (length, element) = self.list()?;
        if element != STRUCTURE {
            return Err(ThriftError);
        }
        // Each takes a byte at least, so the input bounds them.
        (0..length).try_for_each(|_| each(self))
    }

    /// The length of a list, and the type of its elements.
    fn list(&mut self) -> Result<(u64, Kind), ThriftError> {
        let byte = self.byte()?;
        let length = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        Ok((length, byte & 0x0F))
    }

    /// An i64 that is a place or a number.
    pub(super) fn long(&mut self, kind: Kind) -> Result<u64, ThriftError> {
        let value = if kind == 6 { self.zigzag()? } else { return Err(ThriftError) };
        u64::try_from(value).map_err(|_negative| ThriftError)
    }

    /// An i32.
    pub(super) fn integer(&mut self, kind: Kind) -> Result<i64, ThriftError> {
        let value = if kind == 5 { self.zigzag()? } else { return Err(ThriftError) };
        i32::try_from(value).map(i64::from).map_err(|_too_large| ThriftError)
    }

    /// An i32 that is a number of bytes.
    pub(super) fn size(&mut self, kind: Kind) -> Result<u64, ThriftError> {
        self.integer(kind).and_then(|size| u64::try_from(size).map_err(|_negative| ThriftError))
    }

    /// A boolean, whose value is its type.
    pub(super) fn boolean(&mut self, kind: Kind) -> Result<bool, ThriftError> {
        if matches!(kind, TRUE | FALSE) { Ok(kind == TRUE) } else { Err(ThriftError) }
    }

    /// Reads past a field of any type.
    pub(super) fn skip(&mut self, kind: Kind) -> Result<(), ThriftError> {
        match kind {
            TRUE | FALSE => Ok(()),
            _ => self.skip_element(kind),
        }
    }

    /// The same in a list or a map, where a boolean takes a byte.
    fn skip_element(&mut self, kind: Kind) -> Result<(), ThriftError> {
        match kind {
            TRUE | FALSE | 3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (length, element) = self.list()?;
                self.skip_elements(length, &[element])
            }
            11 => match self.varint()? {
                0 => Ok(()),
                length => {
                    let kinds = self.byte()?;
                    self.skip_elements(length, &[kinds >> 4, kinds & 0x0F])
                }
            },
            STRUCTURE => self.fields(Self::skip_field),
            _ => Err(ThriftError),
        }
    }

    fn skip_field(&mut self, _id: i64, kind: Kind) -> Result<(), ThriftError> {
        self.skip(kind)
    }

    fn skip_elements(&mut self, count: u64, kinds: &[Kind]) -> Result<(), ThriftError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ThriftError);
        }
        // Each takes a byte at least, so the input bounds them.
        for _ in 0..count {
            kinds.iter().try_for_each(|kind| self.skip_element(*kind))?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn zigzag(&mut self) -> Result<i64, ThriftError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Seven bits a byte, the lowest first, no more bytes than the number needs.
    fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(ThriftError);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ThriftError)
    }

    fn byte(&mut self) -> Result<u8, ThriftError> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).map_err(|_end| ThriftError)?;
        self.bytes += 1;
        Ok(byte[0])
    }

    fn pass(&mut self, bytes: u64) -> Result<(), ThriftError> {
        let passed =
            io::copy(&mut self.input.by_ref().take(bytes), &mut io::sink()).map_err(|_end| ThriftError)?;
        self.bytes += passed;
        if passed == bytes { Ok(()) } else { Err(ThriftError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bytes: &[u8]) -> Result<Vec<(i64, u64)>, ThriftError> {
        let mut thrift = Thrift::new(bytes);
        let mut found = Vec::new();
        thrift.fields(|thrift, id, kind| match kind {
            5 => thrift.size(kind).map(|size| found.push((id, size))),
            _ => thrift.skip(kind),
        })?;
        assert_eq!(thrift.bytes(), bytes.len() as u64);
        Ok(found)
    }

    #[test]
    fn fields_are_read_and_others_passed_over() {
        // 300 in field 1; text in 2; a list of two booleans in 3; a map of i32 to text in 4; a structure with a
        // boolean in 5; a double in 6; 7 in field 40, whose number is written out.
        let bytes = [
            &[0x15, 0xD8, 0x04, 0x18, 3][..],
            b"abc",
            &[0x19, 0x21, 1, 2, 0x1B, 1, 0x58, 2, 1, b'x', 0x1C, 0x11, 0],
            &[0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x05, 80, 14, 0],
        ]
        .concat();
        assert_eq!(sizes(&bytes).unwrap(), [(1, 300), (40, 7)]);
        for end in 0..bytes.len() {
            assert!(sizes(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn structures_of_a_list_are_read_one_by_one() {
        // A list of two structures in field 1, each with an i64.
        let bytes = [0x19, 0x2C, 0x16, 0xD8, 0x04, 0, 0x16, 8, 0, 0];
        let read = |bytes: &[u8]| {
            let mut found = Vec::new();
            Thrift::new(bytes).fields(|thrift, _, kind| {
                thrift.structures(kind, |thrift| {
                    thrift.fields(|thrift, _, kind| thrift.long(kind).map(|value| found.push(value)))
                })
            })?;
            Ok::<_, ThriftError>(found)
        };
        assert_eq!(read(&bytes).unwrap(), [300, 4]);
        assert!((0..bytes.len()).all(|end| read(&bytes[..end]).is_err()));
        // Of another type, and a negative one.
        assert!(read(&[0x19, 0x15, 2, 0]).is_err() && read(&[0x19, 0x1C, 0x16, 1, 0, 0]).is_err());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for wrong in [
            // A number that comes twice, a negative size, a number of bytes more than it needs, too large a one.
            &[0x15, 2, 0x05, 2, 2, 0][..],
            &[0x15, 1, 0],
            &[0x15, 0x82, 0, 0],
            &[0x15, 0x80, 0x80, 0x80, 0x80, 0x20, 0],
            // A type that there is not.
            &[0x1E, 0],
        ] {
            assert!(sizes(wrong).is_err(), "{wrong:?}");
        }
        assert!(sizes(&[0x1C; 100]).is_err(), "too deep");
    }
}
