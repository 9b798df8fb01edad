//! Sources: from a place that a user names to a [`Dataset`]. The only files of the loader that
//! read files.
//!
//! A place is `synthetic[:N]` or a path whose format is recognised by looking. Each format has a file with
//! a function `look`, which reads what it knows and passes on what it does not. Records that are image
//! files of their own ([`records`]) share all that follows: splits by names ([`splits`]), order, digest, decoding,
//! memory ([`encoded`]). What was taken for what is in a [`Report`].

mod bad_records;
mod batches;
mod cifar;
mod digest_cache;
mod encoded;
pub mod fetch;
mod file_error;
mod folder;
mod formats;
mod kept;
mod listing;
mod memory;
mod numbered;
mod options;
mod parallel;
mod parquet;
mod published;
mod reading;
mod records;
mod report;
mod set_files;
mod shards;
mod skip_list;
mod splits;
mod tar;
#[cfg(test)]
mod tests;
mod webdataset;

pub use bad_records::BadRecords;
pub use options::{Cache, ImageSize, Options, Order};
pub(crate) use parallel::in_chunks;
pub use published::Published;
pub use report::{Columns, LeftOut, Report, Taken};
pub use skip_list::{SkipList, Skipped};

use crate::extensions::Extensions;
use formats::Format;
use mixfeed_pipeline::cifar::RecordError;
use mixfeed_pipeline::{Dataset, synthetic};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Training samples of `synthetic` when no number is given.
const SYNTHETIC_SAMPLES: u64 = 20_000;

/// Where data comes from, and how it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where it is.
    pub location: Location,
    /// How it is read.
    pub options: Options,
}

impl Place {
    /// Returns the same place, read with `options`.
    #[must_use]
    pub fn with(self, options: Options) -> Self {
        Self { options, ..self }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { location, options: Options::default() }
    }
}

/// Where data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Drawings made by number, this many for training.
    Synthetic(u64),
    /// A file or folder.
    Path(PathBuf),
}

impl FromStr for Place {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let number = match text.split_once(':') {
            _ if text == "synthetic" => return Ok(Location::Synthetic(SYNTHETIC_SAMPLES).into()),
            Some(("synthetic", number)) => number,
            _ => return Ok(Location::Path(text.into()).into()),
        };
        match number.replace('_', "").parse() {
            Ok(samples) if samples > 0 => Ok(Location::Synthetic(samples).into()),
            _ => Err(SourceError::SyntheticSize(number.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::Synthetic(samples) => write!(f, "synthetic:{samples}"),
            Location::Path(path) => path.display().fmt(f),
        }
    }
}

/// Data that cannot be used, with the place and the reason.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The number after `synthetic:` is not one.
    #[error("synthetic:{0}: the number of samples must be a whole number from 1 to 18446744073709551615")]
    SyntheticSize(String),
    /// The path does not exist.
    #[error("{}: no such file or folder", .0.display())]
    Missing(PathBuf),
    /// Reading failed.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Records of the set cannot be read now. Which set it is follows from all of them.
    #[error("{}: {first}{}; a set is served when all its files can be read", path.display(), more(*others))]
    Unreadable {
        /// The set.
        path: PathBuf,
        /// The first of them, with what the system said.
        first: String,
        /// How many more.
        others: usize,
    },
    /// Nothing at the place is of a format that is known.
    #[error("{}: no data of a known format{hint}; expected {FORMATS}", path.display())]
    Unknown {
        /// The file or folder.
        path: PathBuf,
        /// What was found instead, and what to do, if that can be told.
        hint: String,
    },
    /// A file of the set is not there.
    #[error("{}: missing; {set} has {files}", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Name of the set.
        set: &'static str,
        /// The files that it consists of.
        files: String,
    },
    /// The set is not what it should be.
    #[error("{}: {reason}", path.display())]
    Set {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The set is complete in itself.
    #[error(
        "{0}: train, test, order, test fraction, image size and skip list are for image files, in folders, shards or tables"
    )]
    Options(Box<Place>),
    /// There is to be no test split, and there is to be one.
    #[error("--test none and --test-fraction {0} contradict each other: give one of them")]
    NoTestAndFraction(f64),
    /// A source of one's own cannot read its data.
    #[error("{place}: {reason}")]
    Custom {
        /// Its name and what follows it.
        place: String,
        /// What it says.
        reason: String,
    },
    /// A file holds something else than valid records.
    #[error("{}: {source}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: RecordError,
    },
}

