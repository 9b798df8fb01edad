//! Sources: from a place that a user names to a [`Dataset`]. The only files of the loader that
//! read files.
//!
//! A place is `synthetic[:N]` or a path whose format is recognised by looking.

mod cifar;

use mixfeed_pipeline::cifar::RecordError;
use mixfeed_pipeline::{Dataset, synthetic};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Training samples of `synthetic` when no number is given.
const SYNTHETIC_SAMPLES: u64 = 20_000;

/// Where data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Drawings made by number, this many for training.
    Synthetic(u64),
    /// A file or folder.
    Path(PathBuf),
}

impl FromStr for Place {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let number = match text.split_once(':') {
            _ if text == "synthetic" => return Ok(Self::Synthetic(SYNTHETIC_SAMPLES)),
            Some(("synthetic", number)) => number,
            _ => return Ok(Self::Path(text.into())),
        };
        match number.replace('_', "").parse() {
            Ok(samples) if samples > 0 => Ok(Self::Synthetic(samples)),
            _ => Err(SourceError::SyntheticSize(number.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic(samples) => write!(f, "synthetic:{samples}"),
            Self::Path(path) => path.display().fmt(f),
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
    /// Nothing in the folder is of a format that is known.
    #[error(
        "{}: no data of a known format; expected CIFAR-10 in the binary version \
         (data_batch_1.bin to data_batch_5.bin, test_batch.bin)",
        .0.display()
    )]
    Unknown(PathBuf),
    /// A file of the set is not there.
    #[error("{}: missing; a CIFAR-10 folder has data_batch_1.bin to data_batch_5.bin and test_batch.bin", .0.display())]
    Incomplete(PathBuf),
    /// A file holds something else than valid records.
    #[error("{}: {source}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: RecordError,
    },
}

/// Reads the data at `place`.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open(place: &Place) -> Result<Dataset, SourceError> {
    match place {
        Place::Synthetic(samples) => Ok(synthetic::dataset(*samples)),
        Place::Path(path) => open_path(path),
    }
}

#[allow(clippy::disallowed_methods)]
fn open_path(path: &Path) -> Result<Dataset, SourceError> {
    let folder = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => path,
        Ok(_) => return Err(SourceError::Unknown(path.into())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(SourceError::Missing(path.into())),
        Err(source) => return Err(SourceError::Read { path: path.into(), source }),
    };
    // The archive of CIFAR-10 unpacks into a folder of this name.
    let inner = folder.join("cifar-10-batches-bin");
    for folder in [folder, &inner] {
        if cifar::recognises(folder) {
            return cifar::open(folder);
        }
    }
    Err(SourceError::Unknown(path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        assert_eq!("synthetic".parse::<Place>().unwrap(), Place::Synthetic(SYNTHETIC_SAMPLES));
        assert_eq!("synthetic:1_000".parse::<Place>().unwrap(), Place::Synthetic(1000));
        assert_eq!("data/cifar".parse::<Place>().unwrap(), Place::Path("data/cifar".into()));
        assert_eq!("./synthetic".parse::<Place>().unwrap(), Place::Path("./synthetic".into()));
        for wrong in ["synthetic:", "synthetic:0", "synthetic:x", "synthetic:-1"] {
            let message = wrong.parse::<Place>().unwrap_err().to_string();
            assert!(message.contains("whole number from 1"), "{message}");
        }
    }

    #[test]
    fn folders_without_data_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nowhere");
        let message = |path: &Path| open(&Place::Path(path.into())).unwrap_err().to_string();
        assert!(message(&missing).ends_with("nowhere: no such file or folder"));
        assert!(message(folder.path()).contains("no data of a known format"));
    }
}
