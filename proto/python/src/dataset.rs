//! A data set of Python's, as a loader has one: images and labels by number.
//!
//! Python has read every sample once and says of each its shape, its label and a hash ([`Record`]). Those make the digest, and
//! each image that is read later is held against them: an image that does not follow from its number fails its batch, as a
//! file does that was changed. Deliberately not here: what counts as an image, which `mixfeed/_dataset.py` says.

use mixfeed_loader::extensions::CustomSource;
use mixfeed_pipeline::dataset::{SplitDigest, digest_of};
use mixfeed_pipeline::spec::ImageSize;
use mixfeed_pipeline::{Dataset, Fault, ImageShape, SampleError, Samples};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a hash: by so many an image is known again.
const HASH_BYTES: usize = 16;

/// Bytes of a record as Python writes it: four numbers of 32 bits, little-endian, and the hash.
pub(crate) const RECORD_BYTES: usize = 16 + HASH_BYTES;

/// What is known of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    shape: ImageShape,
    label: u32,
    hash: [u8; HASH_BYTES],
}

impl Record {
    fn read(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let shape = ImageShape { height: number(0), width: number(4), channels: number(8) };
        Self { shape, label: number(12), hash: bytes[16..].try_into().expect("the rest is the hash") }
    }
}

/// The hash of an image's bytes.
#[pyfunction]
pub(crate) fn image_hash<'py>(py: Python<'py>, pixels: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &hash(pixels))
}

fn hash(pixels: &[u8]) -> [u8; HASH_BYTES] {
    let hash = blake3::hash(pixels);
    std::array::from_fn(|at| hash.as_bytes()[at])
}

/// What Python knows of its data, to be made a [`Dataset`] of once.
pub(crate) struct Found {
    pub(crate) classes: Vec<String>,
    pub(crate) train: Vec<u8>,
    pub(crate) test: Vec<u8>,
    pub(crate) adapter: Arc<Adapter>,
}

/// A source that has been read by Python.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) found: Mutex<Option<Found>>,
}

impl CustomSource for Source {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn open(&self, _rest: &str) -> Result<Dataset, Box<dyn Error + Send + Sync>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Found { classes, train, test, adapter } = found.ok_or("it was opened before")?;
        let records = |bytes: &[u8]| -> Vec<Record> {
            bytes.as_chunks::<RECORD_BYTES>().0.iter().map(|record| Record::read(record)).collect()
        };
        let [train, test] = [train, test].map(|bytes| records(&bytes));
        if let Some(record) = train.iter().chain(&test).find(|record| !record.shape.is_possible()) {
            return Err(format!("an image of {} is larger than a stream carries", record.shape).into());
        }
        let digest = digest_of(&split_digest(&train), &split_digest(&test));
        let mut shapes = train.iter().chain(&test).map(|record| record.shape);
        let first = shapes.next();
        let image = if shapes.all(|shape| Some(shape) == first) { first } else { None };
        let colour = |record: &Record| record.shape.channels == 3;
        if image.is_none() && !train.iter().chain(&test).all(colour) {
            return Err("images of more than one size must all have three channels".into());
        }
        let split = |records, is_test| {
            let adapter = Arc::clone(&adapter);
            Arc::new(Split { records, is_test, name: self.name, is_uniform: image.is_some(), adapter })
        };
        Ok(Dataset {
            name: self.name.into(),
            classes,
            image,
            output: None,
            train: split(train, false),
            test: split(test, true),
            digest,
            whole_digest: None,
        })
    }
}

fn split_digest(records: &[Record]) -> SplitDigest {
    let [mut labels, mut lengths, mut images] = std::array::from_fn(|_| blake3::Hasher::new());
    for Record { shape: ImageShape { height, width, channels }, label, hash } in records {
        labels.update(&label.to_le_bytes());
        for side in [height, width, channels] {
            lengths.update(&side.to_le_bytes());
        }
        images.update(hash);
    }
    SplitDigest {
        samples: records.len() as u64,
        labels: labels.finalize().into(),
        lengths: lengths.finalize().into(),
        records: images.finalize().into(),
    }
}

/// One split.
#[derive(Debug)]
struct Split {
    records: Vec<Record>,
    is_test: bool,
    name: &'static str,
    is_uniform: bool,
    adapter: Arc<Adapter>,
}

impl Split {
    fn known(&self, sample: u64) -> &Record {
        &self.records[sample as usize]
    }

    fn named(&self, sample: u64) -> String {
        let split = if self.is_test { ".test" } else { "" };
        format!("{}{split}[{sample}]", self.name)
    }
}

impl Samples for Split {
    fn count(&self) -> u64 {
        self.records.len() as u64
    }

    fn label(&self, sample: u64) -> u32 {
        self.known(sample).label
    }

    fn size(&self, sample: u64) -> Option<ImageSize> {
        (!self.is_uniform).then(|| self.known(sample).shape.size())
    }

    fn record(&self, sample: u64) -> Option<String> {
        (sample < self.count()).then(|| self.named(sample))
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        let failed = |(fault, reason)| SampleError { sample, record: self.named(sample), reason, fault };
        let (shape, label) = self.adapter.read(self.is_test, sample, scratch).map_err(failed)?;
        if (Record { shape, label, hash: hash(scratch) }) != *self.known(sample) {
            let reason = "it is not the image and label that it was when all were read: a data set must give the same each \
                          time (one that was changed is another version, of which an index= is read anew); what is \
                          random is for a transform, which is handed a generator";
            return Err(failed((Fault::Changed, reason.into())));
        }
        Ok(scratch)
    }
}

/// What calls the data set and the transform: `Adapter` of `mixfeed/_dataset.py`.
#[derive(Debug)]
pub(crate) struct Adapter(pub(crate) Py<PyAny>);

impl Adapter {
    /// Reads a sample; why there is none, and whether there may be later.
    fn read(
        &self,
        is_test: bool,
        sample: u64,
        pixels: &mut Vec<u8>,
    ) -> Result<(ImageShape, u32), (Fault, String)> {
        self.with(|py| {
            let read = self.0.bind(py).call_method1("read", (is_test, sample))?;
            let (bytes, height, width, channels, label): (Bound<'_, PyBytes>, _, _, _, _) = read.extract()?;
            pixels.clear();
            pixels.extend_from_slice(bytes.as_bytes());
            Ok((ImageShape { height, width, channels }, label))
        })
    }

    /// Calls Python; an exception becomes a line.
    pub(crate) fn with<T>(&self, call: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, (Fault, String)> {
        let called = Python::try_attach(|py| call(py).map_err(|error| self.explained(py, &error)));
        called.unwrap_or_else(|| Err((Fault::Unavailable, "the interpreter is ending".into())))
    }

    fn explained(&self, py: Python<'_>, error: &PyErr) -> (Fault, String) {
        let explained = self.0.bind(py).call_method1("explain", (error.clone_ref(py).into_value(py),));
        match explained.and_then(|explained| explained.extract()) {
            Ok((true, reason)) => (Fault::Unavailable, reason),
            Ok((false, reason)) => (Fault::Damaged, reason),
            Err(_worse) => (Fault::Damaged, error.to_string()),
        }
    }
}
