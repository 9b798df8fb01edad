//! A set of images of one size whose records lie in a few files, read into memory: what the binary and
//! the Python version of CIFAR have in common. How a file is cut into records is the caller's knowledge.

use super::error::SourceError;
use super::retry::{patiently, read};
use mixfeed_pipeline::cifar::SHAPE;
use mixfeed_pipeline::dataset::{InMemory, SplitDigest, digest_of};
use mixfeed_pipeline::{Dataset, Samples};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a set, in the order of their records.
pub(super) struct SetFiles {
    pub(super) name: &'static str,
    /// What the archive unpacks into.
    pub(super) folder: &'static str,
    pub(super) train: &'static [&'static str],
    pub(super) test: &'static str,
}

/// Appends the pixels and labels of one file, and returns the bytes of it that enter the digest.
pub(super) trait Append:
    for<'a> Fn(&Path, &'a [u8], &mut Vec<u8>, &mut Vec<u32>) -> Result<&'a [u8], SourceError>
{
}

impl<F> Append for F where
    F: for<'a> Fn(&Path, &'a [u8], &mut Vec<u8>, &mut Vec<u32>) -> Result<&'a [u8], SourceError>
{
}

impl SetFiles {
    /// The folder that has one of the files: the place, or what the archive unpacks into there.
    pub(super) fn folder_at(&self, place: &Path) -> Option<PathBuf> {
        let has_one =
            |folder: &PathBuf| self.train.iter().chain([&self.test]).any(|file| folder.join(file).is_file());
        [place.into(), place.join(self.folder)].into_iter().find(has_one)
    }

    /// Reads all of them; each record has `record_bytes` bytes.
    pub(super) fn open(
        &self,
        folder: &Path,
        classes: Vec<String>,
        record_bytes: usize,
        append: impl Append,
    ) -> Result<Dataset, SourceError> {
        let (train, train_digest) = self.read_split(folder, self.train, record_bytes, &append)?;
        let (test, test_digest) = self.read_split(folder, &[self.test], record_bytes, &append)?;
        Ok(Dataset {
            name: self.name.into(),
            classes,
            image: Some(SHAPE),
            output: None,
            train: Arc::new(train),
            test: Arc::new(test),
            digest: digest_of(&train_digest, &test_digest),
            whole_digest: None,
        })
    }

    fn read_split(
        &self,
        folder: &Path,
        files: &[&str],
        record_bytes: usize,
        append: &impl Append,
    ) -> Result<(InMemory, SplitDigest), SourceError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let mut records = blake3::Hasher::new();
        for file in files {
            let path = folder.join(file);
            let bytes = patiently(|| read(&path))?.ok_or_else(|| SourceError::Incomplete {
                path: path.clone(),
                set: self.name,
                files: format!("{} and {}", self.train.join(", "), self.test),
            })?;
            records.update(append(&path, &bytes, &mut pixels, &mut labels)?);
        }
        let (mut label_hash, mut length_hash) = (blake3::Hasher::new(), blake3::Hasher::new());
        for label in &labels {
            label_hash.update(&label.to_le_bytes());
            length_hash.update(&(record_bytes as u64).to_le_bytes());
        }
        let samples = InMemory::new(SHAPE, pixels, labels);
        let digest = SplitDigest {
            samples: samples.count(),
            labels: label_hash.finalize().into(),
            lengths: length_hash.finalize().into(),
            records: records.finalize().into(),
        };
        Ok((samples, digest))
    }
}
