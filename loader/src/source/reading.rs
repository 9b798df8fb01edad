//! Reading a set for the first time: every record once, by all CPUs, for its digest.
//!
//! What follows from a record's bytes is remembered. What the system said at this moment is not: such a record is read
//! again after a pause, and if it still cannot be read, the set is not served, because its digest would be that of
//! another set.

use super::checks::mark;
use super::digest_cache::KnownSplit;
use super::options::Cache;
use super::record_cache::RecordCache;
use super::records::{Archive, Found, Held, ReadError, Record};
use super::sizes::Sizes;
use crate::parallel::in_chunks;
use mixfeed_pipeline::ImageShape;
use mixfeed_pipeline::decode::{DecodeError, decode_rgb, shape_of};
use mixfeed_pipeline::spec::ImageSize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Why a set cannot be read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Something about it is wrong.
    Set(String),
    /// Records cannot be read now.
    Unreadable {
        /// The first, with what the system said.
        first: String,
        /// How many more.
        others: usize,
    },
}

/// Images whose headers tell how large all are on average.
const SIZES_TRIED: usize = 64;

/// Bytes of a decoded image, on average over some of them.
pub(super) fn mean_bytes(found: &Found, pauses: &[Duration]) -> Result<u64, Refusal> {
    let first = first_shape(found, pauses)?;
    let records: Vec<&Record> = found.train.iter().chain(&found.test).collect();
    let mut bytes = Vec::new();
    let tried = records.iter().step_by(records.len().div_ceil(SIZES_TRIED).max(1));
    let seen: Vec<u64> = tried
        .filter_map(|record| {
            found.archive.read(record.number, &mut bytes).ok()?;
            Some(shape_of(&bytes).ok()?.values() as u64)
        })
        .collect();
    let sum = seen.iter().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
    Ok(if seen.is_empty() { first.values() as u64 } else { sum / seen.len() as u64 })
}

/// The shape of the first image that has one.
fn first_shape(found: &Found, pauses: &[Duration]) -> Result<ImageShape, Refusal> {
    let mut bytes = Vec::new();
    let mut pauses = pauses.iter();
    loop {
        let (mut bad, mut unreadable) = (None, Vec::new());
        for record in found.train.iter().chain(&found.test) {
            let named = |reason: &dyn ToString| {
                format!("{}: {}", found.archive.path(record.number), reason.to_string())
            };
            match found.archive.read(record.number, &mut bytes) {
                Ok(()) => match shape_of(&bytes) {
                    Ok(shape) => return Ok(shape),
                    Err(error) => bad = bad.or_else(|| Some(named(&error))),
                },
                Err(ReadError::Record(reason)) => bad = bad.or_else(|| Some(named(&reason))),
                Err(ReadError::Holder(reason)) => return Err(Refusal::Set(reason)),
                Err(error) => unreadable.push(named(&error)),
            }
        }
        match (pauses.next(), unreadable.is_empty()) {
            (Some(pause), false) => std::thread::sleep(*pause),
            (None, false) => return Err(unreadable_of(&unreadable)),
            (_, true) => return Err(Refusal::Set(bad.unwrap_or_else(|| "it has no images".into()))),
        }
    }
}

fn unreadable_of(records: &[String]) -> Refusal {
    Refusal::Unreadable { first: records[0].clone(), others: records.len() - 1 }
}

/// Reads splits.
pub(super) struct Reader<'a> {
    pub(super) archive: &'a dyn Archive,
    /// Whether images are decoded that are not kept decoded, to find out which are bad.
    pub(super) decode: bool,
    /// See [`retry`](super::retry).
    pub(super) pauses: &'a [Duration],
}

/// What some records told.
#[derive(Default)]
struct Chunk {
    /// Of each record that was read: its number, length, hash and mark.
    read: Vec<(usize, u64, blake3::Hash, u64)>,
    bad: Vec<(u64, String)>,
    /// Of each image whose header can be read.
    seen: Vec<(usize, ImageSize, &'static str)>,
    /// Records that could not be read, with what the system said.
    unreadable: Vec<(usize, String)>,
    /// Why the set is refused: what records lie in is damaged.
    refused: Option<String>,
}

/// What all records of a split told.
pub(super) struct Whole {
    pub(super) lengths: Vec<u64>,
    pub(super) hashes: Vec<blake3::Hash>,
    pub(super) sizes: Sizes,
    /// As in "png"; empty where no header can be read.
    pub(super) formats: Vec<&'static str>,
    /// As far as it is not in the others.
    pub(super) known: KnownSplit,
    unreadable: Vec<(usize, String)>,
    refused: Option<String>,
}

impl Whole {
    fn new(samples: usize) -> Self {
        let known = KnownSplit { marks: vec![0; samples], ..KnownSplit::default() };
        let hashes = vec![blake3::Hash::from_bytes([0; 32]); samples];
        let sizes = Sizes::unknown(samples);
        let formats = vec![""; samples];
        let lengths = vec![0; samples];
        Self { lengths, hashes, sizes, formats, known, unreadable: Vec::new(), refused: None }
    }

