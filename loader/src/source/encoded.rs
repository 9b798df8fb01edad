//! Image files as samples: read and digested once by all CPUs ([`reading`](super::reading)), then decoded by
//! whoever asks for them, which is a worker thread.
//!
//! What is kept between the two follows from `--cache` and the memory budget. What the reading told is kept
//! on disk ([`digest_cache`](super::digest_cache)), so that the next start need not read. A record that
//! cannot be read or decoded does not keep the set from being served: it fails the batches it is in, by name.

mod samples;

use super::bad_records;
use super::checks::Checks;
use super::digest_cache::{DigestCache, Known, KnownSplit};
use super::error::SourceError;
use super::index::{Draft, Index};
use super::memory;
use super::options::{Cache, Options};
use super::reading::{Reader, Refusal, mean_bytes};
use super::record_cache::RecordCache;
use super::records::{Found, Record};
use super::report::{self, Report};
use super::retry::PAUSES;
use super::sizes::{self, Sizes};
use super::skip_list::SkipList;
use mixfeed_pipeline::dataset::{SplitDigest, digest_of, digest_with};
use mixfeed_pipeline::decode;
use mixfeed_pipeline::spec::{ImageSize, Output};
use mixfeed_pipeline::{Dataset, LeftOut, Samples as _, Split};
use samples::Encoded;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Classes, at most: a label beyond is a mistake, and would ask for as many names.
pub(super) const MAX_CLASSES: u64 = 1 << 16;

/// Memory for what holds records together and is unpacked for one of them, where the set is not kept: some pages of a table
/// for each of many workers. Part of the memory for the cache, if that is less.
const UNPACKED_BYTES: u64 = 256 << 20;

/// What is known of the records of a set, and where from.
struct Learnt {
    known: Known,
    /// By which the records of both splits are checked when they are read.
    checks: [Checks; 2],
    kept: [RecordCache; 2],
    /// For the log.
    how: &'static str,
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
    let draft = options.write_index.then(|| Draft::new(place, &found, options, report));
    let mut draft = draft.transpose().map_err(refused)?;
    arrange(place, &mut found, options)?;
    let decode = options.bad_records.need_decoding() || options.write_index;
    let is_enough = |known: &Known| {
        known.fits(found.train.len(), found.test.len()) && (known.decoded || !decode) && !options.write_index
    };
    let known = known.filter(is_enough);
    let samples = (found.train.len() + found.test.len()) as u64;
    let decoded = match &known {
        Some(known) => decoded_bytes(known, &found),
        None => mean_bytes(&found, &PAUSES).map_err(unread)?.saturating_mul(samples),
    };
    let (keep, kept) = room(&found, decoded, options, known.as_ref());
    let (mut known, how) = match known {
        Some(known) => (known, "images known from the digest cache"),
        None => {
            let reader = Reader { archive: found.archive.as_ref(), decode, pauses: &PAUSES };
            let train = reader.read(&found.train, &kept[0]).map_err(unread)?;
            let test = reader.read(&found.test, &kept[1]).map_err(unread)?;
            if let Some(draft) = &mut draft {
                draft.learn(&found.train, &train);
                draft.learn(&found.test, &test);
            }
            if keep == Cache::Decoded {
                found.archive.keep(0);
            }
            let listing = found.archive.listing(&mut found.train.iter().chain(&found.test));
            let decoded = decode || keep == Cache::Decoded;
            let known = Known { train: train.known(), test: test.known(), listing, decoded };
            cache.keep(&known);
            (known, "images read")
        }
    };
    report.index = draft.map(Draft::finish);
    let checks =
        [&mut known.train, &mut known.test].map(|split| Checks::Marks(std::mem::take(&mut split.marks)));
    finish(place, found, Learnt { known, checks, kept, how }, started, options, report)
}

/// Makes a set of what an index says, without reading any of it.
pub(super) fn open_indexed(
    place: &Path,
    mut found: Found,
    index: Index,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let started = Instant::now();
    arrange(place, &mut found, options)?;
    let [train, test] = [&found.train, &found.test].map(|records| index.known(records));
    let known = Known { train, test, listing: None, decoded: true };
    let (_, kept) = room(&found, decoded_bytes(&known, &found), options, Some(&known));
    let hashes = index.into_hashes();
    let checks = [Checks::Hashes(Arc::clone(&hashes)), Checks::Hashes(hashes)];
    let learnt = Learnt { known, checks, kept, how: "images known from the index" };
    finish(place, found, learnt, started, options, report)
}

