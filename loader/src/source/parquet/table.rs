//! One file: which of its columns are used, the labels, and where the pages of its images lie.

use super::super::encoded::MAX_CLASSES;
use super::super::file_error::FileError;
use super::super::splits::{Told, told_by};
use super::pages::{self, Chunk, Page};
use ::parquet::basic::Type;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use ::parquet::file::properties::{ReaderProperties, ReaderPropertiesPtr};
use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::file::serialized_reader::ReadOptionsBuilder;
use ::parquet::schema::types::ColumnDescPtr;
use bytesize::ByteSize;
use std::collections::BTreeSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const IMAGES: [&str; 4] = ["img.bytes", "image.bytes", "img", "image"];
/// Columns that may say of each row which split it is of.
const SPLITS: [&str; 3] = ["split", "subset", "partition"];
const LABELS: [&str; 3] = ["label", "labels", "fine_label"];

/// Rows that are read at a time.
const ROWS: usize = 1024;

/// Memory that a row takes while a file is opened: its label, also as it is read, and a page where each has its own.
const ROW_BYTES: u64 = 96;

/// A file whose images can be read.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) column: ColumnDescPtr,
    pub(super) chunks: Vec<Chunk>,
    /// In order of their rows, of which each has one at least.
    pub(super) pages: Vec<Page>,
    pub(super) rows: u64,
    /// Bytes of all images, unpacked.
    pub(super) unpacked_bytes: u64,
}

impl Table {
    /// The file's name, for messages.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

/// What a file says about itself.
pub(super) struct Heading {
    /// The columns.
    pub(super) images: String,
    pub(super) labels: String,
    /// The names that the `datasets` library keeps; none where the file does not tell.
    pub(super) classes: Vec<String>,
    /// A column that divides the rows into splits, and two of them, in words.
    pub(super) divided: Option<String>,
}

/// The class of each row that has one.
#[derive(Default)]
pub(super) struct Labels {
    pub(super) labels: Vec<u32>,
    /// The rows without one, in order, with what they have in its place.
    pub(super) missing: Vec<(u64, String)>,
}

/// A file that has been opened, before it is used.
pub(super) struct Opened {
    reader: SerializedFileReader<File>,
    file: File,
    images: usize,
    labels: usize,
}

impl Opened {
    #[allow(clippy::disallowed_methods)]
    pub(super) fn new(path: &Path) -> Result<Self, FileError> {
        whatever_it_is(|| {
            let (file, reader) = open(path)?;
            let images = column(reader.metadata(), &IMAGES, &[Type::BYTE_ARRAY], "images")?;
            let labels = column(reader.metadata(), &LABELS, &[Type::INT64, Type::INT32], "labels")?;
            Ok(Self { reader, file, images, labels })
        })
    }

    pub(super) fn heading(&self) -> Heading {
        let metadata = self.reader.metadata().file_metadata();
        let name = |column| metadata.schema_descr().column(column).path().string();
        let (images, labels) = (name(self.images), name(self.labels));
        let own = metadata.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "huggingface");
        let text = own.and_then(|pair| pair.value.as_deref()).unwrap_or_default();
        let info: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let classes = info["info"]["features"][&labels]["names"].as_array().cloned();
        let classes = classes.unwrap_or_default().into_iter();
        let classes = classes.map(|name| name.as_str().map_or_else(|| name.to_string(), String::from));
        Heading { images, labels, classes: classes.collect(), divided: self.divided() }
    }

    /// What the statistics of a column tell: its least value and its greatest.
    fn divided(&self) -> Option<String> {
        let metadata = self.reader.metadata();
        metadata.file_metadata().schema_descr().columns().iter().enumerate().find_map(|(number, column)| {
            let path = column.path().string();
            SPLITS.iter().find(|name| path.eq_ignore_ascii_case(name))?;
            let groups = metadata.row_groups().iter();
            let values = groups.filter_map(|group| {
                let found = group.column(number).statistics()?;
                Some([found.min_bytes_opt()?, found.max_bytes_opt()?].map(String::from_utf8_lossy))
            });
            let values: BTreeSet<_> = values.flatten().collect();
            let (first, last) = (values.first()?, values.last()?);
            let tells = |value: &str| told_by(value) != Ok(Told::Nothing);
            let text = || {
                format!(
                    "column {path} has {first} and {last}",
                    first = first.escape_debug(),
                    last = last.escape_debug()
                )
            };
            (first != last && (tells(first) || tells(last))).then(text)
        })
    }

