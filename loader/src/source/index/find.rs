//! Which index a set is opened by: the one that was given, or one that lies in its folder.
//!
//! One that was given and cannot be used is an error. One that was only found is passed over then, with a word, and the set
//! is read as without.

use super::super::error::SourceError;
use super::super::file_error::FileError;
use super::super::options::{INDEX_FILE, Options};
use super::super::retry::{is_listed, metadata, patiently, read};
use super::super::splits::within;
use super::{Holders, Index};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Files that are looked for, to see that the index is of this set.
const LOOKED_FOR: usize = 16;

/// What there is to open a set by.
pub(in crate::source) enum Choice {
    /// No index: it has to be read.
    Read,
    /// This index.
    Index(PathBuf, Box<Index>),
    /// An index that was found and cannot be used, with the reason.
    Unusable(String),
}

/// Says how many rows a table has.
type CountRows = fn(&Path) -> Result<u64, FileError>;

/// Finds the index of the set at `place`, if there is one, and none where one is being made.
pub(in crate::source) fn find(
    place: &Path,
    options: &Options,
    count_rows: CountRows,
) -> Result<Choice, SourceError> {
    let beside = place.join(INDEX_FILE);
    let path = match &options.data_index {
        _ if options.write_index => return Ok(Choice::Read),
        Some(given) => given,
        None if !is_listed(&beside) => return Ok(Choice::Read),
        None if options.no_digest_cache => {
            tracing::info!(path = %beside.display(), "index not used, because of --no-digest-cache");
            return Ok(Choice::Read);
        }
        None => &beside,
    };
    match load(path, place, options, count_rows) {
        Ok(index) => Ok(Choice::Index(path.clone(), Box::new(index))),
        Err(error) if options.data_index.is_none() => {
            Ok(Choice::Unusable(format!("index not used, all files are read: {error}")))
        }
        Err(error) => Err(error),
    }
}

fn load(path: &Path, place: &Path, options: &Options, count_rows: CountRows) -> Result<Index, SourceError> {
    let refused = |reason: String| SourceError::Set { path: path.into(), reason };
    let is_file = metadata(place)?.is_file();
    let bytes = patiently(|| read(path))?.ok_or_else(|| SourceError::Missing(path.into()))?;
    let index = Index::decode(&bytes).map_err(refused)?;
    drop(bytes);
    let contents = &index.contents;
    for (flag, made, now) in
        [("--train", &contents.train, &options.train), ("--test", &contents.test, &options.test)]
    {
        let now = now.as_ref().map(|pattern| within(place, pattern, &[]));
        if *made != now {
            let said = |value: &Option<String>| match value {
                Some(value) => format!("with {flag} {value}"),
                None => format!("without {flag}"),
            };
            return Err(refused(format!("it was made {}, and the set is opened {}", said(made), said(&now))));
        }
    }
    if is_file && contents.shards.len() != 1 {
        return Err(refused(format!("it is of a folder, and {} is a file", place.display())));
    }
    match index.holders() {
        Holders::Files => files_are_there(&index, place),
        Holders::Shards => shards_are_there(&index, place),
        Holders::Tables => tables_are_there(&index, place, count_rows),
    }
    .map_err(refused)?;
    Ok(index)
}

/// Each shard must be there, and as long as its records say.
#[allow(clippy::disallowed_methods)]
fn shards_are_there(index: &Index, place: &Path) -> Result<(), String> {
    let contents = &index.contents;
    let mut first = 0;
    for (path, count) in index.shards(place).iter().zip(&contents.counts) {
        let records = first..first + *count as usize;
        first = records.end;
        let end = |record: usize| contents.offsets[record].saturating_add(contents.lengths[record].into());
        let needed = records.map(end).max().unwrap_or(0);
        match std::fs::metadata(path) {
            Err(error) => return Err(format!("{}, of which it is, cannot be read: {error}", path.display())),
            Ok(found) if found.len() < needed => {
                let (path, found) = (path.display(), found.len());
                return Err(format!(
                    "{path} has {found} bytes, and its records have {needed}: it is of another set"
                ));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Each table must be there, and have all rows that its records are.
fn tables_are_there(index: &Index, place: &Path, count_rows: CountRows) -> Result<(), String> {
    let contents = &index.contents;
    let mut first = 0;
    for (number, (path, count)) in (0..).zip(index.shards(place).iter().zip(&contents.counts)) {
        let records = &contents.offsets[first..first + *count as usize];
        first += records.len();
        let lacking = contents.incomplete.iter().filter(|lacking| lacking.shard == number).count() as u64;
        let rows = count_rows(path);
        let (path, of) = (path.display(), "it is of another set");
        let rows = rows.map_err(|error| format!("{path}, of which it is, cannot be read: {error}"))?;
        if rows != count + lacking {
            return Err(format!("{path} has {rows} rows, and {} are in it: {of}", count + lacking));
        }
        let ascends = records.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascends || records.last().is_some_and(|last| *last >= rows) {
            return Err(format!("its records of {path} are no rows of it: {of}"));
        }
    }
    Ok(())
}

/// A file that is gone is the fault of its record. Where none is there that is looked for, the set is another one.
#[allow(clippy::disallowed_methods)]
fn files_are_there(index: &Index, place: &Path) -> Result<(), String> {
    let count = index.names.len();
    let gone = |record: usize| {
        let path = place.join(OsStr::from_bytes(&index.names.get(record)));
        let error = std::fs::symlink_metadata(path).err();
        error.is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
    };
    let mut looked_for = (0..count).step_by(count.div_ceil(LOOKED_FOR).max(1));
    if count > 0 && looked_for.all(gone) {
        let name = index.names.get(0);
        let name = String::from_utf8_lossy(&name);
        return Err(format!(
            "it is of another set: {name} is not there, and none of the others that were looked for"
        ));
    }
    Ok(())
}
