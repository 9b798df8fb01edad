//! Why data cannot be used, with the place and the reason: the error of all sources.

use mixfeed_ops::exit;
use mixfeed_pipeline::cifar::RecordError;
use std::path::PathBuf;

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
    #[error("{place}: {flags}: only for image files in folders, shards or tables")]
    Options {
        /// The set.
        place: String,
        /// The settings that it contradicts.
        flags: String,
    },
    /// No index is made of such data.
    #[error("{place}: --write-index is for image files in folders, tar shards and tables: {reason}")]
    NoIndex {
        /// The set.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// There is to be no test split, and there is to be one.
    #[error("--test none and --test-fraction {0} contradict each other: give one of them")]
    NoTestAndFraction(f64),
    /// A custom source cannot read its data.
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

impl SourceError {
    /// The exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::SyntheticSize(_)
            | Self::Options { .. }
            | Self::NoIndex { .. }
            | Self::NoTestAndFraction(_) => exit::USAGE,
            _ => exit::DATA,
        }
    }
}

/// How many records there are beside one that is named.
pub(super) fn more(others: usize) -> String {
    if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more record{})", if others == 1 { "" } else { "s" })
    }
}

/// What a user may have, for the message that none of it was found.
const FORMATS: &str = "CIFAR-10 or CIFAR-100 in the binary or Python version, parquet files of images and labels, WebDataset shards (.tar), or a folder of class folders with PNG, JPEG, WebP, BMP, GIF or TIFF files";
