//! Where the pages of a column lie, and what they unpack to, found out before anything is unpacked.
//!
//! The offset index of a file tells where its pages lie; in one without, the header of each is read, which takes some bytes
//! of every page. The format's reader makes room for what a header says, and lets gzip write beyond it. So what it says
//! is bounded first, and a page in gzip is unpacked once into nothing: one that comes to more than it says is a
//! bomb. (Snappy, LZ4 and Zstandard are given a buffer of the size that was said, and fail beyond it.) Headers are in
//! Thrift's compact protocol, as `parquet.thrift` of the Apache Parquet format (2.11) has them.

use super::super::file_error::FileError;
use super::thrift::{Thrift, ThriftError};
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::metadata::ColumnChunkMetaData;
use bytesize::ByteSize;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;

/// Bytes that a page unpacks to, and so does one with its dictionary, at most: some writers put 1,024 photographs into one.
pub(super) const MAX_PAGE_BYTES: u64 = 1 << 30;

/// Bytes that are read for a header at a time. Most have some dozens; those with statistics of values have more.
const HEADER_BYTES: usize = 1 << 10;

/// Types of pages.
const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_2: i64 = 3;

/// Encodings in which values are numbers of entries of the dictionary page.
const BY_DICTIONARY: [i64; 2] = [2, 8];

/// The encoding in which each value may repeat a part of the one before, so that a page of any size can hold
/// values of any size.
const DELTA_BYTE_ARRAY: i64 = 7;

/// What a page's header says, as far as it is used.
#[derive(Debug, Default)]
pub(super) struct Header {
    kind: i64,
    /// Bytes of the header itself.
    bytes: u64,
    /// Bytes of the page's content, unpacked and as it is in the file.
    unpacked: u64,
    packed: u64,
    encoding: i64,
    /// Values of a data page, missing ones too. A column that is no list has one for each row.
    values: u64,
    /// Bytes before the packed ones, in a page of version 2.
    levels: u64,
    /// Whether the page is as it is although its column is packed.
    plain: bool,
}

impl Header {
    /// Bytes of the page with its header.
    pub(super) fn length(&self) -> u64 {
        self.bytes + self.packed
    }

    /// Bytes of the header.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn values(&self) -> u64 {
        self.values
    }

    fn is_dictionary(&self) -> bool {
        self.kind == DICTIONARY
    }

    pub(super) fn needs_dictionary(&self) -> bool {
        BY_DICTIONARY.contains(&self.encoding)
    }

    fn is_data(&self) -> bool {
        [DATA, DATA_2].contains(&self.kind)
    }

    fn is_too_large(&self) -> bool {
        self.packed.max(self.unpacked) > MAX_PAGE_BYTES
    }

    fn is_unpacked(&self, compression: Compression) -> bool {
        self.plain || compression == Compression::UNCOMPRESSED
    }

    /// Bytes that the page takes beside what is read of it.
    pub(super) fn unpacked(&self, compression: Compression) -> u64 {
        if self.is_unpacked(compression) { 0 } else { self.unpacked }
    }

    /// Sees whether a page in gzip, of which `content` is what follows the header, unpacks to what it says.
    pub(super) fn check_gzip(&self, compression: Compression, mut content: impl Read) -> Result<(), String> {
        if self.is_unpacked(compression) || !matches!(compression, Compression::GZIP(_)) {
            return Ok(());
        }
        let levels = self.levels.min(self.packed);
        let passed = io::copy(&mut content.by_ref().take(levels), &mut io::sink());
        let limit = self.unpacked.saturating_sub(self.levels);
        let inflated = MultiGzDecoder::new(content.take(self.packed - levels));
        // What is damaged otherwise is for the format's reader to name.
        match passed.and_then(|_| io::copy(&mut inflated.take(limit + 1), &mut io::sink())) {
            Ok(bytes) if bytes > limit => {
                Err(format!("unpacks to more than the {} bytes that it says", self.unpacked))
            }
            _ => Ok(()),
        }
    }
}

/// A data page of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Where it lies in the file, and its bytes with the header.
    pub(super) offset: u64,
    pub(super) length: u32,
    /// The chunk of the column that it is of, by number.
    pub(super) chunk: u32,
    /// Its first row, counted from the start of the file.
    pub(super) first_row: u64,
}

/// A column of a group of rows.
#[derive(Debug)]
pub(super) struct Chunk {
    /// As in "img.bytes".
    name: String,
    pub(super) compression: Compression,
    /// Where it lies in the file, and where it ends.
    start: u64,
    end: u64,
    /// Whether it begins with a dictionary page.
    pub(super) has_dictionary: bool,
}

