//! An index as bytes: a first line with the number of its form, what it holds, and the BLAKE3 hash of all that.
//!
//! Nothing in it depends on the machine: paths are within the set, and there are no times. The hash finds accidents, not
//! forgeries; whatever else could make a reader stumble is checked one by one.

use super::super::checks::HASH;
use super::super::index_file::HEAD;
use super::super::names::Names;
use super::super::records::MAX_RECORD_BYTES;
use mixfeed_pipeline::decode::MAX_SIDE_PIXELS;
use prost::Message;
use std::collections::BTreeMap;

/// The form that is written and read. It moves too when a release takes other images for bad ones, or sees another size.
const FORM: &[u8] = b"2";

/// How to have one that this release reads.
const REMEDY: &str = "make it again with `mixfeed-loader inspect --write-index`";

/// What is kept of a set. Of the columns, those of records have an entry for each, by number; in this order the training
/// records come in order of their paths, and so do those for testing.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Contents {
    /// Release that wrote it, for people.
    #[prost(string, tag = "1")]
    pub(super) release: String,
    /// Dataset digest of all records in order of their paths, with the test split that the set has itself.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) digest: Vec<u8>,
    /// `--train`, as paths within the set.
    #[prost(string, optional, tag = "3")]
    pub(super) train: Option<String>,
    /// `--test`, the same.
    #[prost(string, optional, tag = "4")]
    pub(super) test: Option<String>,
    /// What became the splits.
    #[prost(string, tag = "5")]
    pub(super) train_from: String,
    #[prost(string, tag = "6")]
    pub(super) test_from: String,
    #[prost(message, repeated, tag = "7")]
    pub(super) left_out: Vec<Left>,
    #[prost(string, repeated, tag = "8")]
    pub(super) warnings: Vec<String>,
    #[prost(string, repeated, tag = "9")]
    pub(super) classes: Vec<String>,
    /// Paths of the tar shards or tables; none where each record is a file of its own.
    #[prost(bytes = "vec", repeated, tag = "10")]
    pub(super) shards: Vec<Vec<u8>>,
    /// Records of each shard: they come shard after shard.
    #[prost(uint64, repeated, tag = "11")]
    pub(super) counts: Vec<u64>,
    /// Where in its shard each record begins, or its row in its table; none where there are no shards.
    #[prost(uint64, repeated, tag = "12")]
    pub(super) offsets: Vec<u64>,
    /// Records of shards that are no samples, for want of an image or a label.
    #[prost(message, repeated, tag = "13")]
    pub(super) incomplete: Vec<Lacking>,
    /// Path of each record's file, or its name in the shard: see [`Names`]. Rows of tables have none.
    #[prost(bytes = "vec", tag = "14")]
    pub(super) names: Vec<u8>,
    /// Twice the class, and one more of a record for testing.
    #[prost(uint32, repeated, tag = "15")]
    pub(super) labels: Vec<u32>,
    #[prost(uint32, repeated, tag = "16")]
    pub(super) lengths: Vec<u32>,
    /// BLAKE3 of each record's bytes.
    #[prost(bytes = "vec", tag = "17")]
    pub(super) hashes: Vec<u8>,
    /// Height << 16 | width as a viewer shows it; 0 where no header can be read. One entry where all are equal.
    #[prost(fixed32, repeated, tag = "18")]
    pub(super) sizes: Vec<u32>,
    #[prost(string, repeated, tag = "19")]
    pub(super) format_names: Vec<String>,
    /// Number of each record's format among the names, from 1; 0 where no header can be read.
    #[prost(bytes = "vec", tag = "20")]
    pub(super) formats: Vec<u8>,
    /// Records that cannot be decoded, by number, with the reason.
    #[prost(btree_map = "uint64, string", tag = "21")]
    pub(super) bad: BTreeMap<u64, String>,
}

/// What was left out: see [`LeftOut`](super::super::report::LeftOut).
#[derive(Clone, PartialEq, Message)]
pub(super) struct Left {
    #[prost(string, tag = "1")]
    pub(super) what: String,
    #[prost(uint64, tag = "2")]
    pub(super) count: u64,
    #[prost(string, tag = "3")]
    pub(super) why: String,
    #[prost(bool, tag = "4")]
    pub(super) named: bool,
    #[prost(bool, tag = "5")]
    pub(super) warn: bool,
}

