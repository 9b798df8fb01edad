//! Image files as samples: read and digested once at start by all CPUs, then decoded by whoever asks
//! for them, which is a worker thread.
//!
//! What is kept between the two follows from `--cache` and the memory budget. A record that cannot be
//! read or decoded does not keep the set from being served: it fails the batches it is in, by name.

use super::options::{Cache, Options};
use super::records::{Archive, Found, Record};
use super::skip_list::SkipList;
use super::{SourceError, memory, parallel};
use mixfeed_pipeline::dataset::{SplitDigest, digest_of, digest_with};
use mixfeed_pipeline::decode::{decode_to, shape_of};
use mixfeed_pipeline::{Dataset, ImageShape, SampleError, Samples, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Classes, at most: a label beyond is a mistake, and would ask for as many names.
pub(super) const MAX_CLASSES: u64 = 1 << 16;

/// Reads what was found.
pub(super) fn open(place: &Path, mut found: Found, options: &Options) -> Result<Dataset, SourceError> {
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    found.arrange(options).map_err(refused)?;
    if found.train.is_empty() {
        return Err(refused("it has no training images".into()));
    }
    let shape = match options.image_size {
        Some(size) => ImageShape { height: size.height, width: size.width, channels: 3 },
        None => first_shape(&found).map_err(refused)?,
    };
    let budget = options.cache_bytes.unwrap_or_else(memory::default_bytes);
    let images = (found.train.len() + found.test.len()) as u64;
    let cache = match options.cache {
        Cache::Auto if images.saturating_mul(shape.values() as u64) <= budget => Cache::Decoded,
        cache => cache,
    };
    let reader = Reader {
        archive: Arc::from(found.archive),
        shape,
        scaled: options.image_size.is_some(),
        cache,
        // What was asked for is kept whatever it takes; what was not, as long as there is room.
        room: AtomicU64::new(if cache == Cache::Auto { budget } else { u64::MAX }),
    };
    let (mut train, train_digest) = reader.split(found.train).map_err(refused)?;
    let (mut test, test_digest) = reader.split(found.test).map_err(refused)?;
    if matches!(train.kept, Kept::Decoded(_)) {
        reader.archive.release();
    }
    let mut digest = digest_of(&train_digest, &test_digest);
    if let Some(size) = options.image_size {
        digest = digest_with(&digest, &format!("image size {size}"));
    }
    if let Some(path) = &options.skip_list {
        let list = SkipList::read(path)?;
        let records = |split| match split {
            Split::Train => &train,
            Split::Test => &test,
        };
        list.check(path, &digest, |split, sample| records(split).record(sample))?;
        digest = list.digest(&digest);
        train = train.without(&list.samples(Split::Train));
        test = test.without(&list.samples(Split::Test));
        if train.records.is_empty() {
            return Err(refused("the skip list leaves no training images".into()));
        }
    }
    tracing::info!(
        cache = train.kept.name(),
        image = %shape,
        bad_records = train.bad.len() + test.bad.len(),
        skipped = train.skipped + test.skipped,
        "images read"
    );
    Ok(Dataset {
        name: found.name,
        classes: found.classes,
        image: shape,
        train: Arc::new(train),
        test: Arc::new(test),
        digest,
    })
}

/// The shape of the first image that has one.
fn first_shape(found: &Found) -> Result<ImageShape, String> {
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

/// Reads splits.
struct Reader {
    archive: Arc<dyn Archive>,
    shape: ImageShape,
    /// Whether images of other sizes are brought to the shape.
    scaled: bool,
    cache: Cache,
    /// Bytes that may still be kept.
    room: AtomicU64,
}

/// What is kept of some records.
#[derive(Default)]
struct Chunk {
    lengths: Vec<u64>,
    hashes: Vec<blake3::Hash>,
    kept: Vec<Option<Box<[u8]>>>,
    bad: Vec<(u64, String)>,
}

impl Reader {
    fn split(&self, records: Vec<Record>) -> Result<(Encoded, SplitDigest), String> {
        let chunks = parallel::in_chunks(records.len(), |range| self.chunk(&records, range));
        let (mut lengths, mut hashes) = (blake3::Hasher::new(), blake3::Hasher::new());
        let (mut kept, mut bad) = (Vec::with_capacity(records.len()), BTreeMap::new());
        let mut marks = Vec::with_capacity(records.len());
        for chunk in chunks {
            let chunk = chunk?;
            for length in &chunk.lengths {
                lengths.update(&length.to_le_bytes());
            }
            for hash in &chunk.hashes {
                hashes.update(hash.as_bytes());
                marks.push(mark(hash));
            }
            kept.extend(chunk.kept);
            bad.extend(chunk.bad);
        }
        let mut labels = blake3::Hasher::new();
        for record in &records {
            labels.update(&record.label.to_le_bytes());
        }
        let digest = SplitDigest {
            samples: records.len() as u64,
            labels: labels.finalize().into(),
            lengths: lengths.finalize().into(),
            records: hashes.finalize().into(),
        };
        // Files of a part of the records would make some batches fast and others slow: all or none.
        let kept = match kept.into_iter().collect::<Option<Vec<_>>>() {
            Some(images) if self.cache == Cache::Decoded => Kept::Decoded(images),
            Some(files) if self.cache != Cache::None => Kept::Encoded(files),
            _ => Kept::Nothing,
        };
        let archive = Arc::clone(&self.archive);
        Ok((Encoded { archive, records, shape: self.shape, kept, marks, bad, skipped: 0 }, digest))
    }

    fn chunk(&self, records: &[Record], range: std::ops::Range<usize>) -> Result<Chunk, String> {
        let (mut chunk, mut bytes) = (Chunk::default(), Vec::new());
        for sample in range {
            let number = records[sample].number;
            // A record that cannot be read has no bytes, and enters the digest as such.
            bytes.clear();
            let read = self.archive.read(number, &mut bytes);
            chunk.lengths.push(bytes.len() as u64);
            chunk.hashes.push(blake3::hash(&bytes));
            let seen = read.map_err(Trouble::Record).and_then(|()| self.look(&bytes));
            let pixels = match seen {
                Ok(pixels) => pixels,
                Err(Trouble::Size(shape)) => {
                    return Err(format!(
                        "{} is {shape}, others are {}; give --image-size to bring all to one size",
                        self.archive.path(number),
                        self.shape
                    ));
                }
                Err(Trouble::Record(reason)) => {
                    chunk.bad.push((sample as u64, reason));
                    chunk.kept.push(Some(Box::default()));
                    continue;
                }
            };
            chunk.kept.push(match pixels {
                Some(pixels) => Some(pixels.into()),
                None if self.keeps(bytes.len() as u64) => Some(bytes.as_slice().into()),
                None => None,
            });
        }
        Ok(chunk)
    }

    /// Looks at an image, and decodes it where pixels are kept.
    fn look(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let record = |e: mixfeed_pipeline::decode::DecodeError| Trouble::Record(e.to_string());
        let shape = shape_of(bytes).map_err(record)?;
        if !self.scaled && shape != self.shape {
            return Err(Trouble::Size(shape));
        }
        match self.cache {
            Cache::Decoded => decode_to(bytes, self.shape.height, self.shape.width).map(Some).map_err(record),
            _ => Ok(None),
        }
    }

    /// Takes room for a file that is to be kept.
    fn keeps(&self, bytes: u64) -> bool {
        let room = |room: u64| room.checked_sub(bytes);
        self.cache != Cache::None
            && !self.archive.in_memory()
            && self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }
}

/// What may be wrong with one image.
enum Trouble {
    /// It is damaged.
    Record(String),
    /// It is of another size than the rest.
    Size(ImageShape),
}

/// What is kept in memory of the samples of a split, one entry each; empty for a bad record.
enum Kept {
    Decoded(Vec<Box<[u8]>>),
    Encoded(Vec<Box<[u8]>>),
    Nothing,
}

impl Kept {
    fn name(&self) -> &'static str {
        match self {
            Self::Decoded(_) => "decoded",
            Self::Encoded(_) => "encoded",
            Self::Nothing => "none",
        }
    }
}

/// What is remembered of a file to find out whether it is still the one that the digest covers.
fn mark(hash: &blake3::Hash) -> u64 {
    let (word, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*word)
}

/// The samples of one split.
struct Encoded {
    archive: Arc<dyn Archive>,
    records: Vec<Record>,
    shape: ImageShape,
    kept: Kept,
    /// See [`mark`].
    marks: Vec<u64>,
    /// Records known to be bad, by sample, with the reason.
    bad: BTreeMap<u64, String>,
    /// How many were left out.
    skipped: usize,
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("samples", &self.records.len()).finish_non_exhaustive()
    }
}

