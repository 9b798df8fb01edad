//! CIFAR-10 in the binary version: a folder of five training files and a test file.

use super::SourceError;
use mixfeed_pipeline::cifar::{RECORD_BYTES, SHAPE, append_records};
use mixfeed_pipeline::dataset::{InMemory, SplitDigest, digest_of};
use mixfeed_pipeline::{Dataset, Samples};
use std::path::Path;
use std::sync::Arc;

const TRAIN_FILES: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST_FILES: [&str; 1] = ["test_batch.bin"];

/// Names of the classes, one a line; optional, since the ten are known.
const NAMES_FILE: &str = "batches.meta.txt";
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Tells whether `folder` holds one of the set's files.
pub(super) fn recognises(folder: &Path) -> bool {
    TRAIN_FILES.iter().chain(&TEST_FILES).any(|file| folder.join(file).exists())
}

/// Reads the set, decoded, into memory: about 184 MB.
pub(super) fn open(folder: &Path) -> Result<Dataset, SourceError> {
    let (train, train_digest) = read_split(folder, &TRAIN_FILES)?;
    let (test, test_digest) = read_split(folder, &TEST_FILES)?;
    Ok(Dataset {
        name: "cifar10".into(),
        classes: class_names(folder)?,
        image: SHAPE,
        train: Arc::new(train),
        test: Arc::new(test),
        digest: digest_of(&train_digest, &test_digest),
    })
}

fn read_split(folder: &Path, files: &[&str]) -> Result<(InMemory, SplitDigest), SourceError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut records = blake3::Hasher::new();
    for file in files {
        let path = folder.join(file);
        let bytes = read(&path)?.ok_or_else(|| SourceError::Incomplete(path.clone()))?;
        append_records(&bytes, &mut pixels, &mut labels)
            .map_err(|source| SourceError::Records { path, source })?;
        records.update(&bytes);
    }
    let mut label_hash = blake3::Hasher::new();
    let mut length_hash = blake3::Hasher::new();
    for label in &labels {
        label_hash.update(&label.to_le_bytes());
        length_hash.update(&(RECORD_BYTES as u64).to_le_bytes());
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

fn class_names(folder: &Path) -> Result<Vec<String>, SourceError> {
    let text = read(&folder.join(NAMES_FILE))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect();
    Ok(if names.len() == CLASSES.len() { names } else { CLASSES.map(String::from).to_vec() })
}

/// Returns the contents of a file, or nothing where there is none.
#[allow(clippy::disallowed_methods)]
fn read(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SourceError::Read { path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::Split;

    fn write(folder: &Path, file: &str, records: &[u8]) {
        let bytes: Vec<u8> = records
            .iter()
            .flat_map(|&label| std::iter::once(label).chain(std::iter::repeat_n(label * 10, 3072)))
            .collect();
        std::fs::write(folder.join(file), bytes).unwrap();
    }

    fn complete() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (i, file) in TRAIN_FILES.iter().chain(&TEST_FILES).enumerate() {
            write(folder.path(), file, &[i as u8, 9]);
        }
        folder
    }

    #[test]
    fn files_are_read_in_order() {
        let data = open(complete().path()).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (10, 2));
        let labels: Vec<_> = (0..10).map(|i| data.train.label(i)).collect();
        assert_eq!(labels, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
        let mut scratch = Vec::new();
        assert_eq!(data.samples(Split::Test).image(0, &mut scratch).unwrap()[0], 50);
        assert_eq!(data.classes[3], "cat");
    }

    #[test]
    fn a_changed_byte_changes_the_digest() {
        let folder = complete();
        let before = open(folder.path()).unwrap().digest;
        write(folder.path(), "data_batch_4.bin", &[3, 8]);
        assert_ne!(open(folder.path()).unwrap().digest, before);
    }

    #[test]
    fn broken_folders_are_named_with_file_and_place() {
        let folder = complete();
        std::fs::write(folder.path().join("data_batch_2.bin"), [0; 4000]).unwrap();
        let message = open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("data_batch_2.bin: 4000 bytes are not a whole number"), "{message}");

        write(folder.path(), "data_batch_2.bin", &[1, 10]);
        let message = open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("data_batch_2.bin: record 1 (offset 3073) has label 10"), "{message}");

        std::fs::remove_file(folder.path().join("data_batch_2.bin")).unwrap();
        let message = open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("data_batch_2.bin: missing"), "{message}");
    }
}
