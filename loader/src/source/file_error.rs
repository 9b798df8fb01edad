//! Why a file that holds many records cannot be used: what the system says at the moment, or what its bytes are.

use super::error::SourceError;
use ::parquet::errors::ParquetError;
use std::fmt;
use std::io;
use std::path::Path;

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum FileError {
    /// The system cannot read it now.
    Read(io::Error),
    /// It is not what it should be.
    Invalid(String),
}

impl FileError {
    /// The same of the file at `path`.
    pub(super) fn at(self, path: &Path) -> SourceError {
        match self {
            Self::Read(source) => SourceError::Read { path: path.into(), source },
            Self::Invalid(reason) => SourceError::Set { path: path.into(), reason },
        }
    }

    /// Says of wrong bytes where they are.
    pub(super) fn said(self, say: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Invalid(reason) => Self::Invalid(say(&reason)),
            read @ Self::Read(_) => read,
        }
    }
}

impl From<io::Error> for FileError {
    /// A file that ends early is cut short, which the system does not number.
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(_) => Self::Read(error),
            None => Self::Invalid(error.to_string()),
        }
    }
}

impl From<String> for FileError {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl From<ParquetError> for FileError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(cause) => match cause.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(cause) => Self::Invalid(ParquetError::External(cause).to_string()),
            },
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_of_the_moment_and_the_rest_of_the_file() {
        let system = || io::Error::from_raw_os_error(5);
        let moment = |error: FileError| matches!(error.at(Path::new("x")), SourceError::Read { .. });
        assert!(moment(system().into()) && moment(ParquetError::from(system()).into()));
        assert!(!moment(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
        assert!(!moment(ParquetError::General("no footer".into()).into()));
        assert!(!moment("damaged".to_string().into()));
    }
}
