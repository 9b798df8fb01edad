//! Image files as samples: read and digested once by all CPUs ([`reading`](super::reading)), then decoded by
//! whoever asks for them, which is a worker thread.
//!
//! What is kept between the two follows from `--cache` and the memory budget. What the reading told is kept
//! on disk ([`digest_cache`](super::digest_cache)), so that the next start need not read. A record that
//! cannot be read or decoded does not keep the set from being served: it fails the batches it is in, by name.

use super::bad_records;
use super::digest_cache::{DigestCache, Known, KnownSplit};
use super::error::SourceError;
use super::memory;
use super::options::{Cache, Options};
use super::reading::{Reader, Refusal, length_of, mark, mean_bytes};
use super::record_cache::RecordCache;
use super::records::{Archive, Found, ReadError, Record};
use super::report::{self, Report};
use super::retry::PAUSES;
use super::sizes::{self, Sizes};
use super::skip_list::{SkipList, Skipped};
use mixfeed_pipeline::dataset::{Part, Pixels, SplitDigest, digest_of, digest_with};
use mixfeed_pipeline::decode::{self, DecodeError, MAX_DECODE_BYTES, decode_part, decode_rgb};
use mixfeed_pipeline::spec::{ImageSize, Output};
use mixfeed_pipeline::{Dataset, Fault, LeftOut, SampleError, SampleMemory, Samples, Split};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Classes, at most: a label beyond is a mistake, and would ask for as many names.
pub(super) const MAX_CLASSES: u64 = 1 << 16;

/// Memory that decoding takes for each pixel of an image, at most: values of up to four bytes of four channels in the file
/// and again as they are handed out, coefficients of a progressive JPEG, and the image turned as its orientation says.
const DECODING_BYTES: u64 = 40;

