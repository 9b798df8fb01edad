//! The digest cache: digests from an earlier read, kept in a small file so that the next start need not
//! read the set again.
//!
//! The file lies beside the data, or in the user's folder for caches where the data cannot be written to.
//! It is used only if it was made for the very files that are there: their paths, sizes, times of
//! modification and of change, and numbers on the disk, together with the options and the release, must be
//! what they were. A file that is damaged is as good as none. And nothing in it is trusted blindly: each
//! image that is read later must still have the length and checksum that it had (see [`encoded`](super::encoded)).
//!
//! It finds accidents, not forgeries: whoever can write beside the data can write the data too.

use super::options::Options;
use super::retry::read;
use crate::parallel::in_chunks;
use mixfeed_ops::build;
use mixfeed_ops::files::write_among_others;
use prost::Message;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// First bytes of the file; the number is that of its form.
const MAGIC: &[u8] = b"mixfeed digest cache 4\n";

/// Bytes of a key, and of the hash at the end.
const HASH: usize = 32;

/// How long files must have been left alone. One that is written twice within a tick of the system's clock
/// has the same times both times, and a tick of some file systems is two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// What is known of a set.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Known {
    #[prost(message, required, tag = "3")]
    pub(super) train: KnownSplit,
    #[prost(message, required, tag = "4")]
    pub(super) test: KnownSplit,
    /// Where images lie in the files, for formats where finding that out takes reading them.
    #[prost(message, optional, tag = "5")]
    pub(super) listing: Option<Listing>,
    /// Whether every image was decoded, so that all that are bad are known.
    #[prost(bool, tag = "6")]
    pub(super) decoded: bool,
}

/// What is known of a split.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KnownSplit {
    /// See [`SplitDigest`](mixfeed_pipeline::dataset::SplitDigest).
    #[prost(bytes = "vec", tag = "1")]
    pub(super) lengths: Vec<u8>,
    /// The same.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) records: Vec<u8>,
    /// Of each record, what tells whether it is still the same: see [`mark`](super::checks::mark).
    #[prost(fixed64, repeated, tag = "3")]
    pub(super) marks: Vec<u64>,
    /// Records that were found bad, by sample, with the reason.
    #[prost(btree_map = "uint64, string", tag = "4")]
    pub(super) bad: BTreeMap<u64, String>,
    /// Bytes of all records.
    #[prost(uint64, tag = "5")]
    pub(super) bytes: u64,
    /// In what formats its images come, and how many of each; without those that no header could be read of.
    #[prost(btree_map = "string, uint64", tag = "6")]
    pub(super) formats: BTreeMap<String, u64>,
    /// Of each record, height << 16 | width as a viewer shows it; 0 where no header could be read. One entry where all that
    /// could be read are of one size.
    #[prost(uint32, repeated, tag = "7")]
    pub(super) sizes: Vec<u32>,
}

/// Where the images of an archive lie: one entry each, in its order.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Listing {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) files: Vec<u32>,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) offsets: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub(super) sizes: Vec<u64>,
    #[prost(string, repeated, tag = "4")]
    pub(super) names: Vec<String>,
    #[prost(uint32, repeated, tag = "5")]
    pub(super) labels: Vec<u32>,
    /// Records that are no samples, for want of an image or a label: the file that each lies in, and what it lacks.
    #[prost(uint32, repeated, tag = "6")]
    pub(super) incomplete_files: Vec<u32>,
    #[prost(string, repeated, tag = "7")]
    pub(super) incomplete: Vec<String>,
}

impl Known {
    /// Whether it can be of splits of these sizes.
    pub(super) fn fits(&self, train: usize, test: usize) -> bool {
        let fits = |split: &KnownSplit, samples: usize| {
            let whole = split.lengths.len() == HASH && split.records.len() == HASH;
            let last = split.bad.last_key_value().is_none_or(|(sample, _)| *sample < samples as u64);
            whole && split.marks.len() == samples && last && [1, samples].contains(&split.sizes.len())
        };
        fits(&self.train, train) && fits(&self.test, test)
    }
}

/// The cache of one set, read in one way.
#[derive(Debug)]
pub(super) struct DigestCache {
    root: PathBuf,
    files: Vec<PathBuf>,
    /// What the options and the release add to the key.
    setting: String,
    key: [u8; HASH],
    /// Where the file may lie, best first; nowhere if there is to be none.
    places: Vec<PathBuf>,
    /// Whether the files have been left alone long enough for their times to tell a change.
    settled: bool,
}

