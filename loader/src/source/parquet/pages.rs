//! What the pages of a column unpack to, looked at before anything is unpacked.
//!
//! The format's reader makes room for what a page's header says, and lets gzip write beyond it. So the headers are
//! summed up first, for the caller to compare with the memory there is, and pages in gzip are unpacked once
//! into nothing: one that comes to more than it says is a bomb. (Snappy, LZ4 and Zstandard are given a buffer of
//! the size that was said, and fail beyond it.) Headers are in Thrift's compact protocol, as `parquet.thrift` of
//! the Apache Parquet format (2.11) has them.

use super::super::file_error::FileError;
use super::thrift::{Thrift, ThriftError};
use ::parquet::basic::Compression;
use ::parquet::file::metadata::ColumnChunkMetaData;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read, Seek, SeekFrom};

/// The encoding in which each value may repeat a part of the one before, so that a page of any size can hold
/// values of any size.
const DELTA_BYTE_ARRAY: i64 = 7;

/// What a page's header says, as far as it is used.
#[derive(Default)]
struct Header {
    /// Bytes of the page's content, unpacked and as it is in the file.
    unpacked: Option<u64>,
    packed: Option<u64>,
    encoding: Option<i64>,
    /// Bytes before the packed ones, in a page of version 2.
    levels: u64,
    /// Whether the page is as it is although its column is packed.
    plain: bool,
}

/// Adds up what the pages of a column take when they are unpacked. Beyond `room` nothing is unpacked to see whether a
/// page tells the truth: the set is refused anyway.
///
/// # Errors
/// When a header is damaged, or a page unpacks to more than it says.
pub(super) fn unpacked_bytes<R: Read + Seek>(
    file: &mut R,
    column: &ColumnChunkMetaData,
    room: u64,
) -> Result<u64, FileError> {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let range = (u64::try_from(start), u64::try_from(column.compressed_size()));
    let (Ok(start), Ok(length)) = range else {
        return Err("a column lies before the file".to_string().into());
    };
    let end = start.saturating_add(length);
    let (mut at, mut total) = (start, 0_u64);
    while at < end {
        let wrong =
            |what: &str| format!("column {}: the page at offset {at} {what}", column.column_path().string());
        file.seek(SeekFrom::Start(at))?;
        let mut input = Noting { input: file.take(end - at), failed: None };
        let mut thrift = Thrift::new(&mut input);
        let header = read_header(&mut thrift);
        let header_bytes = thrift.bytes();
        let header = header.map_err(|ThriftError| match input.failed {
            Some(error) => error.into(),
            None => FileError::from(wrong("has a damaged header")),
        })?;
        let content = at + header_bytes;
        let (Some(unpacked), Some(packed)) = (header.unpacked, header.packed) else {
            return Err(wrong("has no size").into());
        };
        if packed > end - content {
            return Err(wrong("is cut short").into());
        }
        if header.encoding == Some(DELTA_BYTE_ARRAY) {
            return Err(wrong("is in DELTA_BYTE_ARRAY, whose values have no bound; write it in PLAIN").into());
        }
        let as_it_is = header.plain || column.compression() == Compression::UNCOMPRESSED;
        total = total.saturating_add(if as_it_is { packed } else { unpacked });
        if !as_it_is && total <= room && matches!(column.compression(), Compression::GZIP(_)) {
            let limit = unpacked.saturating_sub(header.levels);
            file.seek(SeekFrom::Start(content + header.levels.min(packed)))?;
            let inflated = MultiGzDecoder::new(file.take(packed.saturating_sub(header.levels)));
            // What is damaged otherwise is for the format's reader to name.
            if io::copy(&mut inflated.take(limit + 1), &mut io::sink()).is_ok_and(|bytes| bytes > limit) {
                let reason = format!("unpacks to more than the {unpacked} bytes that it says");
                return Err(wrong(&reason).into());
            }
        }
        at = content + packed;
    }
    Ok(total)
}

/// A reader that keeps what the system said, which [`Thrift`] does not tell from damage.
struct Noting<R> {
    input: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

/// Reads `PageHeader`.
fn read_header<R: Read>(thrift: &mut Thrift<R>) -> Result<Header, ThriftError> {
    let mut header = Header::default();
    thrift.fields(|thrift, id, kind| match id {
        2 => thrift.size(kind).map(|size| header.unpacked = Some(size)),
        3 => thrift.size(kind).map(|size| header.packed = Some(size)),
        // Of a data page: version 1, version 2.
        5 => thrift.structure(kind, |thrift, id, kind| match id {
            2 => thrift.integer(kind).map(|encoding| header.encoding = Some(encoding)),
            _ => thrift.skip(kind),
        }),
        8 => thrift.structure(kind, |thrift, id, kind| match id {
            4 => thrift.integer(kind).map(|encoding| header.encoding = Some(encoding)),
            5 | 6 => thrift.size(kind).map(|size| header.levels = header.levels.saturating_add(size)),
            7 => thrift.boolean(kind).map(|packed| header.plain = !packed),
            _ => thrift.skip(kind),
        }),
        _ => thrift.skip(kind),
    })?;
    Ok(header)
}
