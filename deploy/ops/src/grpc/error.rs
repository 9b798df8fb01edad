//! What can be wrong with certificates, keys and tokens. Files are named, and nothing in them is told.

use std::path::PathBuf;

/// Why a certificate, a key or a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// Which one.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{}: {fault}", file.display())]
    Content {
        /// Which one.
        file: PathBuf,
        /// What is wrong with it, in words that are ours.
        fault: String,
    },
    /// Flags that say something only together.
    #[error("{0}")]
    Flags(&'static str),
}