fn more(others: usize) -> String {
    if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more record{})", if others == 1 { "" } else { "s" })
    }
}

/// What a user may have, for the message that none of it was found.
const FORMATS: &str = "CIFAR-10 or CIFAR-100 in the binary or Python version, parquet files of images and labels, WebDataset shards (.tar), or a folder of class folders with PNG, JPEG, WebP, BMP, GIF or TIFF files";

/// Reads the data at `place`, by a source of one's own if it names one, and logs what was taken for what.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open_with(place: &Place, extensions: &Extensions) -> Result<Dataset, SourceError> {
    let (dataset, report) = open_with_report(place, extensions)?;
    report.log();
    Ok(dataset)
}

/// The same, with what was taken for what, and without a word in the log.
///
/// # Errors
/// As [`open_with`].
pub fn open_with_report(place: &Place, extensions: &Extensions) -> Result<(Dataset, Report), SourceError> {
    let mut report = Report::default();
    let dataset = match extensions.open(place) {
        Some(dataset) => dataset?,
        None => find(place, &mut report)?,
    };
    report.count(&dataset);
    Ok((dataset, report))
}

/// Reads the data at `place`, and logs what was taken for what.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open(place: &Place) -> Result<Dataset, SourceError> {
    open_with(place, &Extensions::default())
}

fn find(place: &Place, report: &mut Report) -> Result<Dataset, SourceError> {
    let whole = match &place.location {
        Location::Synthetic(samples) => Some(synthetic::dataset(*samples)),
        Location::Path(path) => {
            let found = reading::patiently(|| must_exist(path))?;
            match found.is_dir() {
                false => None,
                true => match cifar::look(path)? {
                    None => batches::look(path)?,
                    found => found,
                },
            }
        }
    };
    match (whole, &place.location) {
        (Some(_), _) if place.options.are_for_image_files() => {
            Err(SourceError::Options(Box::new(place.clone())))
        }
        (Some(dataset), _) => Ok(dataset),
        (None, Location::Path(path)) => images(path, &place.options, report),
        (None, Location::Synthetic(_)) => unreachable!("made above"),
    }
}

/// Reads records that are image files of their own.
fn images(path: &Path, options: &Options, report: &mut Report) -> Result<Dataset, SourceError> {
    if options.test.as_deref() == Some(splits::NONE) && options.test_fraction > 0.0 {
        return Err(SourceError::NoTestAndFraction(options.test_fraction));
    }
    let dataset = match formats::find(path, options, report)? {
        Format::Tables(files) => parquet::open(path, files, options, report)?,
        Format::Shards(files) => webdataset::open(path, files, options, report)?,
        Format::Folders(others) => match folder::look(path, options, report)? {
            Some(dataset) => dataset,
            None => {
                return Err(SourceError::Unknown { path: path.into(), hint: hint(path, &others, report) });
            }
        },
    };
    if options.test_fraction > 0.0 {
        report.test.from = format!("{} of {}, by key", options.test_fraction, report.train.from);
    }
    Ok(dataset)
}

/// What to do about a place that is no data set, if that can be told.
fn hint(path: &Path, others: &BTreeMap<String, u64>, report: &mut Report) -> String {
    if !path.is_dir() {
        return " in this file; give the folder that holds the set".into();
    }
    if report.left_out.is_empty() {
        others.iter().for_each(|(ending, count)| report.leave_out_ending(ending, *count, "images"));
    }
    let found: Vec<String> = report.left_out.iter().map(ToString::to_string).collect();
    if found.is_empty() { String::new() } else { format!("; found {}", found.join(", ")) }
}

#[allow(clippy::disallowed_methods)]
fn must_exist(path: &Path) -> Result<std::fs::Metadata, SourceError> {
    std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SourceError::Missing(path.into()),
        _ => SourceError::Read { path: path.into(), source },
    })
}

/// Returns the contents of a file, or nothing where there is none. A link whose target is away is an error.
#[allow(clippy::disallowed_methods)]
fn read(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !listing::is_listed(path) => Ok(None),
        Err(source) => Err(SourceError::Read { path: path.into(), source }),
    }
}

/// The first name of a class that comes twice, if one does.
fn named_twice(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// Returns the lines of a text file that are not empty, or none where there is no file.
fn text_lines(path: &Path) -> Result<Vec<String>, SourceError> {
    let text = reading::patiently(|| read(path))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Into::into).collect())
}
