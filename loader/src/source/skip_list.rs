//! Skip lists: records that are left out of a set because somebody looked and found them bad.
//!
//! `inspect` writes one, and whatever reads data takes one. A list names the set that it was made for by
//! its digest, and each record by its place in its split and in the files, so that it cannot leave out
//! anything else. What is left is another set with a digest of its own: replicas that do not have the same
//! list refuse to work together. Its epochs have the order of the whole set ([`LeftOut`]).

use super::error::SourceError;
use super::retry::read;
use mixfeed_ops::files;
use mixfeed_pipeline::dataset::digest_without;
use mixfeed_pipeline::{LeftOut, Split};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The form of the file. Newer ones are refused.
const FORMAT: u32 = 1;

/// Records that are left out of one set.
#[derive(Clone, Debug, PartialEq)]
pub struct SkipList {
    /// Digest of the set as it is without the list.
    pub dataset: [u8; 32],
    /// The records, in any order.
    pub records: Vec<Skipped>,
}

/// A record that is left out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Skipped {
    /// The split that it is of.
    #[serde(with = "split_name")]
    pub split: Split,
    /// Number of the sample in its split, before anything is left out.
    pub sample: u64,
    /// Where the record lies, as messages about it say.
    pub record: String,
    /// Why it is left out: for people.
    #[serde(default)]
    pub reason: String,
}

/// A list as a file.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    format: u32,
    dataset: String,
    #[serde(default)]
    skip: Vec<Skipped>,
}

/// The first line of a list.
const HEAD: &str = "# Records that are left out of a dataset; mixfeed-loader reads it with --skip-list.\n";

impl SkipList {
    /// Reads a list.
    ///
    /// # Errors
    /// When there is none, or the file is something else.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let refused = |reason| SourceError::Set { path: path.into(), reason };
        let bytes = read(path)?.ok_or_else(|| SourceError::Missing(path.into()))?;
        Self::from_toml(&bytes).map_err(|reason| refused(format!("not a skip list: {reason}")))
    }

    fn from_toml(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_no_text| "the file is not text")?;
        let File { format, dataset, skip } =
            toml::from_str(text).map_err(|e| e.message().replace('\n', " "))?;
        if format != FORMAT {
            return Err(format!("format {format} is not known, only {FORMAT}"));
        }
        let digest = hex::decode(&dataset).ok().and_then(|bytes| bytes.try_into().ok());
        let dataset = digest.ok_or_else(|| format!("dataset {dataset:?} is no digest"))?;
        Ok(Self { dataset, records: skip })
    }

    /// Tells whether a file that begins so is a skip list as [`write`](Self::write) writes it.
    #[must_use]
    pub fn is_one(head: &[u8]) -> bool {
        head.starts_with(HEAD.as_bytes())
    }

    /// Writes the list, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SourceError> {
        let failed = |source| SourceError::Read { path: path.into(), source };
        let file = File { format: FORMAT, dataset: hex::encode(self.dataset), skip: self.records.clone() };
        let text = toml::to_string(&file).map_err(|e| failed(std::io::Error::other(e)))?;
        files::write_among_others(path, [HEAD, &text].concat().as_bytes()).map_err(failed)
    }

    /// Checks the list against a set of this digest, of which `record` tells where a sample lies.
    pub(super) fn check(
        &self,
        path: &Path,
        dataset: &[u8; 32],
        record: impl Fn(Split, u64) -> Option<String>,
    ) -> Result<(), SourceError> {
        let refused = |reason| SourceError::Set { path: path.into(), reason };
        if self.dataset != *dataset {
            return Err(refused(format!(
                "the skip list was made for dataset {}, but this one is {}; files, order, test fraction and image size must be the same",
                hex::encode(self.dataset),
                hex::encode(dataset)
            )));
        }
        for Skipped { split, sample, record: expected, .. } in &self.records {
            let reason = match record(*split, *sample) {
                Some(found) if found == *expected => continue,
                Some(found) => {
                    format!("it names {split} sample {sample} as {expected}, but that is {found}")
                }
                None => format!("it names {split} sample {sample}, {expected}, which is not there"),
            };
            return Err(refused(reason));
        }
        Ok(())
    }

    /// The samples of a split that are left out.
    pub(super) fn samples(&self, split: Split) -> LeftOut {
        self.records.iter().filter(|skipped| skipped.split == split).map(|skipped| skipped.sample).collect()
    }

    /// The digest of what the list leaves of the set of digest `dataset`. An empty list leaves the set.
    pub(super) fn digest(&self, dataset: &[u8; 32]) -> [u8; 32] {
        digest_without(dataset, &self.samples(Split::Train), &self.samples(Split::Test))
    }
}

/// Splits by name, as TOML has them.
mod split_name {
    use mixfeed_pipeline::Split;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(split: &Split, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(split)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Split, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Split::ALL.into_iter().find(|split| split.to_string() == name);
        found.ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no split: train or test")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> SkipList {
        let skipped = |split, sample| Skipped {
            split,
            sample,
            record: format!("{split}/\"{sample}\"\n.png"),
            reason: "cut short".into(),
        };
        SkipList { dataset: [7; 32], records: vec![skipped(Split::Test, 3), skipped(Split::Train, 9)] }
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skip.toml");
        list().write(&path).unwrap();
        assert_eq!(SkipList::read(&path).unwrap(), list());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_left_out_moves_the_digest_and_nothing_else_does() {
        let base = [1; 32];
        let mut other = list();
        other.records.reverse();
        other.records[0].reason.clear();
        assert_eq!(list().digest(&base), other.digest(&base));
        other.records[0].sample += 1;
        assert_ne!(list().digest(&base), other.digest(&base));
        other.records.clear();
        assert_eq!(other.digest(&base), base);
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let refused = |text: &str| SkipList::from_toml(text.as_bytes()).unwrap_err();
        assert!(refused("format = 1").contains("missing field `dataset`"));
        assert!(refused("format = 2\ndataset = \"\"").contains("format 2 is not known"));
        assert!(refused("format = 1\ndataset = \"07\"").contains("is no digest"));
        let bad = format!("format = 1\ndataset = \"{}\"\n[[skip]]\nsplit = \"dev\"\n", "07".repeat(32));
        assert!(refused(&bad).contains("\"dev\" is no split"));
        assert_eq!(SkipList::from_toml(&[0xFF]).unwrap_err(), "the file is not text");
        let missing = SkipList::read(Path::new("/no/such.toml")).unwrap_err().to_string();
        assert_eq!(missing, "/no/such.toml: no such file or folder");
    }
}
