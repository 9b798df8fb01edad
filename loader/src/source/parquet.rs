//! Parquet files as Hugging Face's datasets have them: a column of encoded images and one of labels.
//!
//! The images are the `bytes` of a column `img` or `image`, or such a column itself; the labels are whole
//! numbers in `label`, `labels` or `fine_label`. Where two of these are there, either may be meant, and the file is refused
//! with both. Names of classes come from the metadata that the
//! `datasets` library writes. Pages are compressed as a whole, so a single image cannot be read where it
//! lies: the columns are read once and held in memory, as far as the budget allows. What they take there is
//! found out before (`pages.rs`).

mod pages;
mod thrift;

use super::bad_records::Incomplete;
use super::digest_cache::DigestCache;
use super::encoded::MAX_CLASSES;
use super::error::SourceError;
use super::file_error::FileError;
use super::options::{Cache, Options};
use super::records::{Archive, Found, ReadError, Record, named_twice};
use super::report::{Columns, Report};
use super::retry::patiently;
use super::{encoded, memory, shards};
use ::parquet::basic::Type;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType};
use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use ::parquet::file::properties::ReaderProperties;
use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::file::serialized_reader::ReadOptionsBuilder;
use bytesize::ByteSize;
use mixfeed_pipeline::{Dataset, Split};
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

const IMAGES: [&str; 4] = ["img.bytes", "image.bytes", "img", "image"];
const LABELS: [&str; 3] = ["label", "labels", "fine_label"];

/// Rows that are read at a time.
const ROWS: usize = 1024;

/// Reads the files of a place.
pub(super) fn open(
    place: &Path,
    files: Vec<PathBuf>,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let budget = options.cache_bytes.unwrap_or_else(memory::default_bytes);
    let files = shards::divide(place, files, options, report, |path| {
        patiently(|| without_labels(path, budget).map_err(|e| e.at(path)))
    })?;
    let refused = |path: &Path, reason: String| SourceError::Set { path: path.into(), reason };
    if options.cache == Cache::None {
        let reason =
            "parquet files are held in memory as they are read; cache none is for image files and tar";
        return Err(refused(place, reason.into()));
    }
    let mut tables = Vec::new();
    let mut needed = 0_u64;
    for (split, path) in files {
        let room = budget.saturating_sub(needed);
        let table = patiently(|| Table::open(&path, room).map_err(|e| e.at(&path)))?;
        needed = needed.saturating_add(table.bytes);
        tables.push((split, path, table));
    }
    if let Some((_, first_path, first)) = tables.first() {
        for (_, path, table) in &tables {
            table.must_agree(first, first_path).map_err(|reason| refused(path, reason))?;
        }
        report.columns =
            Some(Columns { images: first.column(first.images), labels: first.column(first.labels) });
    }
    must_name_alike(&tables)?;
    if needed > budget {
        let reason = format!(
            "its images take {} of memory, more than the {} there are; raise the cache memory, or write them as tar shards",
            ByteSize(needed),
            ByteSize(budget)
        );
        return Err(refused(place, reason));
    }
    let (mut rows, mut train, mut test, mut classes) = (Rows::default(), Vec::new(), Vec::new(), Vec::new());
    let mut incomplete = Vec::new();
    for (split, path, table) in tables {
        let records = if split == Split::Train { &mut train } else { &mut test };
        let (images, labels) = patiently(|| {
            // The reader of the format panics on some damaged files.
            let read = catch_unwind(AssertUnwindSafe(|| table.read()));
            read.unwrap_or_else(|_payload| Err("the file is damaged".to_string().into()))
                .map_err(|e| e.at(&path))
        })?;
        let first = rows.count();
        for (number, label) in (first..).zip(labels) {
            match label {
                Ok(label) => records.push(Record { number, label }),
                Err(reason) => incomplete.push(Incomplete { path: path.clone(), reason }),
            }
        }
        if classes.is_empty() {
            classes = table.class_names();
        }
        rows.append(path, images);
    }
    let max = train.iter().chain(&test).map(|record: &Record| record.label as usize + 1).max().unwrap_or(0);
    classes.extend((classes.len()..max).map(|class| class.to_string()));
    let name = place.file_stem().map_or_else(|| "table".into(), |name| name.to_string_lossy().into_owned());
    let files = rows.files.iter().map(|(_, path)| path.clone()).collect();
    let (cache, known) = DigestCache::find(place, files, options);
    let found = Found { name, classes, archive: Arc::new(rows), train, test, incomplete };
    encoded::open(place, found, options, &cache, known, report)
}

