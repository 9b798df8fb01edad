//! The tar format, as far as it says where files lie. Nothing is unpacked, so names are only names.
//!
//! Headers are 512 bytes: POSIX ustar, with the long names of GNU and of pax. Sizes are checked against the
//! archive before anything is read, and what a header may make us read is bounded.

use super::file_error::FileError;
use std::io::{self, Read, Seek, SeekFrom};

const BLOCK: u64 = 512;

/// Bytes of a long name, or of a pax header that may hold one.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// A file in an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The files of an archive, one after the other.
#[derive(Debug)]
pub(super) struct Entries<R> {
    archive: R,
    /// Where the archive stands.
    position: u64,
    length: u64,
    at: u64,
}

impl<R: Read + Seek> Entries<R> {
    pub(super) fn new(mut archive: R) -> io::Result<Self> {
        let length = archive.seek(SeekFrom::End(0))?;
        archive.rewind()?;
        Ok(Self { archive, position: 0, length, at: 0 })
    }

    /// Returns the next plain file; an error says what is wrong, and where.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, FileError> {
        let (mut long_name, mut long_size) = (None, None);
        loop {
            let header_at = self.at;
            let wrong = |reason: &str| format!("{reason} in the header at offset {header_at}");
            let Some(header) = self.header()? else {
                return match long_name {
                    None => Ok(None),
                    Some(_) => Err(wrong("a long name without a file").into()),
                };
            };
            let mut size = number(&header[124..136]).ok_or_else(|| wrong("no size"))?;
            let kind = header[156];
            if let (b'0' | 0 | b'7', Some(long)) = (kind, long_size) {
                size = long;
            }
            let offset = self.at;
            let end = offset.checked_add(size).filter(|end| *end <= self.length);
            let end = end.ok_or_else(|| {
                wrong(&format!("a file of {size} bytes, but the archive ends at {}", self.length))
            })?;
            self.at = end.div_ceil(BLOCK) * BLOCK;
            match kind {
                b'0' | 0 | b'7' => {
                    let name = long_name.unwrap_or_else(|| short_name(&header));
                    return Ok(Some(Entry { name, offset, size }));
                }
                b'L' | b'x' => {
                    let bytes = self.extension(offset, size).map_err(|e| e.said(wrong))?;
                    if kind == b'L' {
                        long_name = Some(text(&bytes));
                    } else {
                        let pax = Pax::read(&bytes).ok_or_else(|| wrong("a damaged pax record"))?;
                        (long_name, long_size) = (pax.path.or(long_name), pax.size.or(long_size));
                    }
                }
                // Folders, links, devices, and what is said of all files at once.
                _ => (long_name, long_size) = (None, None),
            }
        }
    }

    /// The next header, or nothing at the end, which an empty block marks.
    fn header(&mut self) -> Result<Option<[u8; BLOCK as usize]>, FileError> {
        let mut header = [0; BLOCK as usize];
        let wrong = |reason: &str, at: u64| format!("{reason} at offset {at}");
        match self.length.saturating_sub(self.at) {
            0 => {
                let at = self.at;
                return Err(
                    format!("the archive is cut short at offset {at}, its end mark is missing").into()
                );
            }
            1..BLOCK => return Err(wrong("the archive ends within a header", self.at).into()),
            _ => {}
        }
        self.read_at(self.at, &mut header).map_err(|e| FileError::from(e).said(|e| wrong(e, self.at)))?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The sum counts its own field as spaces.
        let outside = header[..148].iter().chain(&header[156..]).map(|byte| u64::from(*byte)).sum::<u64>();
        if number(&header[148..156]) != Some(outside + 8 * u64::from(b' ')) {
            return Err(wrong("no tar header", self.at).into());
        }
        self.at += BLOCK;
        Ok(Some(header))
    }

    fn extension(&mut self, offset: u64, size: u64) -> Result<Vec<u8>, FileError> {
        if size > MAX_EXTENSION_BYTES {
            return Err(format!("a name of {size} bytes, more than {MAX_EXTENSION_BYTES}").into());
        }
        let mut bytes = vec![0; size as usize];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Returns the bytes of a file. Its size is for the caller to bound.
    pub(super) fn content(&mut self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; entry.size as usize];
        self.read_at(entry.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Moves by the distance, so that a buffered reader keeps what it has.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.archive.seek_relative(offset.wrapping_sub(self.position).cast_signed())?;
        self.position = offset;
        self.archive.read_exact(into)?;
        self.position += into.len() as u64;
        Ok(())
    }
}

