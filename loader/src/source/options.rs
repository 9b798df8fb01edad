//! What a user may say about data beyond its place. The defaults suit data that needs nothing said.

use mixfeed_pipeline::spec::ImageSize;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The name under which the index of a set is found, in the set's folder.
pub(super) const INDEX_FILE: &str = "mixfeed.index";

/// How a source is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Which files or folders are the training split: names, paths or patterns, separated by commas. `.` is the place
    /// itself, whose folders are the classes. `None`: their names tell.
    pub train: Option<String>,
    /// The same of the test split; `none` for none.
    pub test: Option<String>,
    /// In which order the records of a split come.
    pub order: Order,
    /// The share of records, 0 to 1, that becomes the test split of data that has none.
    pub test_fraction: f64,
    /// What is kept in memory.
    pub cache: Cache,
    /// Memory that may be kept; `None` is half of what the machine has free.
    pub cache_bytes: Option<u64>,
    /// The output size of streams that name none: images are cropped in the center to its proportions and resized.
    pub image_size: Option<ImageSize>,
    /// A list of records that are left out.
    pub skip_list: Option<PathBuf>,
    /// An index of the set, by which it is opened without listing or reading it. `None`: [`INDEX_FILE`] in its folder, if
    /// there is one.
    pub data_index: Option<PathBuf>,
    /// Whether every file is read and decoded, so that the [`Report`](super::Report) comes with an index.
    pub write_index: bool,
    /// What becomes of records that reading the set finds bad.
    pub bad_records: BadRecords,
    /// Whether everything is read at each start, by no index that was only found, and nothing about it kept on disk.
    pub no_digest_cache: bool,
    /// Where digests are kept of data that cannot be written to.
    pub user_cache: Option<PathBuf>,
}

impl Options {
    /// Returns the names of the settings that a set complete in itself contradicts, and of those that have no effect on
    /// it. (A policy for bad records is neither where there are none.)
    pub(crate) fn for_image_files(&self) -> [Vec<&'static str>; 2] {
        let Self {
            train,
            test,
            order,
            test_fraction,
            image_size,
            skip_list,
            data_index,
            cache,
            cache_bytes,
            ..
        } = self;
        let given = |settings: &[(bool, &'static str)]| {
            settings.iter().filter(|(is_given, _)| *is_given).map(|(_, name)| *name).collect()
        };
        let contradicted = given(&[
            (train.is_some(), "--train"),
            (test.is_some(), "--test"),
            (*order != Order::Path, "--order"),
            (*test_fraction > 0.0, "--test-fraction"),
            (image_size.is_some(), "--image-size"),
            (skip_list.is_some(), "--skip-list"),
            (data_index.is_some(), "--data-index"),
        ]);
        let idle = given(&[(*cache != Cache::Auto, "--cache"), (cache_bytes.is_some(), "--cache-memory")]);
        [contradicted, idle]
    }
}

/// In which order the records of a split come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By path, class after class, as torchvision's ImageFolder has it; shards in order of their names.
    #[default]
    Path,
    /// By the file's own name, whatever its folder.
    Name,
}

/// What is kept in memory of images that come as files of their own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// The first of the others that fits.
    #[default]
    Auto,
    /// Pixels: nothing is decoded twice.
    Decoded,
    /// Files as they are: nothing is read twice.
    Encoded,
    /// Nothing.
    None,
}

/// What becomes of bad records.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum BadRecords {
    /// They fail the batches that they are in.
    #[default]
    Fail,
    /// They are left out, if they are at most so many.
    Skip {
        /// The most that may be left out.
        max: u64,
    },
}

impl BadRecords {
    /// Whether every image is to be decoded while the set is read, so that all replicas leave out the same.
    pub(super) fn need_decoding(self) -> bool {
        matches!(self, Self::Skip { .. })
    }
}

impl FromStr for BadRecords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let max = match text.split_once('=') {
            None if text == "fail" => return Ok(Self::Fail),
            None if text == "skip" => Some(u64::MAX),
            Some(("skip", max)) => max.parse().ok(),
            _ => None,
        };
        let wrong = || format!("{text} is not allowed: fail, skip, or skip=N for at most N records");
        max.map(|max| Self::Skip { max }).ok_or_else(wrong)
    }
}

impl fmt::Display for BadRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail => f.write_str("fail"),
            Self::Skip { max: u64::MAX } => f.write_str("skip"),
            Self::Skip { max } => write!(f, "skip={max}"),
        }
    }
}

impl TryFrom<String> for BadRecords {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BadRecords> for String {
    fn from(policy: BadRecords) -> Self {
        policy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        for text in ["fail", "skip", "skip=0", "skip=17"] {
            assert_eq!(text.parse::<BadRecords>().unwrap().to_string(), text);
        }
        for wrong in ["", "Skip", "skip=", "skip=-1", "skip=1.5", "fail=1", "warn"] {
            let message = wrong.parse::<BadRecords>().unwrap_err();
            assert!(message.contains("fail, skip, or skip=N"), "{message}");
        }
    }
}
