//! CIFAR-10 and CIFAR-100 in the binary version: a folder of training files and a test file.

use super::error::SourceError;
use super::retry::text_lines;
use super::set_files::SetFiles;
use mixfeed_pipeline::Dataset;
use mixfeed_pipeline::cifar::{Layout, append_records};
use std::path::{Path, PathBuf};

/// A set in the binary version.
pub(super) struct Set {
    pub(super) files: SetFiles,
    layout: Layout,
    /// Names of the classes, one a line; optional.
    names: &'static str,
}

pub(super) const CIFAR10: Set = Set {
    files: SetFiles {
        name: "cifar10",
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
    },
    layout: Layout::Cifar10,
    names: "batches.meta.txt",
};

pub(super) const CIFAR100: Set = Set {
    files: SetFiles { name: "cifar100", folder: "cifar-100-binary", train: &["train.bin"], test: "test.bin" },
    layout: Layout::Cifar100,
    names: "fine_label_names.txt",
};

static SETS: [Set; 2] = [CIFAR10, CIFAR100];

/// The ten classes of CIFAR-10, for folders that do not name them.
pub(super) const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Finds the sets of which one of the files is there, and the folders of their files.
pub(super) fn detect(place: &Path) -> impl Iterator<Item = (&'static Set, PathBuf)> {
    SETS.iter().filter_map(move |set| Some((set, set.files.folder_at(place)?)))
}

/// Reads the set, decoded, into memory (about 184 MB).
pub(super) fn open(folder: &Path, set: &Set) -> Result<Dataset, SourceError> {
    let classes = class_names(text_lines(&folder.join(set.names))?, set.layout);
    set.files.open(folder, classes, set.layout.record_bytes(), |path, bytes, pixels, labels| {
        append_records(set.layout, bytes, pixels, labels)
            .map_err(|source| SourceError::Records { path: path.to_owned(), source })?;
        Ok(bytes)
    })
}

/// The names found where there is one for each class, otherwise those that are known, otherwise numbers.
pub(super) fn class_names(found: Vec<String>, layout: Layout) -> Vec<String> {
    match layout {
        _ if found.len() == usize::from(layout.classes()) => found,
        Layout::Cifar10 => CIFAR10_CLASSES.map(String::from).to_vec(),
        Layout::Cifar100 => (0..layout.classes()).map(|class| class.to_string()).collect(),
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

    fn read(place: &Path) -> Result<Dataset, SourceError> {
        let (set, folder) = detect(place).next().unwrap();
        open(&folder, set)
    }

    fn complete() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (i, file) in SETS[0].files.train.iter().chain([&SETS[0].files.test]).enumerate() {
            write(folder.path(), file, &[i as u8, 9]);
        }
        folder
    }

    #[test]
    fn files_are_read_in_order() {
        let data = read(complete().path()).unwrap();
        assert_eq!((data.train.count(), data.test.count()), (10, 2));
        let labels: Vec<_> = (0..10).map(|i| data.train.label(i)).collect();
        assert_eq!(labels, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
        let mut scratch = Vec::new();
        assert_eq!(data.samples(Split::Test).image(0, &mut scratch).unwrap()[0], 50);
        assert_eq!(data.classes[3], "cat");
    }

    #[test]
    fn cifar_100_is_read_with_its_fine_labels() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cifar-100-binary");
        std::fs::create_dir(&inner).unwrap();
        let record = |fine: u8| [vec![1, fine], vec![fine; 3072]].concat();
        std::fs::write(inner.join("train.bin"), [record(5), record(99)].concat()).unwrap();
        std::fs::write(inner.join("test.bin"), record(42)).unwrap();
        let data = read(folder.path()).unwrap();
        assert_eq!((data.name.as_str(), data.classes.len()), ("cifar100", 100));
        assert_eq!([data.train.label(0), data.train.label(1), data.test.label(0)], [5, 99, 42]);
        std::fs::remove_file(inner.join("test.bin")).unwrap();
        let message = read(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with("test.bin: missing; cifar100 has train.bin and test.bin"), "{message}");
    }

    #[test]
    fn a_changed_byte_changes_the_digest() {
        let folder = complete();
        let before = read(folder.path()).unwrap().digest;
        write(folder.path(), "data_batch_4.bin", &[3, 8]);
        assert_ne!(read(folder.path()).unwrap().digest, before);
    }

    #[test]
    fn broken_folders_are_named_with_file_and_place() {
        let folder = complete();
        std::fs::write(folder.path().join("data_batch_2.bin"), [0; 4000]).unwrap();
        let message = read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("data_batch_2.bin: 4000 bytes are not a whole number"), "{message}");

        write(folder.path(), "data_batch_2.bin", &[1, 10]);
        let message = read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("data_batch_2.bin: record 1 (offset 3073) has label 10"), "{message}");

        std::fs::remove_file(folder.path().join("data_batch_2.bin")).unwrap();
        let message = read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("data_batch_2.bin: missing"), "{message}");
    }
}