/// A number in octal digits, or in binary as GNU writes what is too large for them.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, digits @ ..] = field {
        let (high, low) = digits.split_at(digits.len().saturating_sub(8));
        let low = low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        return high.iter().all(|byte| *byte == 0).then_some(low);
    }
    let digits = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    u64::from_str_radix(digits, 8).ok()
}

/// Text up to the first zero.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn short_name(header: &[u8; BLOCK as usize]) -> String {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    // Only POSIX archives have a prefix there.
    if header[257..263] == *b"ustar\0" && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// What is used of a pax header.
#[derive(Default)]
struct Pax {
    path: Option<String>,
    size: Option<u64>,
}

impl Pax {
    /// Records are "LENGTH KEY=VALUE\n", the length counting the whole.
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
            let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => pax.path = Some(String::from_utf8_lossy(value).into_owned()),
                b"size" => pax.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ => {}
            }
            bytes = &bytes[length..];
        }
        Some(pax)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tar_file;
    use super::*;
    use std::io::Cursor;

    fn entries(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut entries = Entries::new(Cursor::new(bytes)).unwrap();
        let mut all = Vec::new();
        while let Some(Entry { name, offset, size }) = entries.next().map_err(|e| e.to_string())? {
            all.push((name, bytes[offset as usize..][..size as usize].to_vec()));
        }
        Ok(all)
    }

    fn archive() -> Vec<u8> {
        let long = format!("{}/name.png", "folder/".repeat(30));
        let pax = b"21 path=elsewhere.png\n".len();
        [
            tar_file("a.png", b'0', b"first"),
            tar_file("folder/", b'5', b""),
            tar_file("././@LongLink", b'L', format!("{long}\0").as_bytes()),
            tar_file("cut", b'0', &[7; 700]),
            tar_file("pax", b'x', format!("{pax} path=elsewhere.png\n").as_bytes()),
            tar_file("short.png", b'0', b""),
            vec![0; 1024],
        ]
        .concat()
    }

    #[test]
    fn names_short_and_long_and_places_are_found() {
        let found = entries(&archive()).unwrap();
        assert_eq!(found[0], ("a.png".into(), b"first".to_vec()));
        assert!(found[1].0.ends_with("folder//name.png") && found[1].1 == [7; 700], "{}", found[1].0);
        assert_eq!(found[2], ("elsewhere.png".into(), vec![]));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let whole = archive();
        let wrong = |bytes: &[u8]| entries(bytes).unwrap_err();
        assert_eq!(wrong(&whole[..200]), "the archive ends within a header at offset 0");
        assert!(wrong(&whole[..514]).contains("a file of 5 bytes, but the archive ends at 514"));
        assert_eq!(wrong(&whole[..1024]), "the archive is cut short at offset 1024, its end mark is missing");
        let mut damaged = whole;
        damaged[1024] ^= 1;
        assert_eq!(wrong(&damaged), "no tar header at offset 1024");
        let bomb = tar_file("x", b'L', &[b'a'; 70_000]);
        assert!(wrong(&bomb).contains("a name of 70000 bytes, more than 65536 in the header at offset 0"));
    }

    #[test]
    fn no_byte_of_a_header_makes_it_fall() {
        let whole = archive();
        for place in 0..whole.len() {
            for byte in [0, 0xFF, b'7', 0x80] {
                let mut damaged = whole.clone();
                damaged[place] = byte;
                drop(entries(&damaged));
            }
        }
    }
}
