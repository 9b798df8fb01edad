//! Flags that several commands share.

use crate::source::{BadRecords, Cache, ImageSize, Options, Order};
use bytesize::ByteSize;
use clap::{Args, ValueEnum as _};
use mixfeed_pipeline::spec::CustomTransform;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags that say how data is read. `serve` has the same, and the trainer for a loader inside it; as a file, the same
/// names in TOML.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct SourceArgs {
    /// Which files or folders to train on: name, path, pattern, or several with commas; `.` for the folders of the
    /// place as classes [default: as their names tell].
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// The same to test on; none for no test split [default: test or else val, if it has labels].
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Order of image files: by path as torchvision has it, or by file name [default: path].
    #[arg(long, value_name = "ORDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The share of image files, by a key of each, that is the test split of data without one [default: 0].
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// What is kept in memory of image files [default: what fits].
    #[arg(long, value_name = "WHAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Memory for what is kept, as in 4GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_memory: Option<ByteSize>,
    /// Bring image files to this size: a side, or HEIGHTxWIDTH [default: the size that all have].
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// Leave out the records in this file, as `inspect --write-skip-list` writes it.
    #[arg(long, visible_alias = "skip", value_name = "FILE.toml")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_list: Option<PathBuf>,
    /// What becomes of images that cannot be decoded and of records that lack label or image: fail the batches with
    /// them, skip them, or skip=N to skip at most N [default: fail].
    #[arg(long, value_name = "POLICY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_records: Option<BadRecords>,
    /// Read all image files, and keep no digests of them on disk [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_digest_cache: Option<bool>,
}

impl SourceArgs {
    /// The names of the flags, which are also the keys in a file.
    pub const KEYS: [&str; 10] = [
        "train",
        "test",
        "order",
        "test-fraction",
        "cache",
        "cache-memory",
        "image-size",
        "skip-list",
        "bad-records",
        "no-digest-cache",
    ];

    /// Returns what the flags say.
    ///
    /// # Errors
    /// One line that names the flag, its value and what is allowed.
    pub fn options(&self) -> Result<Options, String> {
        Ok(Options {
            train: self.train.clone(),
            test: self.test.clone(),
            order: self.order.unwrap_or_default(),
            test_fraction: check_fraction(self.test_fraction.unwrap_or(0.0))?,
            cache: self.cache.unwrap_or_default(),
            cache_bytes: self.cache_memory.map(|size| size.as_u64()),
            image_size: self.image_size,
            skip_list: self.skip_list.clone(),
            bad_records: self.bad_records.unwrap_or_default(),
            no_digest_cache: self.no_digest_cache.unwrap_or(false),
            user_cache: user_cache(),
        })
    }

    /// Returns the same, with what is not said here taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            train: self.train.or(other.train),
            test: self.test.or(other.test),
            order: self.order.or(other.order),
            test_fraction: self.test_fraction.or(other.test_fraction),
            cache: self.cache.or(other.cache),
            cache_memory: self.cache_memory.or(other.cache_memory),
            image_size: self.image_size.or(other.image_size),
            skip_list: self.skip_list.or(other.skip_list),
            bad_records: self.bad_records.or(other.bad_records),
            no_digest_cache: self.no_digest_cache.or(other.no_digest_cache),
        }
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
            image_size,
            skip_list,
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
        flags.extend(image_size.map(|size| format!("--image-size={size}").into()));
        flags.extend(bad_records.map(|policy| format!("--bad-records={policy}").into()));
        flags.extend(no_digest_cache.map(|yes| format!("--no-digest-cache={yes}").into()));
        flags.extend(skip_list.iter().flat_map(|path| ["--skip-list".into(), path.into()]));
        flags
    }
}

/// The user's folder for what can be made again, by the rules of the XDG base directories.
#[allow(clippy::disallowed_methods)] // These two have no flags: they are the system's, not ours.
pub(super) fn user_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("mixfeed"))
}

/// Checks a share of records that may be the test split.
pub(super) fn check_fraction(fraction: f64) -> Result<f64, String> {
    if (0.0..1.0).contains(&fraction) {
        return Ok(fraction);
    }
    Err(format!("--test-fraction {fraction} is not allowed, 0 to less than 1"))
}

/// Flags that say how images are mixed and augmented. The names are the trainer's and, where it has
/// them, timm's.
#[derive(Clone, Debug, Args)]
pub struct RecipeArgs {
    /// mixup's lambda is drawn from Beta(alpha, alpha); 0 for CutMix alone.
    #[arg(long, default_value_t = 0.2, value_name = "ALPHA", allow_negative_numbers = true)]
    pub mixup_alpha: f64,
    /// CutMix's lambda is drawn from Beta(alpha, alpha); 0 for mixup alone.
    #[arg(long, default_value_t = 0.0, value_name = "ALPHA", allow_negative_numbers = true)]
    pub cutmix_alpha: f64,
    /// With both: of what is mixed, the share that CutMix gets.
    #[arg(long, default_value_t = 0.5, value_name = "P", allow_negative_numbers = true)]
    pub switch_prob: f64,
    /// Black pixels added on each side before a random crop; 0 crops nothing.
    #[arg(long, default_value_t = 0, value_name = "PIXELS")]
    pub crop_padding: u32,
    /// The share of images that is mirrored left to right.
    #[arg(long, default_value_t = 0.0, value_name = "P", allow_negative_numbers = true)]
    pub flip_prob: f64,
    /// The least area of a random part that is brought to the image's size, as a share, as in 0.08; 0 for none.
    #[arg(long, default_value_t = 0.0, value_name = "AREA", allow_negative_numbers = true)]
    pub resized_crop: f64,
    /// Make one of TrivialAugment's changes to each image.
    #[arg(long)]
    pub trivial_augment: bool,
    /// Changes of colour: one strength for brightness, contrast and saturation, or theirs and the hue's.
    #[arg(long, value_name = "S|B,C,S[,H]", value_delimiter = ',', allow_negative_numbers = true)]
    pub color_jitter: Vec<f64>,
    /// The share of images in which a random rectangle is erased.
    #[arg(long, default_value_t = 0.0, value_name = "P", allow_negative_numbers = true)]
    pub erase_prob: f64,
    /// Side of the square that Cutout erases; 0 erases none.
    #[arg(long, default_value_t = 0, value_name = "PIXELS")]
    pub cutout: u32,
    /// What the values of an erased pixel become.
    #[arg(long, default_value_t = 0, value_name = "VALUE")]
    pub erased_value: u8,
    /// A transform that this loader has of its own, applied last.
    #[arg(long, value_name = "NAME:VERSION")]
    pub custom_augmentation: Option<CustomTransform>,
}
