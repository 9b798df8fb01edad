//! Reading a set for the first time: every record once, by all CPUs, for its digest.

use super::digest_cache::KnownSplit;
use super::kept::Kept;
use super::options::Cache;
use super::parallel;
use super::records::{Archive, Found, MAX_RECORD_BYTES, Record};
use mixfeed_pipeline::ImageShape;
use mixfeed_pipeline::decode::{DecodeError, decode_to, shape_of};
use std::collections::BTreeMap;
use std::ops::Range;

/// The shape of the first image that has one.
pub(super) fn first_shape(found: &Found) -> Result<ImageShape, String> {
    let mut bytes = Vec::new();
    let records = found.train.iter().chain(&found.test);
    let shapes = records.map(|record| {
        found.archive.read(record.number, &mut bytes)?;
        shape_of(&bytes).map_err(|e| format!("{}: {e}", found.archive.path(record.number)))
    });
    let mut first_error = None;
    for shape in shapes {
        match shape {
            Ok(shape) => return Ok(shape),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| "it has no images".into()))
}

/// What is remembered of a file to find out whether it is still the one that the digest covers: its length
/// and its CRC-32 (zlib's). Bytes that changed by accident are missed once in 2³² times; against a forger
/// nothing short of the digest would help, and hashing each image anew as the digest does took 8 % of the time
/// of decoding CIFAR-10 from PNG files.
pub(super) fn mark(bytes: &[u8]) -> u64 {
    const { assert!(MAX_RECORD_BYTES <= u32::MAX as u64, "a length fits into half a mark") };
    (bytes.len() as u64) << 32 | u64::from(crc32fast::hash(bytes))
}

/// Reads splits.
pub(super) struct Reader<'a> {
    pub(super) archive: &'a dyn Archive,
    pub(super) shape: ImageShape,
    /// Whether images of other sizes are brought to the shape.
    pub(super) scaled: bool,
}

/// What some records told.
#[derive(Default)]
struct Chunk {
    lengths: Vec<u64>,
    hashes: Vec<blake3::Hash>,
    marks: Vec<u64>,
    bad: Vec<(u64, String)>,
    forms: BTreeMap<String, u64>,
}

impl Reader<'_> {
    /// Reads the records of a split. What is to be kept of them is put into `kept` on the way.
    pub(super) fn read(&self, records: &[Record], kept: &Kept) -> Result<KnownSplit, String> {
        let chunks = parallel::in_chunks(records.len(), |range| self.chunk(records, range, kept));
        let (mut lengths, mut hashes) = (blake3::Hasher::new(), blake3::Hasher::new());
        let mut known = KnownSplit { marks: Vec::with_capacity(records.len()), ..KnownSplit::default() };
        for chunk in chunks {
            let chunk = chunk?;
            for length in &chunk.lengths {
                lengths.update(&length.to_le_bytes());
                known.bytes += length;
            }
            for hash in &chunk.hashes {
                hashes.update(hash.as_bytes());
            }
            known.marks.extend(chunk.marks);
            known.bad.extend(chunk.bad);
            for (form, count) in chunk.forms {
                *known.forms.entry(form).or_default() += count;
            }
        }
        known.lengths = lengths.finalize().as_bytes().to_vec();
        known.records = hashes.finalize().as_bytes().to_vec();
        Ok(known)
    }

    fn chunk(&self, records: &[Record], range: Range<usize>, kept: &Kept) -> Result<Chunk, String> {
        let (mut chunk, mut bytes) = (Chunk::default(), Vec::new());
        for sample in range {
            let number = records[sample].number;
            // A record that cannot be read has no bytes, and enters the digest as such.
            bytes.clear();
            let read = self.archive.read(number, &mut bytes);
            chunk.lengths.push(bytes.len() as u64);
            chunk.hashes.push(blake3::hash(&bytes));
            chunk.marks.push(mark(&bytes));
            let shape = read.map_err(Trouble::Record).and_then(|()| self.shape(&bytes));
            if let Ok(shape) = &shape {
                *chunk.forms.entry(form(&bytes, *shape)).or_default() += 1;
            }
            match shape.and_then(|_| self.pixels(&bytes, kept.what())) {
                Ok(Some(pixels)) => kept.offer(Cache::Decoded, sample as u64, &pixels),
                Ok(None) => kept.offer(Cache::Encoded, sample as u64, &bytes),
                Err(Trouble::Size(shape)) => {
                    return Err(format!(
                        "{} is {shape}, others are {}; give --image-size to bring all to one size",
                        self.archive.path(number),
                        self.shape
                    ));
                }
                Err(Trouble::Record(reason)) => chunk.bad.push((sample as u64, reason)),
            }
        }
        Ok(chunk)
    }

    /// Looks at an image's header.
    fn shape(&self, bytes: &[u8]) -> Result<ImageShape, Trouble> {
        let shape = shape_of(bytes)?;
        if self.scaled || shape == self.shape { Ok(shape) } else { Err(Trouble::Size(shape)) }
    }

    /// Decodes an image where pixels are kept.
    fn pixels(&self, bytes: &[u8], keep: Cache) -> Result<Option<Vec<u8>>, Trouble> {
        match keep {
            Cache::Decoded => Ok(Some(decode_to(bytes, self.shape.height, self.shape.width)?)),
            _ => Ok(None),
        }
    }
}

/// In what form an image comes, as in "png 32×32".
fn form(bytes: &[u8], shape: ImageShape) -> String {
    let format = image::guess_format(bytes).ok();
    let name = format.and_then(|format| format.extensions_str().first()).unwrap_or(&"other");
    format!("{name} {}×{}", shape.height, shape.width)
}

/// What may be wrong with one image.
enum Trouble {
    /// It is damaged.
    Record(String),
    /// It is of another size than the rest.
    Size(ImageShape),
}

impl From<DecodeError> for Trouble {
    fn from(error: DecodeError) -> Self {
        Self::Record(error.to_string())
    }
}
