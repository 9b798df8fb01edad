//! Why a published dataset was not fetched.

use crate::source::error::SourceError;
use mixfeed_pipeline::SampleError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a set was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The folder is no name for one.
    #[error("--output {} does not name a folder", .0.display())]
    Output(PathBuf),
    /// The folder holds something else than the set.
    #[error("--output {} {found}; give a folder of its own{hint}", output.display())]
    Taken {
        /// The folder.
        output: PathBuf,
        /// What is there.
        found: String,
        /// What else may help.
        hint: &'static str,
    },
    /// Another process fetches to the same folder.
    #[error("{}: another process is fetching this", .0.display())]
    Busy(PathBuf),
    /// The archive did not come.
    #[error(
        "cannot fetch {origin}: {reason}; give a mirror or a copy by --url (https://… or file:///…), or go without: `--data DIR` takes a folder of your own, `--data synthetic` drawings"
    )]
    Download {
        /// From where.
        origin: String,
        /// What happened.
        reason: String,
    },
    /// The archive is another one.
    #[error(
        "{origin}: its SHA-256 is {found}, not {wanted}; nothing was unpacked (--sha256 takes the digest of an archive that you trust)"
    )]
    Checksum {
        /// From where.
        origin: String,
        /// Hexadecimal.
        found: String,
        /// Hexadecimal.
        wanted: String,
    },
    /// The archive is not what it should be.
    #[error("{origin}: {reason}")]
    Archive {
        /// From where.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// The files are not the set.
    #[error(transparent)]
    Set(#[from] SourceError),
    /// An image of the set cannot be read.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// Writing failed.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FetchError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.into(), source }
    }
}