impl Encoded {
    /// Where a sample lies, if there is such a one.
    fn record(&self, sample: u64) -> Option<String> {
        self.records.get(usize::try_from(sample).ok()?).map(|record| self.archive.path(record.number))
    }

    /// Leaves samples out; those after them move up.
    fn without(mut self, skipped: &BTreeSet<u64>) -> Self {
        if skipped.is_empty() {
            return self;
        }
        let stays = || {
            let mut sample = 0..;
            move || sample.next().is_some_and(|sample| !skipped.contains(&sample))
        };
        let mut keep = stays();
        self.records.retain(|_| keep());
        let mut keep = stays();
        self.marks.retain(|_| keep());
        if let Kept::Decoded(each) | Kept::Encoded(each) = &mut self.kept {
            let mut keep = stays();
            each.retain(|_| keep());
        }
        let before = |sample: u64| skipped.range(..sample).count() as u64;
        let bad = self.bad.into_iter().filter(|(sample, _)| !skipped.contains(sample));
        self.bad = bad.map(|(sample, reason)| (sample - before(sample), reason)).collect();
        self.skipped = skipped.len();
        self
    }

    fn error(&self, sample: u64, reason: &str) -> SampleError {
        let record = self.archive.path(self.records[sample as usize].number);
        SampleError { sample, record, reason: reason.into() }
    }

    fn decode(&self, sample: u64, file: &[u8]) -> Result<Vec<u8>, SampleError> {
        decode_to(file, self.shape.height, self.shape.width).map_err(|e| self.error(sample, &e.to_string()))
    }
}

impl Samples for Encoded {
    fn count(&self) -> u64 {
        self.records.len() as u64
    }

    fn label(&self, sample: u64) -> u32 {
        self.records[sample as usize].label
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        if let Some(reason) = self.bad.get(&sample) {
            return Err(self.error(sample, reason));
        }
        *scratch = match &self.kept {
            Kept::Decoded(images) => return Ok(&images[sample as usize]),
            Kept::Encoded(files) => self.decode(sample, &files[sample as usize])?,
            Kept::Nothing => {
                let number = self.records[sample as usize].number;
                self.archive.read(number, scratch).map_err(|e| self.error(sample, &e))?;
                if !self.archive.in_memory() && mark(&blake3::hash(scratch)) != self.marks[sample as usize] {
                    return Err(self.error(sample, "its bytes have changed since the start"));
                }
                self.decode(sample, scratch)?
            }
        };
        Ok(scratch)
    }
}