/// A record that is no sample: its shard, and what it lacks.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Lacking {
    #[prost(uint32, tag = "1")]
    pub(super) shard: u32,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
}

impl Contents {
    /// All of it, as a file holds it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = [HEAD, FORM, b"\n"].concat();
        bytes.reserve(self.encoded_len() + HASH);
        Message::encode(self, &mut bytes).expect("a vector has room");
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        bytes
    }

    /// What a file holds, with the names of its records. An error says what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, Names), String> {
        let Some(line) = bytes.strip_prefix(HEAD) else {
            return Err("it is no index, as `mixfeed-loader inspect --write-index` writes it".into());
        };
        let form = line.split(|byte| *byte == b'\n').next().unwrap_or(line);
        if form != FORM {
            let [form, known] = [&form[..form.len().min(8)], FORM].map(String::from_utf8_lossy);
            let form = form.escape_default();
            return Err(format!("it is an index of form {form}, and this release reads {known}: {REMEDY}"));
        }
        let damaged = |what: &str| format!("it is damaged or cut short ({what}): {REMEDY}");
        let whole = bytes.split_last_chunk::<HASH>();
        let (bytes, _) = whole
            .filter(|(bytes, hash)| blake3::hash(bytes).as_bytes() == *hash)
            .ok_or_else(|| damaged("its hash is not that of its bytes"))?;
        let body = bytes.get(HEAD.len() + FORM.len() + 1..).unwrap_or_default();
        let mut contents: Self = Message::decode(body).map_err(|error| damaged(&error.to_string()))?;
        let names = contents.names().map_err(damaged)?;
        contents.check(names.len()).map_err(damaged)?;
        Ok((contents, names))
    }

    /// Takes out the names, none of which leads out of the set.
    fn names(&mut self) -> Result<Names, &'static str> {
        let (coded, count, files) =
            (std::mem::take(&mut self.names), self.labels.len(), self.shards.is_empty());
        let is_good = |name: &[u8]| if files { is_within(name) } else { std::str::from_utf8(name).is_ok() };
        Names::from_coded(coded, count, is_good).ok_or("its names are none")
    }

    fn check(&self, count: usize) -> Result<(), &'static str> {
        let columns = [self.lengths.len(), self.hashes.len() / HASH, self.formats.len()];
        let of_shards = if self.shards.is_empty() { 0 } else { count };
        let sum = self.counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        let size = |size: u32| {
            size == 0 || [size >> 16, size & 0xFFFF].iter().all(|it| (1..=MAX_SIDE_PIXELS).contains(it))
        };
        let checks = [
            (columns == [count; 3] && self.hashes.len().is_multiple_of(HASH), "its columns differ in length"),
            ([1, count].contains(&self.sizes.len()), "its sizes are too few or too many"),
            (self.sizes.iter().all(|it| size(*it)), "it has a size that no image has"),
            (
                self.lengths.iter().all(|length| u64::from(*length) <= MAX_RECORD_BYTES),
                "it has a record that is too long",
            ),
            (
                self.labels.iter().all(|label| (*label as usize >> 1) < self.classes.len()),
                "it has a label without a class",
            ),
            (
                self.formats.iter().all(|it| usize::from(*it) <= self.format_names.len()),
                "it has a format without a name",
            ),
            (
                self.bad.last_key_value().is_none_or(|(last, _)| *last < count as u64),
                "it has a reason without a record",
            ),
            (self.digest.len() == HASH, "its digest is none"),
            (
                self.offsets.len() == of_shards && sum == Some(of_shards as u64),
                "its shards have other records",
            ),
            (self.counts.len() == self.shards.len(), "its shards are not counted"),
            (self.shards.iter().all(|path| is_within(path)), "it has a shard that is outside of the set"),
            (
                self.incomplete.iter().all(|it| (it.shard as usize) < self.shards.len()),
                "it has a record of no shard",
            ),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(what))
    }
}

/// Whether a path is of names alone, so that it leads to nothing outside of the folder that it is within.
fn is_within(path: &[u8]) -> bool {
    let name = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    path.split(|byte| *byte == b'/').all(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_of_the_set_are_none() {
        for good in ["a.png", "a/b.png", "...", "a/..b"] {
            assert!(is_within(good.as_bytes()), "{good}");
        }
        for wrong in ["", "/a", "a/", "..", "a/../../b", "./a", "a//b", "a\0"] {
            assert!(!is_within(wrong.as_bytes()), "{wrong:?}");
        }
    }
}
