//! Where data is, as a user names it, and how it is to be read.

use super::error::SourceError;
use super::options::Options;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Training samples of `synthetic` when no number is given.
pub(super) const SYNTHETIC_SAMPLES: u64 = 20_000;

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