    /// Reads the labels, for which there is `room` in memory. Returns what is left of it.
    pub(super) fn labels(&self, room: u64) -> Result<(Labels, u64), FileError> {
        let groups = self.reader.metadata().row_groups();
        let mut needed = 0_u64;
        for group in groups {
            needed = needed.saturating_add(rows(group).saturating_mul(ROW_BYTES));
            let left = room.saturating_sub(needed);
            needed =
                needed.saturating_add(pages::unpacked_bytes(&self.file, group.column(self.labels), left)?);
        }
        if needed > room {
            let (needed, room) = (ByteSize(needed), ByteSize(room));
            return Err(format!("its labels take {needed} of memory, more than the {room} there are").into());
        }
        let mut labels = Labels::default();
        whatever_it_is(|| {
            let (mut row, mut all) = (0_u64, 0_u64);
            for (number, group) in groups.iter().enumerate() {
                all += rows(group);
                let column = self.reader.get_row_group(number)?.get_column_reader(self.labels)?;
                for label in whole_numbers(column, rows(group))? {
                    let found = label.and_then(|label| u32::try_from(label).ok());
                    match found.filter(|label| u64::from(*label) < MAX_CLASSES) {
                        Some(label) => labels.labels.push(label),
                        None => {
                            let label = label.map_or("none".into(), |label| label.to_string());
                            let last = MAX_CLASSES - 1;
                            let reason = format!("row {row} has label {label}, but labels are 0 to {last}");
                            labels.missing.push((row, reason));
                        }
                    }
                    row += 1;
                }
                if row != all {
                    return Err(format!("{all} images, but {row} labels").into());
                }
            }
            Ok(())
        })?;
        Ok((labels, room - needed))
    }

    /// Finds out where the images lie.
    pub(super) fn table(self, path: &Path) -> Result<Table, FileError> {
        let metadata = self.reader.metadata();
        let column = metadata.file_metadata().schema_descr().column(self.images);
        let (mut chunks, mut pages, mut all, mut unpacked_bytes) = (Vec::new(), Vec::new(), 0_u64, 0_u64);
        for (number, group) in (0..).zip(metadata.row_groups()) {
            let column = group.column(self.images);
            chunks.push(pages::locate(&self.file, column, (all, rows(group)), number, &mut pages)?);
            all = u64::saturating_add(all, rows(group));
            let unpacked = u64::try_from(column.uncompressed_size()).unwrap_or(0);
            unpacked_bytes = unpacked_bytes.saturating_add(unpacked);
        }
        let unpacked_bytes = unpacked_bytes.saturating_add(all.saturating_mul(size_of::<ByteArray>() as u64));
        pages.shrink_to_fit();
        Ok(Table { path: path.into(), file: self.file, column, chunks, pages, rows: all, unpacked_bytes })
    }
}

/// How many rows a file has.
pub(in crate::source) fn count_rows(path: &Path) -> Result<u64, FileError> {
    whatever_it_is(|| {
        let (_, reader) = open(path)?;
        Ok(reader.metadata().row_groups().iter().map(rows).fold(0, u64::saturating_add))
    })
}

/// How many rows a file has, if all labels are missing or -1, which test splits without labels have. What is wrong with
/// it otherwise, or takes more memory than `room`, is for [`Opened`] to name.
pub(super) fn without_labels(path: &Path, room: u64) -> Result<Option<u64>, FileError> {
    match whatever_it_is(|| rows_without_labels(path, room)) {
        Err(FileError::Invalid(_)) => Ok(None),
        found => found,
    }
}