/// Refuses tables of which one names its classes otherwise than another: the same number would mean two things.
fn must_name_alike(tables: &[(Split, PathBuf, Table)]) -> Result<(), SourceError> {
    let named: Vec<_> = tables.iter().map(|(_, path, table)| (path, table.class_names())).collect();
    for (path, names) in &named {
        if let Some(name) = named_twice(names) {
            let reason = format!("it names two classes {name:?}");
            return Err(SourceError::Set { path: (*path).clone(), reason });
        }
    }
    let mut named = named.iter().filter(|(_, names)| !names.is_empty());
    let Some((first_path, first)) = named.next() else { return Ok(()) };
    for (path, names) in named {
        if names == first {
            continue;
        }
        let at = names.iter().zip(first).take_while(|(one, other)| one == other).count();
        let of =
            |names: &[String]| names.get(at).map_or_else(|| "not named".into(), |name| format!("{name:?}"));
        let reason = format!(
            "its names of classes differ from those of {}: class {at} is {} here and {} there",
            first_path.display(),
            of(names),
            of(first)
        );
        return Err(SourceError::Set { path: (*path).clone(), reason });
    }
    Ok(())
}

/// The class of a row, or why it has none.
type Label = Result<u32, String>;

/// An open file, and which of its columns are used.
struct Table {
    reader: SerializedFileReader<File>,
    images: usize,
    labels: usize,
    /// What they take in memory: their pages as they are unpacked, and where each image lies in them.
    bytes: u64,
}

impl Table {
    /// Opens a file whose columns may take `room` bytes. (One that takes more is opened, too: all of them make up the
    /// message.)
    #[allow(clippy::disallowed_methods)]
    fn open(path: &Path, room: u64) -> Result<Self, FileError> {
        let mut file = BufReader::new(File::open(path)?);
        let reader = reader(path)?;
        let images = column(reader.metadata(), &IMAGES, &[Type::BYTE_ARRAY], "images")?;
        let labels = column(reader.metadata(), &LABELS, &[Type::INT64, Type::INT32], "labels")?;
        let mut bytes = 0_u64;
        for group in reader.metadata().row_groups() {
            for column in [images, labels] {
                let left = room.saturating_sub(bytes);
                bytes = bytes.saturating_add(pages::unpacked_bytes(&mut file, group.column(column), left)?);
            }
            bytes = bytes.saturating_add(rows(group).saturating_mul(size_of::<ByteArray>() as u64));
        }
        Ok(Self { reader, images, labels, bytes })
    }

    /// The images, and the label of each or why it has none.
    fn read(&self) -> Result<(Vec<ByteArray>, Vec<Label>), FileError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group)?;
            let rows = rows(group.metadata());
            let open = |column| group.get_column_reader(column);
            match open(self.images)? {
                ColumnReader::ByteArrayColumnReader(reader) => {
                    // A missing image is an empty one, which no format is.
                    let read = values(reader, rows)?.into_iter();
                    images.extend(read.map(|image| image.unwrap_or_else(|| Vec::new().into())));
                }
                _ => return Err("the column of images holds no bytes".to_string().into()),
            }
            for label in whole_numbers(open(self.labels)?, rows)? {
                let found = label.and_then(|label| u32::try_from(label).ok());
                let row = labels.len();
                labels.push(found.filter(|label| u64::from(*label) < MAX_CLASSES).ok_or_else(|| {
                    let label = label.map_or("none".into(), |label| label.to_string());
                    format!("row {row} has label {label}, but labels are 0 to {}", MAX_CLASSES - 1)
                }));
            }
        }
        if images.len() != labels.len() {
            return Err(format!("{} images, but {} labels", images.len(), labels.len()).into());
        }
        Ok((images, labels))
    }

    /// The name of a column.
    fn column(&self, column: usize) -> String {
        self.reader.metadata().file_metadata().schema_descr().column(column).path().string()
    }

    /// Labels of two columns may be of two kinds.
    fn must_agree(&self, other: &Self, path: &Path) -> Result<(), String> {
        let (own, of_other) = (self.column(self.labels), other.column(other.labels));
        match own == of_other {
            true => Ok(()),
            false => Err(format!(
                "its labels are in column {own}, and those of {} in {of_other}: they may mean other classes",
                path.display()
            )),
        }
    }

    /// The names that the `datasets` library keeps; none where the file does not tell.
    fn class_names(&self) -> Vec<String> {
        let metadata = self.reader.metadata().file_metadata();
        let own = metadata.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "huggingface");
        let text = own.and_then(|pair| pair.value.as_deref()).unwrap_or_default();
        let info: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let column = metadata.schema_descr().column(self.labels);
        let names = info["info"]["features"][column.path().string()]["names"].as_array().cloned();
        let names = names.unwrap_or_default().into_iter();
        names.map(|name| name.as_str().map_or_else(|| name.to_string(), String::from)).collect()
    }
}

