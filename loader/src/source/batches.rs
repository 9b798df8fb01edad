//! CIFAR-10 and CIFAR-100 in the Python version: files of pickled batches.
//!
//! A batch is a dictionary: `data` is an array of bytes, one row of 3,072 for each image (red, green, blue
//! planes), and `labels` (CIFAR-100: `fine_labels`) the list of their classes.

use super::cifar::class_names;
use super::error::SourceError;
use super::pickle::{Node, Pickle};
use super::retry::read;
use super::set_files::SetFiles;
use mixfeed_pipeline::Dataset;
use mixfeed_pipeline::cifar::{Layout, SHAPE, planar_to_interleaved};
use std::path::{Path, PathBuf};

/// A set in the Python version.
pub(super) struct Set {
    pub(super) files: SetFiles,
    layout: Layout,
    labels: &'static str,
    /// File and key of the class names.
    names: (&'static str, &'static str),
}

static SETS: [Set; 2] = [
    Set {
        files: SetFiles {
            name: "cifar10",
            folder: "cifar-10-batches-py",
            train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
            test: "test_batch",
        },
        layout: Layout::Cifar10,
        labels: "labels",
        names: ("batches.meta", "label_names"),
    },
    Set {
        files: SetFiles { name: "cifar100", folder: "cifar-100-python", train: &["train"], test: "test" },
        layout: Layout::Cifar100,
        labels: "fine_labels",
        names: ("meta", "fine_label_names"),
    },
];

/// Finds the sets of which one of the files is there, and the folders of their files.
pub(super) fn detect(place: &Path) -> impl Iterator<Item = (&'static Set, PathBuf)> {
    SETS.iter().filter_map(move |set| Some((set, set.files.folder_at(place)?)))
}

/// Reads the set, decoded, into memory.
pub(super) fn open(folder: &Path, set: &Set) -> Result<Dataset, SourceError> {
    let classes = class_names(names(folder, set)?, set.layout);
    set.files.open(folder, classes, SHAPE.values(), |path, bytes, pixels, labels| {
        append_batch(bytes, set, pixels, labels)
            .map_err(|reason| SourceError::Set { path: path.to_owned(), reason })
    })
}

/// Appends the images and labels of a batch, and returns its images as they lie in the file.
fn append_batch<'a>(
    file: &'a [u8],
    set: &Set,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<&'a [u8], String> {
    let batch = Pickle::read(file)?;
    let data = batch.get(batch.root(), "data").and_then(|data| batch.byte_array(data));
    let (shape, data) = data.ok_or("it has no array of bytes named data")?;
    let list = batch.get(batch.root(), set.labels).and_then(|labels| batch.list(labels));
    let list = list.ok_or_else(|| format!("it has no list named {}", set.labels))?;
    let image = SHAPE.values();
    if shape != [list.len(), image] || list.len().checked_mul(image) != Some(data.len()) {
        return Err(format!(
            "data has shape {shape:?} and {} bytes, expected {} images of {image}, one for each label",
            data.len(),
            list.len()
        ));
    }
    let classes = i64::from(set.layout.classes());
    for (record, label) in list.enumerate() {
        match label {
            Node::Int(label) if (0..classes).contains(label) => labels.push(*label as u32),
            Node::Int(label) => {
                return Err(format!(
                    "record {record} has label {label}, but labels are 0 to {}",
                    classes - 1
                ));
            }
            _ => return Err(format!("the label of record {record} is no number")),
        }
    }
    let start = pixels.len();
    pixels.resize(start + data.len(), 0);
    for (planes, image) in data.chunks_exact(image).zip(pixels[start..].chunks_exact_mut(image)) {
        planar_to_interleaved(planes, image);
    }
    Ok(data)
}

/// The names of the classes, or nothing where the file is missing or does not tell.
fn names(folder: &Path, set: &Set) -> Result<Vec<String>, SourceError> {
    let (file, key) = set.names;
    let path = folder.join(file);
    let Some(bytes) = read(&path)? else { return Ok(Vec::new()) };
    let meta = Pickle::read(&bytes).map_err(|reason| SourceError::Set { path, reason })?;
    let names = meta.get(meta.root(), key).and_then(|names| meta.list(names));
    let text = |name: &Node<'_>| match name {
        Node::Text(text) => (*text).to_string(),
        Node::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    Ok(names.map(|names| names.map(text).collect()).unwrap_or_default())
}
