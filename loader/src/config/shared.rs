//! Flags that several commands share.

use crate::source::{BadRecords, Cache, Options, Order};
use bytesize::ByteSize;
use clap::{Args, ValueEnum as _};
use merge::Merge;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags that say how data is read, of each command that reads it and of the trainer for a loader inside it; as a file,
/// the same names in TOML.
#[derive(Clone, Debug, Default, Merge, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[merge(strategy = merge::option::overwrite_none)]
pub struct SourceArgs {
    /// Training split: comma-separated names, paths or globs of its files or folders; `.` takes the top-level folders as
    /// classes [default: detected from names such as train].
    #[arg(long, value_name = "NAME")]
    pub train: Option<String>,
    /// Test split, for evaluation, the same way; none for none [default: the first with labels of test, val and other names].
    #[arg(long, value_name = "NAME")]
    pub test: Option<String>,
    /// Order of image files: by path as torchvision has it, or by file name [default: path].
    #[arg(long, value_name = "ORDER")]
    pub order: Option<Order>,
    /// Fraction of the image files held out as test split of data without one, by a hash of each path; 0 to below 1 [default: 0].
    #[arg(long, value_name = "FRACTION")]
    pub test_fraction: Option<f64>,
    /// Cache of image files in memory: decoded pixels, encoded files or none [default: auto, what fits].
    #[arg(long, value_name = "CACHE")]
    pub cache: Option<Cache>,
    /// Size of that cache, e.g. 4GiB [default: half of the free memory].
    #[arg(long, value_name = "SIZE")]
    pub cache_memory: Option<ByteSize>,
    /// Skip the records in this file, as `inspect --write-skip-list` writes it. All loaders of a run need the same.
    #[arg(long, visible_alias = "skip", value_name = "FILE.toml")]
    pub skip_list: Option<PathBuf>,
    /// Index of the dataset, as `inspect --write-index` writes it: start without listing folders or reading images, and check
    /// each record against it when it is read [default: mixfeed.index in the dataset's folder, if it is there].
    #[arg(long, value_name = "FILE")]
    pub data_index: Option<PathBuf>,
    /// Bad records (images that cannot be decoded, records without label or image): fail the batches with them, skip
    /// them, or skip=N to skip at most N. All loaders of a run need the same [default: fail].
    #[arg(long, value_name = "POLICY")]
    pub bad_records: Option<BadRecords>,
    /// Read all image files at each start, keep no digests of them on disk, and use no index that lies beside them
    /// [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub no_digest_cache: Option<bool>,
}

impl SourceArgs {
    /// Returns the names of the flags, which are also the keys in a file.
    #[must_use]
    pub fn keys() -> Vec<String> {
        let command = Self::augment_args(clap::Command::new("source"));
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    }

    /// Returns the first flag that is given, if one is, as in `--order`.
    #[must_use]
    pub fn first_flag(&self) -> Option<String> {
        let flags = self.to_flags();
        let flag = flags.first()?.to_string_lossy();
        Some(flag.split('=').next().unwrap_or(&flag).to_owned())
    }

    /// Returns what the flags say.
    ///
    /// # Errors
    /// One line that names the flag, its value and what is allowed.
    pub fn options(&self) -> Result<Options, String> {
        // A setting that would do nothing is a mistake.
        if self.cache == Some(Cache::None) && self.cache_memory.is_some() {
            return Err("--cache-memory has no effect with --cache none".into());
        }
        if self.no_digest_cache == Some(true) && self.data_index.is_some() {
            return Err("--no-digest-cache reads all files, and --data-index none: give one of them".into());
        }
        Ok(Options {
            train: self.train.clone(),
            test: self.test.clone(),
            order: self.order.unwrap_or_default(),
            test_fraction: check_fraction(self.test_fraction.unwrap_or(0.0))?,
            cache: self.cache.unwrap_or_default(),
            cache_bytes: self.cache_memory.map(|size| size.as_u64()),
            image_size: None,
            skip_list: self.skip_list.clone(),
            data_index: self.data_index.clone(),
            write_index: false,
            bad_records: self.bad_records.unwrap_or_default(),
            no_digest_cache: self.no_digest_cache.unwrap_or(false),
            user_cache: user_cache(),
        })
    }

    /// Returns the same flags for a command line.
    #[must_use]
    pub fn to_flags(&self) -> Vec<OsString> {
        let Self {
            train,
            test,
            order,
            test_fraction,
            cache,
            cache_memory,
            skip_list,
            data_index,
            bad_records,
            no_digest_cache,
        } = self;
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| value.get_name().to_owned()).unwrap_or_default()
        };
        let mut flags: Vec<OsString> = Vec::new();
        flags.extend(train.iter().map(|name| format!("--train={name}").into()));
        flags.extend(test.iter().map(|name| format!("--test={name}").into()));
        flags.extend(order.map(|order| format!("--order={}", name(order.to_possible_value())).into()));
        flags.extend(test_fraction.map(|share| format!("--test-fraction={share}").into()));
        flags.extend(cache.map(|cache| format!("--cache={}", name(cache.to_possible_value())).into()));
        flags.extend(cache_memory.map(|size| format!("--cache-memory={}B", size.as_u64()).into()));
        flags.extend(bad_records.map(|policy| format!("--bad-records={policy}").into()));
        flags.extend(no_digest_cache.map(|yes| format!("--no-digest-cache={yes}").into()));
        flags.extend(skip_list.iter().flat_map(|path| ["--skip-list".into(), path.into()]));
        flags.extend(data_index.iter().flat_map(|path| ["--data-index".into(), path.into()]));
        flags
    }
}

/// The user's folder for what can be made again, by the rules of the XDG base directories.
#[allow(clippy::disallowed_methods)] // These two have no flags: they are the system's, not ours.
fn user_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("mixfeed"))
}

/// Checks a share of records that may be the test split.
fn check_fraction(fraction: f64) -> Result<f64, String> {
    if (0.0..1.0).contains(&fraction) {
        return Ok(fraction);
    }
    Err(format!("--test-fraction {fraction} is not allowed, 0 to less than 1"))
}