#[allow(clippy::disallowed_methods)]
fn reader(path: &Path) -> Result<SerializedFileReader<File>, FileError> {
    let file = File::open(path)?;
    // What old writers called LZ4 may be one of three things, and the reader tries one that has no bound.
    let lz4 = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(lz4).build();
    Ok(SerializedFileReader::new_with_options(file, options)?)
}

/// How many rows a file has, if all labels are missing or -1, which test splits without labels have. What is wrong with
/// it otherwise, or takes more memory than `room`, is for [`Table`] to name.
fn without_labels(path: &Path, room: u64) -> Result<Option<u64>, FileError> {
    match catch_unwind(|| rows_without_labels(path, room)) {
        Err(_) | Ok(Err(FileError::Invalid(_))) => Ok(None),
        Ok(found) => found,
    }
}

#[allow(clippy::disallowed_methods)]
fn rows_without_labels(path: &Path, room: u64) -> Result<Option<u64>, FileError> {
    let reader = reader(path)?;
    column(reader.metadata(), &IMAGES, &[Type::BYTE_ARRAY], "images")?;
    let count = reader.metadata().row_groups().iter().map(rows).fold(0, u64::saturating_add);
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    if !columns.iter().any(|column| LABELS.contains(&column.path().string().as_str())) {
        return Ok(Some(count));
    }
    let labels = column(reader.metadata(), &LABELS, &[Type::INT64, Type::INT32], "labels")?;
    let mut file = BufReader::new(File::open(path)?);
    for (number, group) in reader.metadata().row_groups().iter().enumerate() {
        if pages::unpacked_bytes(&mut file, group.column(labels), room)? > room {
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

/// Reads a column of a group of `most` rows; what is missing is `None`. Pages may claim any number of
/// missing values in a few bytes: the group's rows, for which there is room, bound them.
fn values<T: DataType>(mut reader: ColumnReaderImpl<T>, max: u64) -> Result<Vec<Option<T::T>>, FileError> {
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

/// The images of all files, in memory.
#[derive(Debug, Default)]
struct Rows {
    /// Each file with the number of its first row.
    files: Vec<(u64, PathBuf)>,
    images: RwLock<Vec<ByteArray>>,
    count: u64,
}

impl Rows {
    fn count(&self) -> u64 {
        self.count
    }

    fn append(&mut self, path: PathBuf, images: Vec<ByteArray>) {
        self.files.push((self.count, path));
        self.count += images.len() as u64;
        self.images.get_mut().expect("nobody panics while holding it").extend(images);
    }
}

impl Archive for Rows {
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), ReadError> {
        let unusable = |text: &str| ReadError::Record(text.into());
        let images = self.images.read().expect("nobody panics while holding it");
        let image = images.get(record as usize).ok_or_else(|| unusable("its bytes are not kept any more"))?;
        into.clear();
        into.extend_from_slice(image.data());
        if into.is_empty() { Err(unusable("its image is missing")) } else { Ok(()) }
    }

    fn path(&self, record: u64) -> String {
        let file = self.files.partition_point(|(first, _)| *first <= record) - 1;
        let (first, path) = &self.files[file];
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        format!("{name} row {}", record - first)
    }

    fn bytes(&self, record: u64) -> u64 {
        let images = self.images.read().expect("nobody panics while holding it");
        images.get(record as usize).map_or(0, |image| image.len() as u64)
    }

    fn in_memory(&self) -> bool {
        true
    }

    fn release(&self) {
        *self.images.write().expect("nobody panics while holding it") = Vec::new();
    }
}
