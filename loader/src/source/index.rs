//! The index of a set: all that a loader has to know to serve it without listing its folders or reading its files, made
//! once by `inspect --write-index` and good wherever the same files lie.
//!
//! It has of each record the path, length, BLAKE3, size as a viewer shows it, format and class, and of the set what became
//! of all else. Order, test fraction, skip list and what becomes of bad records are applied to it as to a set that is read
//! here, so that the dataset digest is the same; only what `--train` and `--test` chose is fixed.
//!
//! What is deliberately not here: reading the records, and checking them, which is done whenever one is
//! read ([`checks`](super::checks)).

mod find;
mod format;

use super::checks::{HASH, Hashes};
use super::digest_cache::KnownSplit;
use super::index_file::IndexFile;
use super::names::Names;
use super::options::Options;
use super::reading::Whole;
use super::records::{Found, Places, Record};
use super::report::{LeftOut, Report, ending};
use super::sizes::Sizes;
use super::splits::within;
pub(super) use find::{Choice, find};
use format::{Contents, Lacking, Left};
use mixfeed_ops::build::RELEASE;
use mixfeed_pipeline::dataset::{SplitDigest, digest_of};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An index in the making: what was found at a place, before it is ordered and divided.
pub(super) struct Draft(Contents);

impl Draft {
    /// Takes down what was found. An error says why that has no index.
    pub(super) fn new(
        place: &Path,
        found: &Found,
        options: &Options,
        report: &Report,
    ) -> Result<Self, String> {
        let Some(Places { names, shards, counts, offsets, incomplete }) = found.archive.places() else {
            return Err("there is no index of such data".into());
        };
        let count = names.len();
        let chosen = |pattern: &Option<String>| pattern.as_ref().map(|pattern| within(place, pattern, &[]));
        let mut labels = vec![0; count];
        for (records, is_test) in [(&found.train, 0), (&found.test, 1)] {
            for record in records {
                labels[record.number as usize] = record.label << 1 | is_test;
            }
        }
        let left_out = report
            .left_out
            .iter()
            .cloned()
            .map(|LeftOut { what, count, why, named, warn }| Left { what, count, why, named, warn });
        let incomplete = incomplete.into_iter().map(|(shard, reason)| Lacking { shard, reason });
        Ok(Self(Contents {
            release: RELEASE.into(),
            train: chosen(&options.train),
            test: chosen(&options.test),
            train_from: report.train.from.clone(),
            test_from: report.test.from.clone(),
            left_out: left_out.collect(),
            warnings: report.warnings.clone(),
            classes: found.classes.clone(),
            shards: shards.iter().map(|path| path_within(place, path)).collect(),
            counts,
            offsets,
            incomplete: incomplete.collect(),
            names: names.into_coded(),
            labels,
            lengths: vec![0; count],
            hashes: vec![0; count * HASH],
            sizes: vec![0; count],
            formats: vec![0; count],
            ..Contents::default()
        }))
    }

    /// Takes down what reading the records of a split told.
    pub(super) fn learn(&mut self, records: &[Record], read: &Whole) {
        let Contents { lengths, hashes, sizes, formats, format_names, bad, .. } = &mut self.0;
        for (sample, record) in records.iter().enumerate() {
            let number = record.number as usize;
            lengths[number] = read.lengths[sample] as u32;
            hashes[number * HASH..][..HASH].copy_from_slice(read.hashes[sample].as_bytes());
            sizes[number] = read.sizes.number(sample as u64);
            let format = read.formats[sample];
            if !format.is_empty() {
                let known = format_names.iter().position(|name| name == format).unwrap_or_else(|| {
                    format_names.push(format.into());
                    format_names.len() - 1
                });
                formats[number] = known as u8 + 1;
            }
            if let Some(reason) = read.known.bad.get(&(sample as u64)) {
                bad.insert(record.number, reason.clone());
            }
        }
    }

    /// The index, once all is known.
    pub(super) fn finish(mut self) -> IndexFile {
        let contents = &mut self.0;
        if let [first, others @ ..] = &contents.sizes[..]
            && others.iter().all(|size| size == first)
        {
            contents.sizes.truncate(1);
        }
        contents.digest = digest(contents).to_vec();
        IndexFile(contents.encode())
    }
}

/// A path within the set. Of a set that is one file it is the file's name.
fn path_within(place: &Path, path: &Path) -> Vec<u8> {
    let within = path.strip_prefix(place).ok().filter(|within| !within.as_os_str().is_empty());
    let name = || path.file_name().unwrap_or_default();
    within.map_or_else(name, Path::as_os_str).as_bytes().to_vec()
}

/// What the records of a set lie in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holders {
    /// Each is a file of its own.
    Files,
    /// In tar shards.
    Shards,
    /// In parquet files.
    Tables,
}

/// An index that was read and found whole.
pub(super) struct Index {
    contents: Contents,
    names: Names,
}