impl DigestCache {
    /// Looks at the files of a set, and at what is known of them.
    pub(super) fn find(place: &Path, files: Vec<PathBuf>, options: &Options) -> (Self, Option<Known>) {
        let Options { train, test, order, test_fraction, .. } = options;
        let splits = format!("{train:?} {test:?}");
        let setting = format!("{splits} {order:?} {test_fraction} {} {}", build::RELEASE, build::COMMIT);
        let root = place.into();
        let mut cache = Self { root, files, setting, key: [0; HASH], places: Vec::new(), settled: false };
        if options.no_digest_cache {
            return (cache, None);
        }
        cache.places = places(place, &cache.setting, options.user_cache.as_deref());
        (cache.key, cache.settled) = cache.now();
        let known = cache.places.iter().find_map(|path| {
            let known = decode(&read(path).ok()??, &cache.key)?;
            tracing::debug!(path = %path.display(), "digest cache is up to date");
            Some(known)
        });
        (cache, known)
    }

    /// Keeps what is known now, unless the files may have changed since they were looked at. That it
    /// cannot be kept anywhere is no failure: the next start takes longer.
    pub(super) fn keep(&self, known: &Known) {
        if self.places.is_empty() {
            return;
        }
        if !self.settled || self.now().0 != self.key {
            tracing::debug!("digest cache not written: files have just changed");
            return;
        }
        let bytes = encode(known, &self.key);
        for path in &self.places {
            match write(path, &bytes) {
                Ok(()) => return tracing::info!(path = %path.display(), "digest cache written"),
                Err(error) => tracing::debug!(path = %path.display(), %error, "digest cache not written"),
            }
        }
    }

    /// The key of the files as they are, and whether their times can be relied on.
    fn now(&self) -> ([u8; HASH], bool) {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = since(SystemTime::now());
        let parts = in_chunks(self.files.len(), |range| {
            let mut hasher = blake3::Hasher::new();
            let mut settled = true;
            for path in &self.files[range] {
                // A set that is moved as a whole is the same set.
                let name = path.strip_prefix(&self.root).unwrap_or(path).as_os_str().as_bytes();
                hasher.update(&(name.len() as u64).to_le_bytes()).update(name);
                #[allow(clippy::disallowed_methods)]
                let Ok(found) = std::fs::metadata(path) else {
                    hasher.update(b"missing");
                    continue;
                };
                for word in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
                    hasher.update(&word.to_le_bytes());
                }
                hasher.update(&found.size().to_le_bytes()).update(&found.ino().to_le_bytes());
                let written = found.modified().map_or(now, since);
                settled &= written.abs_diff(now) > SETTLED.as_nanos();
            }
            (hasher.finalize(), settled)
        });
        let mut hasher = blake3::Hasher::new();
        hasher.update(MAGIC).update(self.setting.as_bytes());
        hasher.update(&(self.files.len() as u64).to_le_bytes());
        for (part, _) in &parts {
            hasher.update(part.as_bytes());
        }
        (hasher.finalize().into(), parts.iter().all(|(_, settled)| *settled))
    }
}

/// Where the cache of a place may lie. Different settings have different files, so that they do not push
/// each other out.
fn places(place: &Path, setting: &str, user_cache: Option<&Path>) -> Vec<PathBuf> {
    let beside = if place.is_dir() { Some(place) } else { place.parent() };
    let name = |path: &Path| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(setting.as_bytes()).update(path.as_os_str().as_bytes());
        hex::encode(&hasher.finalize().as_bytes()[..8])
    };
    let own = if place.is_dir() { Path::new("") } else { Path::new(place.file_name().unwrap_or_default()) };
    let beside = beside.map(|folder| folder.join(format!(".mixfeed-digests-{}", name(own))));
    let full = place.canonicalize().unwrap_or_else(|_| place.into());
    let user = user_cache.map(|folder| folder.join(format!("digests-{}", name(&full))));
    beside.into_iter().chain(user).collect()
}

fn encode(known: &Known, key: &[u8; HASH]) -> Vec<u8> {
    let mut bytes = [MAGIC, key].concat();
    bytes.extend(known.encode_to_vec());
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    bytes
}

/// Returns what a file holds, if it is whole and has this key.
fn decode(bytes: &[u8], key: &[u8; HASH]) -> Option<Known> {
    let (bytes, hash) = bytes.split_last_chunk::<HASH>()?;
    let body = bytes.strip_prefix(MAGIC)?.strip_prefix(key)?;
    (blake3::hash(bytes).as_bytes() == hash).then_some(())?;
    Known::decode(body).ok()
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        #[allow(clippy::disallowed_methods)]
        std::fs::create_dir_all(folder)?;
    }
    write_among_others(path, bytes)
}

/// A cache of other files, as if it were of those at a place.
#[cfg(test)]
pub(super) fn rekeyed(place: &Path, options: &Options, bytes: &[u8]) -> Vec<u8> {
    let tars = super::shards::all(place)
        .unwrap()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "tar"));
    let tars = tars.collect();
    let found =
        super::shards::divide(place, tars, options, &mut super::Report::default(), |_| Ok(None), |_| None);
    let files = found.unwrap().into_iter().map(|(_, path)| path).collect();
    let (cache, _) = DigestCache::find(place, files, options);
    let old = bytes[MAGIC.len()..][..HASH].try_into().unwrap();
    encode(&decode(bytes, &old).unwrap(), &cache.key)
}