thread_local! {
    /// A file that is being decoded, so that its memory is used for the next one.
    static FILE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Makes a set of what was found, with what is `known` of it, or by reading it.
pub(super) fn open(
    place: &Path,
    mut found: Found,
    options: &Options,
    cache: &DigestCache,
    known: Option<Known>,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    let unread = |refusal| match refusal {
        Refusal::Set(reason) => refused(reason),
        Refusal::Unreadable { first, others } => {
            SourceError::Unreadable { path: place.into(), first, others }
        }
    };
    let started = Instant::now();
    bad_records::check_complete(options.bad_records, &found.incomplete)?;
    found.arrange(options).map_err(refused)?;
    if found.train.is_empty() {
        return Err(refused("it has no training images".into()));
    }
    let decode = options.bad_records.need_decoding();
    let known =
        known.filter(|known| known.fits(found.train.len(), found.test.len()) && (known.decoded || !decode));
    let samples = found.train.len() + found.test.len();
    let decoded = match &known {
        Some(known) => {
            known.train.decoded_bytes(found.train.len()) + known.test.decoded_bytes(found.test.len())
        }
        None => mean_bytes(&found, &PAUSES).map_err(unread)?.saturating_mul(samples as u64),
    };
    let (keep, budget) = what_to_keep(&found, decoded, options, known.as_ref());
    let archive: Arc<dyn Archive> = Arc::from(found.archive);
    let share = |records: &[Record]| (u128::from(budget) * records.len() as u128 / samples as u128) as u64;
    let kept =
        [&found.train, &found.test].map(|records| RecordCache::new(keep, records.len(), share(records)));
    let was_known = known.is_some();
    let known = match known {
        Some(known) => known,
        None => {
            let reader = Reader { archive: archive.as_ref(), decode, pauses: &PAUSES };
            let train = reader.read(&found.train, &kept[0]).map_err(unread)?;
            let test = reader.read(&found.test, &kept[1]).map_err(unread)?;
            if keep == Cache::Decoded {
                archive.release();
            }
            let listing = archive.listing(&mut found.train.iter().chain(&found.test));
            let decoded = decode || keep == Cache::Decoded;
            let known = Known { train, test, listing, decoded };
            cache.keep(&known);
            known
        }
    };
    if known.train.formats.contains_key("jpg") && !decode::jpeg_simd() {
        tracing::warn!(
            "JPEG is decoded without SIMD, in two to three times the time and to the same pixels: this loader was built \
             without nasm"
        );
    }
    let mut digest = digest_of(&known.train.digest(&found.train), &known.test.digest(&found.test));
    let output = options.image_size.map(Output::center_crop);
    if let Some(Output { size, resize, .. }) = output {
        digest = digest_with(&digest, &format!("output {size} {resize}"));
    }
    let make = |records, KnownSplit { marks, bad, formats, bytes, sizes, .. }: KnownSplit, kept| Encoded {
        archive: Arc::clone(&archive),
        records,
        sizes: Sizes::kept(sizes),
        kept,
        marks,
        bad,
        formats,
        bytes,
        left_out: LeftOut::default(),
    };
    let [kept_train, kept_test] = kept;
    let mut train = make(found.train, known.train, kept_train);
    let mut test = make(found.test, known.test, kept_test);
    let image = sizes::common([&train.sizes, &test.sizes]).map(ImageSize::rgb);
    let whole_digest = digest;
    let mut list = SkipList { dataset: digest, records: Vec::new() };
    if let Some(path) = &options.skip_list {
        list = SkipList::read(path)?;
        let records = |split| match split {
            Split::Train => &train,
            Split::Test => &test,
        };
        list.check(path, &digest, |split, sample| records(split).record(sample))?;
    }
    let bad = train.bad(Split::Train).chain(test.bad(Split::Test)).collect();
    let listed = list.records.len();
    bad_records::apply(options.bad_records, place, &found.incomplete, bad, &mut list)?;
    let by_list = bad_records::left_out("records of the skip list", &[], &list.records[..listed]);
    // Whoever gives a list knows of them: no warning.
    report.left_out.extend(by_list.map(|left| report::LeftOut { warn: false, ..left }));
    report.left_out.extend(bad_records::left_out("bad records", &found.incomplete, &list.records[listed..]));
    report.skipped.clone_from(&list.records);
    if !list.records.is_empty() {
        digest = list.digest(&digest);
        train = train.without(list.samples(Split::Train));
        test = test.without(list.samples(Split::Test));
        if train.records.is_empty() {
            return Err(refused("no training images are left".into()));
        }
    }
    tracing::info!(
        cache = ?keep,
        image = image.map_or_else(|| "of many sizes".into(), |image| image.to_string()),
        bad_records = train.bad.len() + test.bad.len(),
        skipped = train.left_out.count() + test.left_out.count() + found.incomplete.len() as u64,
        seconds = mixfeed_ops::logging::seconds(started.elapsed()),
        "{}",
        if was_known { "images known from the digest cache" } else { "images read" }
    );
    Ok(Dataset {
        name: found.name,
        classes: found.classes,
        image,
        output,
        train: Arc::new(train),
        test: Arc::new(test),
        digest,
        whole_digest: (digest != whole_digest).then_some(whole_digest),
    })
}

/// Decides what is kept of all samples, of which a part would make some batches fast and others slow, and how many bytes it
/// may take at most.
fn what_to_keep(found: &Found, decoded: u64, options: &Options, known: Option<&Known>) -> (Cache, u64) {
    if options.cache != Cache::Auto {
        return (options.cache, options.cache_bytes.unwrap_or(u64::MAX));
    }
    let budget = options.cache_bytes.unwrap_or_else(memory::default_bytes);
    let encoded = || match known {
        Some(known) => known.train.bytes.saturating_add(known.test.bytes),
        None => found.train.iter().chain(&found.test).map(|record| found.archive.bytes(record.number)).sum(),
    };
    // Files that are in memory go once all are decoded, but without a reading that is not at the start.
    let beside = if found.archive.in_memory() && known.is_some() { encoded() } else { 0 };
    if decoded.saturating_add(beside) <= budget {
        (Cache::Decoded, budget - beside)
    } else if !found.archive.in_memory() && encoded() <= budget {
        (Cache::Encoded, budget)
    } else {
        (Cache::None, 0)
    }
}

impl KnownSplit {
    fn decoded_bytes(&self, samples: usize) -> u64 {
        Sizes::kept(self.sizes.clone()).decoded_bytes(samples)
    }

    /// The digest of these records.
    fn digest(&self, records: &[Record]) -> SplitDigest {
        let mut labels = blake3::Hasher::new();
        for record in records {
            labels.update(&record.label.to_le_bytes());
        }
        let hash = |bytes: &[u8]| bytes.try_into().expect("a hash has 32 bytes, which was checked");
        SplitDigest {
            samples: records.len() as u64,
            labels: labels.finalize().into(),
            lengths: hash(&self.lengths),
            records: hash(&self.records),
        }
    }
}

/// The samples of one split.
struct Encoded {
    archive: Arc<dyn Archive>,
    records: Vec<Record>,
    sizes: Sizes,
    kept: RecordCache,
    /// See [`mark`].
    marks: Vec<u64>,
    /// Records known to be bad, by sample, with the reason.
    bad: BTreeMap<u64, String>,
    /// Of all records, those too that were left out.
    formats: BTreeMap<String, u64>,
    /// Of all files together, as far as they are known.
    bytes: u64,
    /// Those that were left out.
    left_out: LeftOut,
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("samples", &self.records.len()).finish_non_exhaustive()
    }
}

