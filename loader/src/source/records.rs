//! Records that are image files of their own, wherever they lie: found, ordered and divided here.
//!
//! A format (a folder, shards) says where its records are by an [`Archive`] and lists them as
//! [`Found`]. What becomes of them is the same for all: [`encoded`](super::encoded) reads, checks and
//! decodes them.

use super::bad_records::Incomplete;
use super::digest_cache::Listing;
use super::names::Names;
use super::options::{Options, Order};
use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a reader of one record after the other holds on to until the next; only the archive knows what that is.
pub(super) type Held = Option<Box<dyn Any>>;

/// Where encoded images lie. Read from many threads.
pub(super) trait Archive: Send + Sync + fmt::Debug {
    /// Reads the encoded image of a record in place of what is in `into`.
    ///
    /// # Errors
    /// Says why it cannot be read, and whether that follows from the record itself.
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), ReadError>;

    /// The same for whoever reads one after the other: what records lie in together is unpacked once, and `held` until the
    /// next.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_along(&self, record: u64, into: &mut Vec<u8>, _held: &mut Held) -> Result<(), ReadError> {
        self.read(record, into)
    }

    /// Returns the path of a record within the set. It names the record in messages, and it is the
    /// key by which a set without a test split is divided.
    fn path(&self, record: u64) -> String;

    /// Returns the length of a record without reading it; 0 where it cannot be found out.
    fn bytes(&self, record: u64) -> u64;

    /// Returns where the records of the set lie, where finding that out has taken reading the files.
    fn listing(&self, _records: &mut dyn Iterator<Item = &Record>) -> Option<Listing> {
        None
    }

    /// Returns where all records lie, for an index of the set; nothing where none is made of such a set.
    fn places(&self) -> Option<Places> {
        None
    }

    /// Returns the bytes of all records, where they are unpacked together and kept so by the archive itself; nothing where
    /// each is read by itself.
    fn unpacked_bytes(&self) -> Option<u64> {
        None
    }

    /// Says how many bytes of what is unpacked may be kept from now on.
    fn keep(&self, _bytes: u64) {}

    /// Returns the bytes that may yet be kept, and are needed for unpacking.
    fn to_keep_bytes(&self) -> u64 {
        0
    }
}

/// Where the records of an archive lie, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Path of each record's file within the set, or its name in the shard.
    pub(super) names: Names,
    /// Tar shards or tables; none where each record is a file of its own.
    pub(super) shards: Vec<PathBuf>,
    /// Records of each shard: they come shard after shard.
    pub(super) counts: Vec<u64>,
    /// Where in its shard each record begins; of a table, its row.
    pub(super) offsets: Vec<u64>,
    /// Records that are no samples, for want of an image or a label: the shard of each, and what it lacks.
    pub(super) incomplete: Vec<(u32, String)>,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// It is not an image, whoever reads it and whenever: too large, or nothing at all.
    #[error("{0}")]
    Record(String),
    /// It is a link to nothing, while the folder that it leads to is there: no image, unless it is one in a moment.
    #[error("{0}")]
    Nothing(String),
    /// It was there when the set was listed and is not any more, or is shorter, while what holds it is there.
    #[error("{0}")]
    Changed(#[source] io::Error),
    /// What it lies in together with others cannot be unpacked: that is damaged, or not what it was.
    #[error("{0}")]
    Holder(String),
    /// The system cannot read it now: a permission, a failing disk, no descriptor left, a folder that is away.
    #[error("{0}")]
    Moment(#[source] io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Changed(error),
            _ => Self::Moment(error),
        }
    }
}

/// Bytes of an encoded image, at most. The largest photographs have a fifth of it.
pub(super) const MAX_RECORD_BYTES: u64 = 256 << 20;

/// A record: where it is, and its class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Record {
    /// Number of the record in its archive.
    pub(super) number: u64,
    pub(super) label: u32,
}