impl Index {
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (contents, names) = Contents::decode(bytes)?;
        if contents.digest != digest(&contents) {
            return Err("it is damaged: its records are not those of its digest".into());
        }
        Ok(Self { contents, names })
    }

    /// What its records lie in.
    pub(super) fn holders(&self) -> Holders {
        match self.contents.shards.first() {
            None => Holders::Files,
            Some(path) if ending(Path::new(OsStr::from_bytes(path))) == "parquet" => Holders::Tables,
            Some(_) => Holders::Shards,
        }
    }

    /// The shards or tables of a set at `place`, which is a folder or, where there is one shard, may be that file.
    pub(super) fn shards(&self, place: &Path) -> Vec<PathBuf> {
        let path = |shard: &Vec<u8>| match place.is_file() {
            true => place.into(),
            false => place.join(OsStr::from_bytes(shard)),
        };
        self.contents.shards.iter().map(path).collect()
    }

    /// Where the records lie: for the archive that reads them.
    pub(super) fn take_places(&mut self, place: &Path) -> Places {
        let shards = self.shards(place);
        let Contents { counts, offsets, incomplete, .. } = &mut self.contents;
        Places {
            names: std::mem::take(&mut self.names),
            shards,
            counts: std::mem::take(counts),
            offsets: std::mem::take(offsets),
            incomplete: std::mem::take(incomplete).into_iter().map(|it| (it.shard, it.reason)).collect(),
        }
    }

    /// Length of a record in bytes.
    pub(super) fn length(&self, record: usize) -> u32 {
        self.contents.lengths[record]
    }

    pub(super) fn classes(&self) -> &[String] {
        &self.contents.classes
    }

    /// The records for training and for testing, before they are ordered and divided.
    pub(super) fn records(&self) -> [Vec<Record>; 2] {
        [0, 1].map(|is_test| {
            let all = (0..).zip(&self.contents.labels).filter(|(_, label)| *label & 1 == is_test);
            all.map(|(number, label)| Record { number, label: label >> 1 }).collect()
        })
    }

    /// Tells in a report what was told when the index was made.
    pub(super) fn tell(&self, report: &mut Report) {
        let Contents { train_from, test_from, left_out, warnings, .. } = &self.contents;
        report.train.from.clone_from(train_from);
        report.test.from.clone_from(test_from);
        report.left_out.extend(
            left_out.iter().cloned().map(|Left { what, count, why, named, warn }| LeftOut {
                what,
                count,
                why,
                named,
                warn,
            }),
        );
        report.warnings.extend(warnings.iter().cloned());
    }

    /// What reading these records as a split would tell, but for the marks.
    pub(super) fn known(&self, records: &[Record]) -> KnownSplit {
        let Contents { sizes: all_sizes, formats, format_names, bad, .. } = &self.contents;
        let mut known = KnownSplit { bytes: self.bytes(records), ..KnownSplit::default() };
        let mut counts = vec![0; format_names.len() + 1];
        let (mut sizes, all_sizes) = (Sizes::unknown(records.len()), Sizes::kept(all_sizes.clone()));
        for (sample, record) in records.iter().enumerate() {
            counts[usize::from(formats[record.number as usize])] += 1;
            if let Some(size) = all_sizes.get(record.number) {
                sizes.set(sample, size);
            }
            if let Some(reason) = bad.get(&record.number) {
                known.bad.insert(sample as u64, reason.clone());
            }
        }
        known.sizes = sizes.into_numbers();
        let counts = format_names.iter().cloned().zip(counts.into_iter().skip(1));
        known.formats = counts.filter(|(_, count)| *count > 0).collect();
        let SplitDigest { lengths, records, .. } = split_digest(&self.contents, records);
        (known.lengths, known.records) = (lengths.to_vec(), records.to_vec());
        known
    }

    fn bytes(&self, records: &[Record]) -> u64 {
        records.iter().map(|record| u64::from(self.contents.lengths[record.number as usize])).sum()
    }

    /// What each record is checked by.
    pub(super) fn into_hashes(self) -> Arc<Hashes> {
        let Contents { lengths, hashes, .. } = self.contents;
        Arc::new(Hashes { lengths, hashes })
    }
}

/// The dataset digest of all records in order of their numbers.
fn digest(contents: &Contents) -> [u8; HASH] {
    let [train, test] = [0, 1].map(|is_test| {
        let all = (0..).zip(&contents.labels).filter(|(_, label)| *label & 1 == is_test);
        let records: Vec<Record> = all.map(|(number, label)| Record { number, label: label >> 1 }).collect();
        split_digest(contents, &records)
    });
    digest_of(&train, &test)
}

fn split_digest(contents: &Contents, records: &[Record]) -> SplitDigest {
    let [mut labels, mut lengths, mut hashes] = std::array::from_fn(|_| blake3::Hasher::new());
    for record in records {
        let number = record.number as usize;
        labels.update(&record.label.to_le_bytes());
        lengths.update(&u64::from(contents.lengths[number]).to_le_bytes());
        hashes.update(&contents.hashes[number * HASH..][..HASH]);
    }
    SplitDigest {
        samples: records.len() as u64,
        labels: labels.finalize().into(),
        lengths: lengths.finalize().into(),
        records: hashes.finalize().into(),
    }
}