impl Chunk {
    fn new(column: &ColumnChunkMetaData) -> Result<Self, FileError> {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let range = (u64::try_from(start), u64::try_from(column.compressed_size()));
        let (Ok(start), Ok(length)) = range else {
            return Err("a column lies before the file".to_string().into());
        };
        let (name, end) = (column.column_path().string(), start.saturating_add(length));
        Ok(Self { name, compression: column.compression(), start, end, has_dictionary: false })
    }

    /// What is wrong with the page at an offset.
    pub(super) fn wrong(&self, offset: u64, what: &str) -> String {
        format!("column {}: the page at offset {offset} {what}", self.name)
    }

    /// The header of the page at an offset.
    ///
    /// # Errors
    /// When it is damaged, says that the page is larger than any, or that its values have no bound.
    pub(super) fn header(&self, file: &File, offset: u64) -> Result<Header, FileError> {
        let header = self.any_header(file, offset)?;
        if header.is_too_large() {
            let (said, most) = (ByteSize(header.packed.max(header.unpacked)), ByteSize(MAX_PAGE_BYTES));
            let reason = format!("unpacks to {said}, more than {most}; write it in smaller groups of rows");
            return Err(self.wrong(offset, &reason).into());
        }
        Ok(header)
    }

    fn any_header(&self, file: &File, offset: u64) -> Result<Header, FileError> {
        let wrong = |what: &str| FileError::from(self.wrong(offset, what));
        let mut input = Part { file, at: offset, end: self.end, failed: None };
        let (header, bytes) = {
            let mut thrift = Thrift::new(BufReader::with_capacity(HEADER_BYTES, &mut input));
            let header = read_header(&mut thrift);
            (header, thrift.bytes())
        };
        let said = header.map_err(|ThriftError| match input.failed {
            Some(error) => error.into(),
            None => wrong("has a damaged header"),
        })?;
        let (Some(unpacked), Some(packed), Some(kind)) = (said.unpacked, said.packed, said.kind) else {
            return Err(wrong("has no size"));
        };
        if packed > self.end.saturating_sub(offset + bytes) {
            return Err(wrong("is cut short"));
        }
        if said.rest.encoding == DELTA_BYTE_ARRAY {
            return Err(wrong("is in DELTA_BYTE_ARRAY, whose values have no bound; write it in PLAIN"));
        }
        Ok(Header { kind, bytes, unpacked, packed, ..said.rest })
    }

    /// The header of the dictionary page.
    pub(super) fn dictionary(&self, file: &File) -> Result<(u64, Header), FileError> {
        let header = self.header(file, self.start)?;
        match header.is_dictionary() {
            true => Ok((self.start, header)),
            false => Err(self.wrong(self.start, "is no dictionary").into()),
        }
    }

    /// Hands the header of each page, with the offset, to `each`.
    fn each_page(
        &self,
        file: &File,
        mut each: impl FnMut(u64, &Header) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let mut at = self.start;
        while at < self.end {
            let header = self.any_header(file, at)?;
            each(at, &header)?;
            at += header.length();
        }
        Ok(())
    }
}

/// Adds up what the pages of a column take when they are unpacked. Beyond `room` nothing is unpacked to see whether a
/// page tells the truth: the set is refused anyway.
///
/// # Errors
/// When a header is damaged, or a page unpacks to more than it says.
pub(super) fn unpacked_bytes(file: &File, column: &ColumnChunkMetaData, room: u64) -> Result<u64, FileError> {
    let chunk = Chunk::new(column)?;
    let mut total = 0_u64;
    chunk.each_page(file, |offset, header| {
        total = total.saturating_add(header.packed.max(header.unpacked(chunk.compression)));
        if total <= room {
            let content = Part { file, at: offset + header.bytes, end: chunk.end, failed: None };
            header.check_gzip(chunk.compression, content).map_err(|what| chunk.wrong(offset, &what))?;
        }
        Ok(())
    })?;
    Ok(total)
}