/// Orders and divides what was found.
fn arrange(place: &Path, found: &mut Found, options: &Options) -> Result<(), SourceError> {
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    bad_records::check_complete(options.bad_records, &found.incomplete)?;
    found.arrange(options).map_err(refused)?;
    if found.train.is_empty() {
        return Err(refused("it has no training images".into()));
    }
    Ok(())
}

/// Makes room for what is kept of the records of both splits.
fn room(found: &Found, decoded: u64, options: &Options, known: Option<&Known>) -> (Cache, [RecordCache; 2]) {
    let samples = (found.train.len() + found.test.len()) as u128;
    let (keep, budget) = what_to_keep(found, decoded, options, known);
    let share = |records: &[Record]| (u128::from(budget) * records.len() as u128 / samples) as u64;
    // What the archive keeps as it is unpacked is kept nowhere else.
    let by_archive = keep == Cache::Encoded && found.archive.unpacked_bytes().is_some();
    let places = |records: &[Record]| if by_archive { 0 } else { records.len() };
    let kept = |records: &Vec<Record>| RecordCache::new(keep, places(records), share(records));
    (keep, [&found.train, &found.test].map(kept))
}

/// Puts the set together, and leaves out what is to be left out.
fn finish(
    place: &Path,
    found: Found,
    learnt: Learnt,
    started: Instant,
    options: &Options,
    report: &mut Report,
) -> Result<Dataset, SourceError> {
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    let Learnt { known, checks: [train_checks, test_checks], kept: [kept_train, kept_test], how } = learnt;
    let archive = found.archive;
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
    let make =
        |split, records, KnownSplit { bad, formats, bytes, sizes, .. }: KnownSplit, checks, kept| Encoded {
            archive: Arc::clone(&archive),
            records,
            sizes: Sizes::kept(sizes),
            kept,
            checks,
            bad,
            formats,
            bytes,
            left_out: LeftOut::default(),
            is_test: split == Split::Test,
        };
    let mut train = make(Split::Train, found.train, known.train, train_checks, kept_train);
    let mut test = make(Split::Test, found.test, known.test, test_checks, kept_test);
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
        cache = ?train.kept.what(),
        image = image.map_or_else(|| "of many sizes".into(), |image| image.to_string()),
        bad_records = train.bad.len() + test.bad.len(),
        skipped = train.left_out.count() + test.left_out.count() + found.incomplete.len() as u64,
        seconds = mixfeed_ops::logging::seconds(started.elapsed()),
        "{how}"
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
    let budget = options.cache_bytes.unwrap_or_else(memory::default_bytes);
    let unpacked = found.archive.unpacked_bytes();
    let encoded = || match (unpacked, known) {
        (Some(unpacked), _) => unpacked,
        (None, Some(known)) => known.train.bytes.saturating_add(known.test.bytes),
        (None, None) => {
            found.train.iter().chain(&found.test).map(|record| found.archive.bytes(record.number)).sum()
        }
    };
    let (keep, most) = match options.cache {
        Cache::Auto if decoded <= budget => (Cache::Decoded, budget),
        Cache::Auto if encoded() <= budget => (Cache::Encoded, budget),
        Cache::Auto | Cache::None => (Cache::None, 0),
        cache => (cache, options.cache_bytes.unwrap_or(u64::MAX)),
    };
    if let Some(unpacked) = unpacked {
        let beside = budget.saturating_sub(decoded);
        found.archive.keep(match keep {
            Cache::Encoded => most,
            // All pixels are kept in the end; until then nothing is unpacked twice if there is room for both.
            Cache::Decoded if unpacked <= beside => beside,
            _ => UNPACKED_BYTES.min(budget),
        });
    }
    (keep, most)
}

/// Bytes of all images decoded.
fn decoded_bytes(known: &Known, found: &Found) -> u64 {
    let of = |split: &KnownSplit, samples| Sizes::kept(split.sizes.clone()).decoded_bytes(samples);
    of(&known.train, found.train.len()) + of(&known.test, found.test.len())
}

impl KnownSplit {
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
