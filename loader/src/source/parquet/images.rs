//! The images of the files of a set, read where they lie: the page that an image is in is looked up, read and unpacked,
//! and kept as long as there is room ([`page_cache`](super::page_cache)).
//!
//! A page is unpacked whole, so that an image that is asked for alone costs as much as all of its page. Whoever reads
//! images one after the other holds on to their page ([`Held`]).

use super::super::file_error::FileError;
use super::super::records::{Archive, Held, MAX_RECORD_BYTES, Places, ReadError};
use super::page_cache::{Key, PageCache, Unpacked};
use super::pages::{Chunk, Header, MAX_PAGE_BYTES, Page};
use super::table::{Table, properties, values, whatever_it_is};
use ::parquet::column::reader::ColumnReaderImpl;
use ::parquet::data_type::{ByteArray, ByteArrayType};
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::serialized_reader::SerializedPageReader;
use bytes::Bytes;
use bytesize::ByteSize;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// The images of a page, by row; a missing one is empty.
pub(super) type Images = Vec<ByteArray>;

/// The page that an image was read from, for the next one ([`Held`]).
type Along = (Key, Arc<Unpacked<Images>>);

/// The files of a set.
#[derive(Debug)]
pub(super) struct Tables {
    tables: Vec<Numbered>,
    /// Rows that are no records, for want of a label: the file of each, and what it lacks.
    pub(super) incomplete: Vec<(u32, String)>,
    cache: PageCache<Images>,
}

/// A file, and the numbers of its records.
#[derive(Debug)]
struct Numbered {
    table: Table,
    first: u64,
    /// Rows that are no records, in order.
    missing: Vec<u64>,
}

impl Numbered {
    /// Records of the file.
    fn count(&self) -> u64 {
        self.table.rows - self.missing.len() as u64
    }

    /// The row of a record of the file.
    fn row(&self, record: u64) -> u64 {
        let own = record - self.first;
        // Of the missing rows, those before which there are no more records than are before this one.
        let (mut low, mut high) = (0, self.missing.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.missing[middle] - middle as u64 <= own { low = middle + 1 } else { high = middle }
        }
        own + low as u64
    }
}

impl Tables {
    /// Of no files yet, of whose pages one is kept.
    pub(super) fn new() -> Self {
        Self { tables: Vec::new(), incomplete: Vec::new(), cache: PageCache::new(0) }
    }

    /// Number of the first record of the next file.
    pub(super) fn count(&self) -> u64 {
        self.tables.last().map_or(0, |last| last.first + last.count())
    }

    /// The path of a file.
    pub(super) fn path(&self, file: u32) -> &Path {
        &self.tables[file as usize].table.path
    }

    /// Appends a file of which these rows are no records.
    pub(super) fn append(&mut self, table: Table, missing: Vec<u64>) {
        self.tables.push(Numbered { table, first: self.count(), missing });
    }

    /// The file of a record, by number.
    fn file(&self, record: u64) -> usize {
        // A file without records begins with the same number as the one behind it.
        self.tables.partition_point(|table| table.first <= record) - 1
    }

    /// Copies the image of a record, whose page `held` has or is to have.
    fn copy(&self, record: u64, into: &mut Vec<u8>, held: &mut Held) -> Result<(), ReadError> {
        into.clear();
        let file = self.file(record);
        let table = &self.tables[file].table;
        let row = self.tables[file].row(record);
        let number = table.pages.partition_point(|page| page.first_row <= row);
        // No file that was checked lacks one: it has been replaced since.
        let lacking = || ReadError::Holder(format!("{}: it has no row {row} any more", table.name()));
        let number = number.checked_sub(1).ok_or_else(lacking)?;
        let key = (file as u32, number as u32);
        let along = held.take().and_then(|held| held.downcast::<Along>().ok());
        let along = match along.filter(|along| along.0 == key) {
            Some(along) => along,
            // What was held counted, and room for the next may have to be waited for.
            None => Box::new((key, self.page(key, table)?)),
        };
        let image =
            along.1.page.get((row - table.pages[number].first_row) as usize).ok_or_else(lacking)?.data();
        let unusable = |text: String| Err(ReadError::Record(text));
        let copied = if image.is_empty() {
            unusable("its image is missing".into())
        } else if image.len() as u64 > MAX_RECORD_BYTES {
            unusable(format!("{} bytes are more than the {MAX_RECORD_BYTES} of an image file", image.len()))
        } else {
            into.extend_from_slice(image);
            Ok(())
        };
        *held = Some(along);
        copied
    }

    fn page(&self, key: Key, table: &Table) -> Result<Arc<Unpacked<Images>>, ReadError> {
        let number = key.1 as usize;
        let page = table.pages[number];
        let end = table.pages.get(number + 1).map_or(table.rows, |next| next.first_row);
        let chunk = &table.chunks[page.chunk as usize];
        let packed = Packed { table, page, chunk, rows: end - page.first_row };
        let failed = |error| match error {
            FileError::Read(error) => error.into(),
            FileError::Invalid(reason) => ReadError::Holder(format!("{}: {reason}", table.name())),
        };
        let plan = || packed.headers().map_err(failed);
        self.cache.get(key, plan, |headers| packed.unpack(&headers).map_err(failed))
    }
}