    fn add(&mut self, chunk: Chunk) {
        for (sample, length, hash, mark) in chunk.read {
            (self.lengths[sample], self.hashes[sample], self.known.marks[sample]) = (length, hash, mark);
        }
        self.known.bad.extend(chunk.bad);
        for (sample, size, format) in chunk.seen {
            self.sizes.set(sample, size);
            self.formats[sample] = format;
            *self.known.formats.entry(format.into()).or_default() += 1;
        }
        self.unreadable.extend(chunk.unreadable);
        self.refused = self.refused.take().or(chunk.refused);
    }

    /// What is kept of it all.
    pub(super) fn known(self) -> KnownSplit {
        let (mut lengths, mut hashes) = (blake3::Hasher::new(), blake3::Hasher::new());
        let mut known = self.known;
        for length in &self.lengths {
            lengths.update(&length.to_le_bytes());
            known.bytes += length;
        }
        for hash in &self.hashes {
            hashes.update(hash.as_bytes());
        }
        known.lengths = lengths.finalize().as_bytes().to_vec();
        known.sizes = self.sizes.into_numbers();
        known.records = hashes.finalize().as_bytes().to_vec();
        known
    }
}

impl Reader<'_> {
    /// Reads the records of a split. What is to be kept of them is put into `kept` on the way.
    pub(super) fn read(&self, records: &[Record], kept: &RecordCache) -> Result<Whole, Refusal> {
        let mut whole = Whole::new(records.len());
        // The first sample for which the set is refused: those behind it need not be read.
        let end = AtomicUsize::new(usize::MAX);
        let read = |range: Range<usize>| {
            if range.start > end.load(Ordering::Relaxed) {
                return Chunk::default();
            }
            let first = range.start;
            let chunk = self.chunk(records, range, kept, self.pauses.is_empty());
            if chunk.refused.is_some() {
                end.fetch_min(first, Ordering::Relaxed);
            }
            chunk
        };
        for chunk in in_chunks(records.len(), read) {
            whole.add(chunk);
        }
        for (pause, left) in self.pauses.iter().zip((0..self.pauses.len()).rev()) {
            let again = std::mem::take(&mut whole.unreadable);
            let Some((_, reason)) = again.first().filter(|_| whole.refused.is_none()) else { break };
            tracing::warn!(records = again.len(), reason, "reading records failed, retrying");
            std::thread::sleep(*pause);
            let retry = |range: Range<usize>| {
                self.chunk(records, again[range].iter().map(|(sample, _)| *sample), kept, left == 0)
            };
            for chunk in in_chunks(again.len(), retry) {
                whole.add(chunk);
            }
        }
        if let Some(reason) = whole.refused {
            return Err(Refusal::Set(reason));
        }
        if whole.unreadable.is_empty() {
            return Ok(whole);
        }
        let reasons: Vec<String> = whole.unreadable.into_iter().map(|(_, reason)| reason).collect();
        Err(unreadable_of(&reasons))
    }

    /// Reads some records, and those that could not be read before for the `last` time.
    fn chunk(
        &self,
        records: &[Record],
        samples: impl Iterator<Item = usize>,
        kept: &RecordCache,
        last: bool,
    ) -> Chunk {
        let (mut chunk, mut bytes, mut held) = (Chunk::default(), Vec::new(), Held::default());
        for sample in samples {
            let number = records[sample].number;
            bytes.clear();
            let read = match self.archive.read_along(number, &mut bytes, &mut held) {
                Ok(()) => Ok(()),
                Err(ReadError::Holder(reason)) => {
                    chunk.refused = Some(reason);
                    break;
                }
                // A record that is none has no bytes, and enters the digest as such.
                Err(ReadError::Record(reason)) => Err(reason),
                Err(ReadError::Nothing(reason)) if last => Err(reason),
                Err(error) => {
                    let reason = format!("{}: {error}", self.archive.path(number));
                    chunk.unreadable.push((sample, reason));
                    continue;
                }
            };
            chunk.read.push((sample, bytes.len() as u64, blake3::hash(&bytes), mark(&bytes)));
            let shape = read.and_then(|()| shape_of(&bytes).map_err(|error| error.to_string()));
            if let Ok(shape) = &shape {
                chunk.seen.push((sample, shape.size(), format_of(&bytes)));
            }
            match shape.and_then(|_| self.pixels(&bytes, kept.what()).map_err(|error| error.to_string())) {
                Ok(Some(pixels)) => kept.offer(Cache::Decoded, sample as u64, &pixels),
                Ok(None) => kept.offer(Cache::Encoded, sample as u64, &bytes),
                Err(reason) => chunk.bad.push((sample as u64, reason)),
            }
        }
        chunk
    }

    /// Decodes an image where pixels are kept, or every damage is to be found.
    fn pixels(&self, bytes: &[u8], keep: Cache) -> Result<Option<Vec<u8>>, DecodeError> {
        match keep {
            Cache::Decoded => Ok(Some(decode_rgb(bytes)?.1)),
            _ if self.decode => decode_rgb(bytes).map(|_pixels| None),
            _ => Ok(None),
        }
    }
}

/// In what format an image comes, as in "png".
fn format_of(bytes: &[u8]) -> &'static str {
    let format = image::guess_format(bytes).ok();
    format.and_then(|format| format.extensions_str().first()).unwrap_or(&"other")
}