fn rows_without_labels(path: &Path, room: u64) -> Result<Option<u64>, FileError> {
    let (file, reader) = open(path)?;
    column(reader.metadata(), &IMAGES, &[Type::BYTE_ARRAY], "images")?;
    let count = reader.metadata().row_groups().iter().map(rows).fold(0, u64::saturating_add);
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    if !columns.iter().any(|column| LABELS.contains(&column.path().string().as_str())) {
        return Ok(Some(count));
    }
    let labels = column(reader.metadata(), &LABELS, &[Type::INT64, Type::INT32], "labels")?;
    for (number, group) in reader.metadata().row_groups().iter().enumerate() {
        let needed = rows(group).saturating_mul(ROW_BYTES);
        if needed.saturating_add(pages::unpacked_bytes(&file, group.column(labels), room)?) > room {
            return Ok(None);
        }
        let group = reader.get_row_group(number)?;
        let column = group.get_column_reader(labels)?;
        if whole_numbers(column, rows(group.metadata()))?.into_iter().flatten().any(|label| label != -1) {
            return Ok(None);
        }
    }
    Ok(Some(count))
}

/// Calls the reader of the format, which panics on some damaged files.
pub(super) fn whatever_it_is<T>(read: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_payload| Err("the file is damaged".to_string().into()))
}

/// How the format's reader reads.
pub(super) fn properties() -> ReaderPropertiesPtr {
    // What old writers called LZ4 may be one of three things, and the reader tries one that has no bound.
    Arc::new(ReaderProperties::builder().set_backward_compatible_lz4(false).build())
}

#[allow(clippy::disallowed_methods)]
fn open(path: &Path) -> Result<(File, SerializedFileReader<File>), FileError> {
    let file = File::open(path)?;
    let lz4 = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(lz4).build();
    let reader = SerializedFileReader::new_with_options(file.try_clone()?, options)?;
    Ok((file, reader))
}

/// Reads a column of labels of a group of `most` rows.
fn whole_numbers(column: ColumnReader, max: u64) -> Result<Vec<Option<i64>>, FileError> {
    match column {
        ColumnReader::Int64ColumnReader(reader) => values(reader, max),
        ColumnReader::Int32ColumnReader(reader) => {
            Ok(values(reader, max)?.into_iter().map(|label| label.map(i64::from)).collect())
        }
        _ => Err("the column of labels holds no whole numbers".to_string().into()),
    }
}

/// Finds the column of one of these names that is of one of these types and not a list.
fn column(metadata: &ParquetMetaData, names: &[&str], types: &[Type], what: &str) -> Result<usize, String> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let fits = |name: &&str| {
        columns.iter().position(|column| {
            column.path().string() == **name
                && types.contains(&column.physical_type())
                && column.max_rep_level() == 0
        })
    };
    let fitting: Vec<usize> = names.iter().filter_map(fits).collect();
    let name = |column: &usize| columns[*column].path().string();
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => {
            let found: Vec<_> = columns.iter().map(|column| column.path().string()).collect();
            Err(format!("no column {} of a fitting type, found {}", names.join(", "), found.join(", ")))
        }
        [one, other, ..] => Err(format!(
            "columns {} and {} may both be the {what}: leave one in the file",
            name(one),
            name(other)
        )),
    }
}

/// Rows that a group says it has.
fn rows(group: &RowGroupMetaData) -> u64 {
    group.num_rows().max(0).cast_unsigned()
}

/// Reads a column of `max` rows; what is missing is `None`. Pages may claim any number of
/// missing values in a few bytes: the rows, for which there is room, bound them.
pub(super) fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    max: u64,
) -> Result<Vec<Option<T::T>>, FileError> {
    let mut all = Vec::new();
    loop {
        if all.len() as u64 > max {
            return Err(format!("a group of {max} rows has more of them").into());
        }
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let (rows, _, _) = reader.read_records(ROWS, Some(&mut levels), None, &mut values)?;
        if rows == 0 {
            return Ok(all);
        }
        if values.len() == rows {
            all.extend(values.into_iter().map(Some));
            continue;
        }
        // The highest level is that of a value that is there.
        let max = levels.iter().copied().max().unwrap_or(0);
        let mut values = values.into_iter();
        let there = |level: &i16| *level == max;
        all.extend(levels.iter().map(|level| if there(level) { values.next() } else { None }));
    }
}