/// A page as it lies in its file.
#[derive(Clone, Copy)]
struct Packed<'a> {
    table: &'a Table,
    page: Page,
    chunk: &'a Chunk,
    rows: u64,
}

/// A page that is read, and where it is.
type Part = (u64, Header);

impl Packed<'_> {
    /// The headers of the page, and of the dictionary page if it needs one; and the bytes that it takes to unpack them.
    fn headers(self) -> Result<(u64, Vec<Part>), FileError> {
        let Self { table, page, chunk, rows } = self;
        let header = chunk.header(&table.file, page.offset)?;
        if header.length() != u64::from(page.length) || header.values() != rows {
            return Err(chunk
                .wrong(page.offset, "has another length or other rows than at the start")
                .into());
        }
        let mut parts = Vec::new();
        if header.needs_dictionary() {
            if !chunk.has_dictionary {
                return Err(chunk.wrong(page.offset, "needs a dictionary, and there is none").into());
            }
            parts.push(chunk.dictionary(&table.file)?);
        }
        parts.push((page.offset, header));
        let unpacked: u64 = parts.iter().map(|(_, header)| header.unpacked(chunk.compression)).sum();
        if unpacked > MAX_PAGE_BYTES {
            let reason = format!("unpacks with its dictionary to {}, more than any", ByteSize(unpacked));
            return Err(chunk.wrong(page.offset, &reason).into());
        }
        let bytes = unpacked + parts.iter().map(|(_, header)| header.length()).sum::<u64>();
        Ok((bytes + 2 * self.bytes_of_rows(), parts))
    }

    /// What it takes to know where each image of a page lies.
    fn bytes_of_rows(self) -> u64 {
        self.rows * size_of::<ByteArray>() as u64
    }

    /// Reads and unpacks the page; and the bytes that it takes.
    fn unpack(self, parts: &[Part]) -> Result<(Images, u64), FileError> {
        let Self { table, page, chunk, rows } = self;
        let wrong = |what: &str| FileError::from(chunk.wrong(page.offset, what));
        let mut bytes = Vec::new();
        for (offset, header) in parts {
            let at = bytes.len();
            bytes.resize(at + header.length() as usize, 0);
            table.file.read_exact_at(&mut bytes[at..], *offset).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => wrong("is cut short"),
                _ => error.into(),
            })?;
            let content = &bytes[at + header.bytes() as usize..];
            header.check_gzip(chunk.compression, content).map_err(|what| chunk.wrong(*offset, &what))?;
        }
        let unpacked = parts.iter().map(|(_, header)| header.unpacked(chunk.compression));
        let as_it_is = unpacked.clone().any(|bytes| bytes == 0);
        let held = unpacked.sum::<u64>() + if as_it_is { bytes.len() as u64 } else { 0 };
        let images = whatever_it_is(|| {
            // To the format's reader it is a column of its own, whose one page this is.
            let length = i64::try_from(bytes.len()).expect("it is in memory");
            let column = ColumnChunkMetaData::builder(Arc::clone(&table.column))
                .set_compression(chunk.compression)
                .set_total_compressed_size(length)
                .set_data_page_offset(0)
                .build()?;
            let (bytes, count) = (Arc::new(Bytes::from(bytes)), rows as usize);
            let pages = SerializedPageReader::new_with_properties(bytes, &column, count, None, properties())?;
            let column = Arc::clone(&table.column);
            values(ColumnReaderImpl::<ByteArrayType>::new(column, Box::new(pages)), rows)
        });
        let images = images.map_err(|error| {
            error.said(|reason| chunk.wrong(page.offset, &format!("is damaged: {reason}")))
        })?;
        if images.len() as u64 != rows {
            return Err(wrong(&format!("is damaged: it has {} of {rows} rows", images.len())));
        }
        let images = images.into_iter().map(|image| image.unwrap_or_else(|| Vec::new().into())).collect();
        Ok((images, held + self.bytes_of_rows()))
    }
}

impl Archive for Tables {
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), ReadError> {
        self.copy(record, into, &mut Held::default())
    }

    fn read_along(&self, record: u64, into: &mut Vec<u8>, held: &mut Held) -> Result<(), ReadError> {
        self.copy(record, into, held)
    }

    fn path(&self, record: u64) -> String {
        let of = &self.tables[self.file(record)];
        format!("{} row {}", of.table.name(), of.row(record))
    }

    fn bytes(&self, _record: u64) -> u64 {
        0
    }

    fn places(&self) -> Option<Places> {
        let incomplete = self.incomplete.clone();
        let mut places = Places { incomplete, ..Places::default() };
        for of in &self.tables {
            places.shards.push(of.table.path.clone());
            places.counts.push(of.count());
            places.offsets.extend((of.first..of.first + of.count()).map(|record| of.row(record)));
        }
        (0..self.count()).for_each(|_| places.names.push(b""));
        Some(places)
    }

    fn unpacked_bytes(&self) -> Option<u64> {
        let each = self.tables.iter().map(|of| of.table.unpacked_bytes);
        Some(each.fold(0, u64::saturating_add))
    }

    fn keep(&self, bytes: u64) {
        self.cache.set_room(bytes);
    }

    fn to_keep_bytes(&self) -> u64 {
        let (room, held) = self.cache.room_and_held();
        // While a page is unpacked, it is there packed, too.
        room.min(self.unpacked_bytes().unwrap_or(0).saturating_mul(2)).saturating_sub(held)
    }
}
