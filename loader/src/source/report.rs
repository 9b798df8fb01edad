//! What was taken for what, and what was left out: said when data is opened, by whoever opened it.

use super::index_file::IndexFile;
use super::skip_list::Skipped;
use mixfeed_pipeline::{Dataset, Split};
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Classes, endings and files that one line names.
const NAMED: usize = 8;

/// The target of its log lines: of its own, because a trainer shows warnings alone of the rest of a loader inside it.
const TARGET: &str = "mixfeed_data";

/// What a source made of a place.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What became the training split.
    pub train: Taken,
    /// What became the test split.
    pub test: Taken,
    /// Which columns of tables were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// What became neither.
    pub left_out: Vec<LeftOut>,
    /// What a user should look at, a line each.
    pub warnings: Vec<String>,
    /// Records that were left out, by a list or for being bad.
    #[serde(skip)]
    pub skipped: Vec<Skipped>,
    /// The index by which the set was opened.
    #[serde(skip)]
    pub opened_by: Option<PathBuf>,
    /// The index that was made, where one was asked for.
    #[serde(skip)]
    pub index: Option<IndexFile>,
}

/// What became a split.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Taken {
    /// Files or folders within the place; empty where the set has files of its own.
    pub from: String,
    /// Images.
    pub images: u64,
    /// Classes that have one.
    pub classes: u64,
}

/// Columns of tables.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Columns {
    /// That of the images.
    pub images: String,
    /// That of the labels.
    pub labels: String,
}

impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "images {}, labels {}", self.images, self.labels)
    }
}

/// What was left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LeftOut {
    /// A file or folder, or an ending of files.
    pub what: String,
    /// How many it stands for: images of a folder or of an evaluation split, shards or tables that no flag chose or that are
    /// too large to count, files with an ending, records.
    pub count: u64,
    /// Why.
    pub why: String,
    /// Whether `what` names them, so that the count is said already.
    #[serde(skip)]
    pub named: bool,
    /// Whether it may be what the user wanted to be read.
    #[serde(skip)]
    pub warn: bool,
}

impl Report {
    /// Adds something that was left out and that the user may have wanted.
    pub(super) fn leave_out(&mut self, what: impl Into<String>, count: u64, why: impl Into<String>) {
        self.left_out.push(LeftOut { what: what.into(), count, why: why.into(), named: false, warn: true });
    }

    /// The same of so many shards or tables, which `what` names.
    pub(super) fn leave_out_files(&mut self, what: String, count: usize, why: impl Into<String>) {
        let (count, why) = (count as u64, why.into());
        self.left_out.push(LeftOut { what, count, why, named: true, warn: true });
    }

    /// Adds files with an ending that is not read, beside `wanted`: images, shards or tables.
    pub(super) fn leave_out_ending(&mut self, ending: &str, count: u64, wanted: &str) {
        let (warn, why) = if IMAGES_NOT_READ.contains(&ending) {
            (true, "not read: images of another format".into())
        } else if COMPRESSED.contains(&ending) {
            (true, "not read: compressed archives; unpack them".into())
        } else if DATA_NOT_READ.contains(&ending) {
            (true, "not read: data of another format".into())
        } else {
            (false, format!("not {wanted}"))
        };
        let what = if ending.is_empty() { "without ending".into() } else { format!(".{ending}") };
        self.left_out.push(LeftOut { what, count, why, named: false, warn });
    }

    /// Counts images and classes of the splits, and names classes that cannot be learnt.
    pub(super) fn count(&mut self, dataset: &Dataset) {
        let mut untrained = Vec::new();
        for (split, taken) in [(Split::Train, &mut self.train), (Split::Test, &mut self.test)] {
            let samples = dataset.samples(split);
            let mut seen = vec![false; dataset.classes.len()];
            for sample in 0..samples.count() {
                if let Some(class) = seen.get_mut(samples.label(sample) as usize) {
                    *class = true;
                }
            }
            taken.images = samples.count();
            taken.classes = seen.iter().filter(|class| **class).count() as u64;
            if split == Split::Train {
                untrained.extend(dataset.classes.iter().zip(seen).filter(|(_, seen)| !seen));
            }
        }
        if self.test.images == 0 && !self.test.from.is_empty() {
            let from = &self.test.from;
            self.warnings
                .push(format!("no test image is left: {from} is the test split, and all of it is left out"));
        }
        if !untrained.is_empty() {
            let names: Vec<&String> = untrained.iter().map(|(class, _)| *class).collect();
            self.warnings.push(format!("no training image of class {}", named(&names)));
        }
    }

    /// What a user should look at, a line each: the warnings, and what was left out that may have been wanted.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let left_out = self.left_out.iter().filter(|left| left.warn).map(|left| format!("left out: {left}"));
        left_out.chain(self.warnings.iter().cloned()).collect()
    }

    /// Writes all of it to the log.
    pub(super) fn log(&self) {
        tracing::info!(target: TARGET, train = %self.train, test = %self.test, "splits");
        if let Some(path) = &self.opened_by {
            tracing::info!(target: TARGET, path = %path.display(), "opened by an index: no folder was listed");
        }
        if let Some(columns) = &self.columns {
            tracing::info!(target: TARGET, %columns, "columns");
        }
        let quiet: Vec<_> = self.left_out.iter().filter(|left| !left.warn).map(ToString::to_string).collect();
        if !quiet.is_empty() {
            tracing::info!(target: TARGET, "left out: {}", quiet.join(", "));
        }
        for warning in self.warnings() {
            tracing::warn!(target: TARGET, "{warning}");
        }
    }
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, images, classes } = self;
        if *images == 0 {
            return f.write_str("none");
        }
        let plural =
            |number: u64, one: &str, more: &str| format!("{number} {}", if number == 1 { one } else { more });
        let counts =
            format!("{}, {}", plural(*images, "image", "images"), plural(*classes, "class", "classes"));
        if from.is_empty() { f.write_str(&counts) } else { write!(f, "{from} ({counts})") }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, count, why, named, .. } = self;
        if *named { write!(f, "{what} ({why})") } else { write!(f, "{what}: {count} ({why})") }
    }
}

/// The first few of some names, and how many there are beyond.
pub(super) fn named<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

/// The ending of a file's name in lower case; of a compressed tar both, as in `tar.gz`.
pub(super) fn ending(path: &Path) -> String {
    let lower =
        |part: Option<&OsStr>| part.map_or_else(String::new, |part| part.to_string_lossy().to_lowercase());
    let last = lower(path.extension());
    let stem = path.file_stem().map(Path::new);
    if stem.is_some_and(|stem| lower(stem.extension()) == "tar") { format!("tar.{last}") } else { last }
}

/// Endings of compressed archives.
const COMPRESSED: [&str; 16] = [
    "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz", "tar.zst", "tzst", "tar.lz4", "tar.z", "tar.lzma",
    "zip", "7z", "rar", "gz", "zst",
];

/// Endings of datasets in other formats.
const DATA_NOT_READ: [&str; 12] =
    ["arrow", "feather", "tfrecord", "tfrecords", "beton", "h5", "hdf5", "lmdb", "mdb", "npz", "mat", "orc"];

/// Endings of images that no decoder here reads, so that whoever has them is told.
const IMAGES_NOT_READ: [&str; 32] = [
    "apng", "arw", "avif", "cr2", "cr3", "dcm", "dds", "dng", "exr", "hdr", "heic", "heif", "ico", "j2k",
    "jp2", "jpx", "jxl", "mpo", "nef", "npy", "orf", "pam", "pbm", "pgm", "pnm", "ppm", "psd", "qoi", "raf",
    "rw2", "svg", "tga",
];