/// What a format found at a place.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) classes: Vec<String>,
    pub(super) archive: Arc<dyn Archive>,
    /// In order of their paths.
    pub(super) train: Vec<Record>,
    pub(super) test: Vec<Record>,
    /// Records that lack an image or a label.
    pub(super) incomplete: Vec<Incomplete>,
}

impl Found {
    /// Orders and divides the records as the options say. An error says what contradicts the data.
    pub(super) fn arrange(&mut self, options: &Options) -> Result<(), String> {
        if options.test_fraction > 0.0 {
            if !self.test.is_empty() {
                return Err("it has a test split; a test fraction is for data without one".into());
            }
            let archive = &self.archive;
            (self.test, self.train) = self
                .train
                .iter()
                .partition(|record| share(&archive.path(record.number)) < options.test_fraction);
        }
        if options.order == Order::Name {
            for split in [&mut self.train, &mut self.test] {
                let archive = &self.archive;
                // Records of one name keep the order of their paths.
                split.sort_by_cached_key(|record| file_name(&archive.path(record.number)));
            }
        }
        Ok(())
    }
}

/// Where a record stands between 0 and 1: by its path, so that it does not move when others come.
fn share(path: &str) -> f64 {
    let hash = blake3::hash(path.as_bytes());
    let (word, _) = hash.as_bytes().split_at(4);
    f64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]])) / 2_f64.powi(32)
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_string(), |name| name.to_string_lossy().into_owned())
}

/// The first name of a class that comes twice, if one does.
pub(super) fn named_twice(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::listing::is_image;

    #[derive(Debug)]
    struct Paths(Vec<String>);

    impl Archive for Paths {
        fn read(&self, _record: u64, _into: &mut Vec<u8>) -> Result<(), ReadError> {
            Ok(())
        }
        fn path(&self, record: u64) -> String {
            self.0[record as usize].clone()
        }
        fn bytes(&self, _record: u64) -> u64 {
            0
        }
    }

    fn found(paths: &[&str]) -> Found {
        let train = (0..paths.len() as u64).map(|number| Record { number, label: 0 }).collect();
        let archive = Arc::new(Paths(paths.iter().map(ToString::to_string).collect()));
        Found { name: "x".into(), classes: vec![], archive, train, test: vec![], incomplete: vec![] }
    }

    fn paths(found: &Found, records: &[Record]) -> Vec<String> {
        records.iter().map(|record| found.archive.path(record.number)).collect()
    }

    #[test]
    fn records_are_ordered_by_name_across_folders() {
        let mut set = found(&["a/2.png", "a/3.png", "b/1.png", "b/2.png"]);
        set.arrange(&Options { order: Order::Name, ..Options::default() }).unwrap();
        assert_eq!(paths(&set, &set.train), ["b/1.png", "a/2.png", "b/2.png", "a/3.png"]);
    }

    #[test]
    fn a_test_fraction_divides_by_path_and_stays_when_records_are_added() {
        let names: Vec<String> = (0..10_000).map(|i| format!("c/{i}.png")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = Options { test_fraction: 0.2, ..Options::default() };
        let (mut some, mut all) = (found(&names[..5_000]), found(&names));
        some.arrange(&options).unwrap();
        all.arrange(&options).unwrap();
        // 2,000 expected, standard deviation 40.
        assert!((1_840..2_160).contains(&all.test.len()), "{}", all.test.len());
        assert_eq!(all.train.len() + all.test.len(), 10_000);
        assert!(all.test.starts_with(&some.test));
        assert!(all.arrange(&options).unwrap_err().contains("it has a test split"));
    }

    #[test]
    fn images_are_known_by_their_endings() {
        for image in ["a.b.JPG", "x.webp", "0.bmp", "a/b.JFIF", "x.jpe", "1.TIFF", "1.gif"] {
            assert!(is_image(image), "{image}");
        }
        for other in ["png", "a.txt", "a.png.txt", "a.heic", "x.", ""] {
            assert!(!is_image(other), "{other}");
        }
    }
}