impl Encoded {
    /// The records that are known to be bad.
    fn bad(&self, split: Split) -> impl Iterator<Item = Skipped> + '_ {
        self.bad.iter().map(move |(&sample, reason)| Skipped {
            split,
            sample,
            record: self.archive.path(self.records[sample as usize].number),
            reason: reason.clone(),
        })
    }

    /// Leaves samples out; those after them move up.
    fn without(mut self, left_out: LeftOut) -> Self {
        let stays = || {
            let mut sample = 0..;
            let left_out = &left_out;
            move || sample.next().is_some_and(|sample| !left_out.contains(sample))
        };
        let mut keep = stays();
        self.records.retain(|_| keep());
        let mut keep = stays();
        self.marks.retain(|_| keep());
        self.sizes.retain(stays());
        self.kept.leave_out(&left_out);
        let bad = self.bad.into_iter().filter(|(sample, _)| !left_out.contains(*sample));
        self.bad = bad.map(|(sample, reason)| (left_out.number_left(sample), reason)).collect();
        self.left_out = left_out;
        self
    }

    fn error(&self, sample: u64, fault: Fault, reason: &str) -> SampleError {
        let record = self.archive.path(self.records[sample as usize].number);
        SampleError { sample, record, reason: reason.into(), fault }
    }

    fn damaged(&self, sample: u64) -> impl Fn(DecodeError) -> SampleError + '_ {
        move |error| self.error(sample, Fault::Damaged, &error.to_string())
    }

    /// The file of a sample, as it was at the start.
    fn file<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        if let Some(reason) = self.bad.get(&sample) {
            return Err(self.error(sample, Fault::Damaged, reason));
        }
        if let Some(kept) = self.kept.get(sample) {
            return Ok(kept);
        }
        self.archive.read(self.records[sample as usize].number, scratch).map_err(|e| {
            let fault = match e {
                ReadError::Moment(_) => Fault::Unavailable,
                // It was a record when the set was read.
                ReadError::Record(_) | ReadError::Changed(_) => Fault::Changed,
            };
            self.error(sample, fault, &e.to_string())
        })?;
        // What was learnt of a file, now or at an earlier start, is of these bytes and no others.
        if mark(scratch) != self.marks[sample as usize] {
            return Err(self.error(sample, Fault::Changed, "its bytes have changed since the start"));
        }
        self.kept.offer(Cache::Encoded, sample, scratch);
        Ok(scratch)
    }

    /// The pixels of a sample, where they are kept.
    fn decoded(&self, sample: u64) -> Option<&[u8]> {
        (self.kept.what() == Cache::Decoded).then(|| self.kept.get(sample))?
    }
}

impl Samples for Encoded {
    fn count(&self) -> u64 {
        self.records.len() as u64
    }

    fn label(&self, sample: u64) -> u32 {
        self.records[sample as usize].label
    }

    fn left_out(&self) -> LeftOut {
        self.left_out.clone()
    }

    fn known_bad(&self, few: usize) -> (u64, Vec<SampleError>) {
        let first = self.bad.iter().take(few);
        let first = first.map(|(sample, reason)| self.error(*sample, Fault::Damaged, reason)).collect();
        (self.bad.len() as u64, first)
    }

    fn formats(&self) -> BTreeMap<String, u64> {
        self.formats.clone()
    }

    fn size(&self, sample: u64) -> Option<ImageSize> {
        self.sizes.get(sample)
    }

    fn record(&self, sample: u64) -> Option<String> {
        self.records.get(usize::try_from(sample).ok()?).map(|record| self.archive.path(record.number))
    }

    fn memory(&self) -> SampleMemory {
        let good = |sample: &u64| !self.bad.contains_key(sample);
        // Those that are known to be bad are never kept, and never decoded.
        let missing = self.kept.missing().filter(good);
        let bytes = |sample| self.sizes.get(sample).map_or(0, |size| size.rgb().values() as u64);
        let to_keep_bytes = match self.kept.what() {
            Cache::Decoded => missing.map(bytes).fold(0, u64::saturating_add).min(self.kept.room()),
            Cache::Encoded if self.kept.missing().next().is_some() => self.bytes,
            Cache::Encoded | Cache::Auto | Cache::None => 0,
        };
        let all_decoded = self.kept.what() == Cache::Decoded && to_keep_bytes == 0;
        let largest = self.sizes.iter().map(|size| u64::from(size.height) * u64::from(size.width)).max();
        let file = self.marks.iter().copied().map(length_of).max().unwrap_or(0);
        let decoding = (DECODING_BYTES * largest.unwrap_or(0)).min(MAX_DECODE_BYTES);
        let decoding_bytes = if all_decoded { 0 } else { decoding + file };
        SampleMemory { to_keep_bytes, decoding_bytes }
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        if let Some(pixels) = self.decoded(sample) {
            return Ok(pixels);
        }
        let (_, pixels) = decode_rgb(self.file(sample, scratch)?).map_err(self.damaged(sample))?;
        self.kept.offer(Cache::Decoded, sample, &pixels);
        *scratch = pixels;
        Ok(scratch)
    }

    fn part<'a>(
        &'a self,
        sample: u64,
        original: ImageSize,
        part: Part,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Pixels<'a>, SampleError> {
        // Pixels that are kept are those of whole images.
        if self.kept.what() == Cache::Decoded && part.denominator == 1 {
            return Ok(Pixels::whole(self.image(sample, scratch)?, original));
        }
        FILE.with_borrow_mut(|file| {
            let file = self.file(sample, file)?;
            let (region, denominator) = decode_part(file, part, scratch).map_err(self.damaged(sample))?;
            Ok(Pixels { bytes: scratch, region, denominator })
        })
    }
}
