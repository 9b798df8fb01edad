//! Parquet files as Hugging Face's datasets have them: a column of encoded images and one of labels.
//!
//! The images are the `bytes` of a column `img` or `image`, or such a column itself; the labels are whole
//! numbers in `label`, `labels` or `fine_label`. Where two of these are there, either may be meant, and the file is refused
//! with both. Names of classes come from the metadata that the
//! `datasets` library writes. Labels are read at the start, and so is where the pages of the images lie (`table.rs`,
//! `pages.rs`). Images are read when they are asked for (`images.rs`): pages are compressed as a whole, so that those that
//! were unpacked last are kept (`page_cache.rs`).

mod images;
mod page_cache;
mod pages;
mod table;
mod thrift;

use super::bad_records::Incomplete;
use super::digest_cache::DigestCache;
use super::error::SourceError;
use super::file_error::FileError;
use super::index::Index;
use super::options::Options;
use super::records::{Found, Places, Record, named_twice};
use super::report::{Columns, Report};
use super::retry::patiently;
use super::{encoded, memory, shards};
use images::Tables;
use mixfeed_pipeline::{Dataset, Split};
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(super) use table::count_rows;
use table::{Heading, Labels, Opened, without_labels};

/// Reads the files of a place.
pub(super) fn open(
    place: &Path,
    files: Vec<PathBuf>,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let mut room = memory::default_bytes();
    let unlabelled = |path: &Path| patiently(|| without_labels(path, room).map_err(|e| e.at(path)));
    let files = shards::divide(place, files, options, report, unlabelled, |path| count_rows(path).ok())?;
    let paths = files.iter().map(|(_, path)| path.clone()).collect();
    let (mut tables, mut headings) = (Tables::new(), Vec::new());
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (file, (split, path)) in (0..).zip(files) {
        let (heading, labels, left, table) = patiently(|| {
            let read = || {
                let opened = Opened::new(&path)?;
                let (labels, left) = opened.labels(room)?;
                Ok((opened.heading(), labels, left, opened.table(&path)?))
            };
            read().map_err(|error: FileError| error.at(&path))
        })?;
        room = left;
        if let Some(divided) = &heading.divided {
            must_be_chosen(&path, split, divided, options, report)?;
        }
        let Labels { labels, missing } = labels;
        let records = if split == Split::Train { &mut train } else { &mut test };
        records.extend((tables.count()..).zip(labels).map(|(number, label)| Record { number, label }));
        tables.append(table, missing.iter().map(|(row, _)| *row).collect());
        tables.incomplete.extend(missing.into_iter().map(|(_, reason)| (file, reason)));
        headings.push((path, heading));
    }
    must_agree(&headings)?;
    must_name_alike(&headings)?;
    report.columns = headings.first().map(|(_, first)| columns(first));
    let mut classes =
        headings.into_iter().map(|(_, it)| it.classes).find(|names| !names.is_empty()).unwrap_or_default();
    let max = train.iter().chain(&test).map(|record: &Record| record.label as usize + 1).max().unwrap_or(0);
    classes.extend((classes.len()..max).map(|class| class.to_string()));
    let (cache, known) = DigestCache::find(place, paths, options);
    encoded::open(place, found(place, classes, tables, train, test), options, &cache, known, report)
}

/// Opens tables by an index, without reading labels.
pub(super) fn open_indexed(
    place: &Path,
    mut index: Index,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    index.tell(report);
    let [train, test] = index.records();
    let Places { shards, counts, offsets, incomplete, .. } = index.take_places(place);
    let (mut tables, mut first) = (Tables::new(), 0);
    for (path, count) in shards.iter().zip(counts) {
        let (heading, table) = patiently(|| {
            let opened = Opened::new(path);
            opened.and_then(|it| Ok((it.heading(), it.table(path)?))).map_err(|error| error.at(path))
        })?;
        report.columns.get_or_insert_with(|| columns(&heading));
        let records = &offsets[first..first + count as usize];
        first += records.len();
        let mut records = records.iter().peekable();
        // That they ascend, and how many there are, was checked with the index.
        let missing = (0..table.rows).filter(|row| records.next_if_eq(&row).is_none()).collect();
        tables.append(table, missing);
    }
    tables.incomplete = incomplete;
    let found = found(place, index.classes().to_vec(), tables, train, test);
    encoded::open_indexed(place, found, index, options, report)
}

fn found(place: &Path, classes: Vec<String>, tables: Tables, train: Vec<Record>, test: Vec<Record>) -> Found {
    let name = place.file_stem().map_or_else(|| "table".into(), |name| name.to_string_lossy().into_owned());
    let incomplete = tables.incomplete.iter();
    let incomplete = incomplete
        .map(|(file, reason)| Incomplete { path: tables.path(*file).into(), reason: reason.clone() })
        .collect();
    Found { name, classes, archive: Arc::new(tables), train, test, incomplete }
}

fn columns(heading: &Heading) -> Columns {
    Columns { images: heading.images.clone(), labels: heading.labels.clone() }
}

/// Refuses a table with rows of several splits, unless a flag chooses all of it.
fn must_be_chosen(
    path: &Path,
    split: Split,
    divided: &str,
    options: &Options,
    report: &mut Report,
) -> Result<(), SourceError> {
    let (flag, chosen) = match split {
        Split::Train => ("--train", options.train.is_some()),
        Split::Test => ("--test", options.test.is_some()),
    };
    let name = path.file_name().unwrap_or_default().display();
    if chosen {
        report.warnings.push(format!("all rows of {name} are taken, and its {divided}"));
        return Ok(());
    }
    let reason = format!(
        "its {divided}, and rows are not divided: make a file of each split, or take all rows with {flag} {name}"
    );
    Err(SourceError::Set { path: path.into(), reason })
}

/// Refuses tables whose labels are in two columns, which may be of two kinds.
fn must_agree(headings: &[(PathBuf, Heading)]) -> Result<(), SourceError> {
    let Some((first_path, first)) = headings.first() else { return Ok(()) };
    match headings.iter().find(|(_, heading)| heading.labels != first.labels) {
        None => Ok(()),
        Some((path, heading)) => Err(SourceError::Set {
            path: path.clone(),
            reason: format!(
                "its labels are in column {}, and those of {} in {}: they may mean other classes",
                heading.labels,
                first_path.display(),
                first.labels
            ),
        }),
    }
}

/// Refuses tables of which one names its classes otherwise than another: the same number would mean two things.
fn must_name_alike(headings: &[(PathBuf, Heading)]) -> Result<(), SourceError> {
    let named = || headings.iter().map(|(path, heading)| (path, &heading.classes));
    for (path, names) in named() {
        if let Some(name) = named_twice(names) {
            let reason = format!("it names two classes {name:?}");
            return Err(SourceError::Set { path: path.clone(), reason });
        }
    }
    let mut named = named().filter(|(_, names)| !names.is_empty());
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
        return Err(SourceError::Set { path: path.clone(), reason });
    }
    Ok(())
}