/// Appends the pages of a column of a group of `rows` rows to `pages`; the group's first row is number `first_row` of the
/// file, and the chunk that is returned is number `number`.
///
/// # Errors
/// When a header is damaged, or the pages have other rows.
pub(super) fn locate(
    file: &File,
    column: &ColumnChunkMetaData,
    (first_row, rows): (u64, u64),
    number: u32,
    pages: &mut Vec<Page>,
) -> Result<Chunk, FileError> {
    let mut chunk = Chunk::new(column)?;
    // Headers name the page whose values have no bound.
    let readable = !column.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY);
    let indexed = match column.offset_index_range().filter(|_| readable) {
        Some(range) => by_offset_index(file, range, &chunk, rows)?,
        None => None,
    };
    let page = |offset, length: u64, row| Page {
        offset,
        // No page that is read has more: its size is an i32.
        length: u32::try_from(length).unwrap_or(u32::MAX),
        chunk: number,
        first_row: first_row + row,
    };
    if let Some(indexed) = indexed {
        chunk.has_dictionary = indexed.first().is_some_and(|first| first.offset > chunk.start);
        pages.extend(indexed.iter().map(|it| page(it.offset, it.length, it.first_row)));
        return Ok(chunk);
    }
    let (mut seen, mut has_dictionary) = (0_u64, false);
    chunk.each_page(file, |offset, header| {
        has_dictionary |= header.is_dictionary() && offset == chunk.start;
        if header.is_too_large() {
            chunk.header(file, offset)?;
        }
        if header.is_data() && header.values > 0 {
            pages.push(page(offset, header.length(), seen));
            seen = seen.saturating_add(header.values);
        }
        if seen > rows { Err(other_rows(rows, seen)) } else { Ok(()) }
    })?;
    chunk.has_dictionary = has_dictionary;
    if seen == rows { Ok(chunk) } else { Err(other_rows(rows, seen)) }
}

fn other_rows(rows: u64, images: u64) -> FileError {
    format!("a group of {rows} rows has {images} images").into()
}

/// Where an offset index says that a page lies, and with which row of the group it begins.
#[derive(Default)]
struct Location {
    offset: u64,
    length: u64,
    first_row: u64,
}

/// The pages by the offset index; nothing where that is damaged, because the headers tell as well.
fn by_offset_index(
    file: &File,
    range: std::ops::Range<u64>,
    chunk: &Chunk,
    rows: u64,
) -> Result<Option<Vec<Location>>, FileError> {
    let mut input = Part { file, at: range.start, end: range.end, failed: None };
    let mut found = Vec::new();
    let read = Thrift::new(BufReader::new(&mut input)).fields(|thrift, id, kind| match id {
        1 => thrift.structures(kind, |thrift| {
            let mut location = Location::default();
            thrift.fields(|thrift, id, kind| match id {
                1 => thrift.long(kind).map(|offset| location.offset = offset),
                2 => thrift.size(kind).map(|length| location.length = length),
                3 => thrift.long(kind).map(|row| location.first_row = row),
                _ => thrift.skip(kind),
            })?;
            found.push(location);
            Ok(())
        }),
        _ => thrift.skip(kind),
    });
    if let (true, Some(error)) = (read.is_err(), input.failed) {
        return Err(error.into());
    }
    let mut at = chunk.start;
    let mut follows = |it: &Location| {
        let fits = it.offset >= at && it.length <= chunk.end.saturating_sub(it.offset);
        at = it.offset.saturating_add(it.length);
        fits
    };
    let good = read.is_ok()
        && found.iter().all(&mut follows)
        && found.first().map_or(rows == 0, |first| first.first_row == 0)
        && found.windows(2).all(|pair| pair[0].first_row < pair[1].first_row)
        && found.last().is_none_or(|last| last.first_row < rows);
    Ok(good.then_some(found))
}

/// A part of a file, read where it lies. Keeps what the system said, which [`Thrift`] does not tell from damage.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    failed: Option<io::Error>,
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = into.len().min(left);
        let read = self.file.read_at(&mut into[..count], self.at).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            io::Error::from(kind)
        })?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What a header says, whatever that is.
#[derive(Default)]
struct Said {
    kind: Option<i64>,
    unpacked: Option<u64>,
    packed: Option<u64>,
    rest: Header,
}

/// Reads `PageHeader`.
fn read_header<R: Read>(thrift: &mut Thrift<R>) -> Result<Said, ThriftError> {
    let mut said = Said::default();
    thrift.fields(|thrift, id, kind| match id {
        1 => thrift.integer(kind).map(|it| said.kind = Some(it)),
        2 => thrift.size(kind).map(|size| said.unpacked = Some(size)),
        3 => thrift.size(kind).map(|size| said.packed = Some(size)),
        // Of a data page: version 1, version 2.
        5 => thrift.structure(kind, |thrift, id, kind| match id {
            1 => thrift.size(kind).map(|values| said.rest.values = values),
            2 => thrift.integer(kind).map(|encoding| said.rest.encoding = encoding),
            _ => thrift.skip(kind),
        }),
        8 => thrift.structure(kind, |thrift, id, kind| match id {
            1 => thrift.size(kind).map(|values| said.rest.values = values),
            4 => thrift.integer(kind).map(|encoding| said.rest.encoding = encoding),
            5 | 6 => thrift.size(kind).map(|size| said.rest.levels += size),
            7 => thrift.boolean(kind).map(|packed| said.rest.plain = !packed),
            _ => thrift.skip(kind),
        }),
        _ => thrift.skip(kind),
    })?;
    Ok(said)
}
