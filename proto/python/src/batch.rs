//! One batch, for Python.

use crate::array::Array;
use crate::dlpack::Memory;
use crate::errors;
use mixfeed_client::{Batch as Received, ImageShape, StreamInfo};
use pyo3::prelude::*;
use std::sync::Arc;

/// lambda is sent as a whole number of these.
const ONE: f32 = 65_536.0;

/// Classes that a dataset may have.
const MOST_CLASSES: usize = 1 << 20;

/// One batch of training samples, checked against its checksum, the spec and the dataset's classes.
#[pyclass(frozen, module = "mixfeed")]
pub(crate) struct Batch {
    received: Received,
    image: ImageShape,
    /// Of the dataset.
    classes: usize,
}

impl Batch {
    pub(crate) fn new(received: Received, info: &StreamInfo) -> Self {
        Self { received, image: info.image, classes: info.dataset.classes.len() }
    }

    fn rows(&self) -> i64 {
        i64::try_from(self.received.rows).unwrap_or(i64::MAX)
    }

    fn classes(&self, labels: &[u32]) -> Array {
        let labels: Arc<[i64]> = labels.iter().map(|label| i64::from(*label)).collect();
        Array::new(Memory::Numbers(labels), vec![self.rows()])
    }
}

#[pymethods]
impl Batch {
    /// Index, counted in batches from the start of training.
    #[getter]
    fn index(&self) -> u64 {
        self.received.index
    }

    /// Epoch that the index lies in.
    #[getter]
    fn epoch(&self) -> u64 {
        self.received.epoch
    }

    /// Images: uint8 of shape (rows, height, width, channels), in the memory that they were received in.
    #[getter]
    fn images(&self) -> Array {
        let ImageShape { height, width, channels } = self.image;
        let shape = vec![self.rows(), height.into(), width.into(), channels.into()];
        Array::new(Memory::Pixels(self.received.pixels.clone()), shape)
    }

    /// Class of each sample: int64 of shape (rows,).
    #[getter]
    fn labels(&self) -> Array {
        self.classes(&self.received.labels)
    }

    /// Class of the sample mixed in, the label itself where nothing is mixed: int64 of shape (rows,).
    #[getter]
    fn partner_labels(&self) -> Array {
        self.classes(&self.received.partner_labels)
    }

    /// Weight of the sample itself, an exact multiple of 1/65536: float32 of shape (rows,).
    #[getter]
    fn lambdas(&self) -> Array {
        let lambdas: Arc<[f32]> = self.received.lambdas.iter().map(|lambda| *lambda as f32 / ONE).collect();
        Array::new(Memory::Lambdas(lambdas), vec![self.rows()])
    }

    /// Provenance: the number of each row's sample in its split, from 0 in the order of the dataset, and that of the sample
    /// mixed in (the former where nothing is mixed): int64 of shape (rows, 2). Raises SettingsError unless the stream was
    /// opened with sample_ids.
    #[getter]
    fn samples(&self, py: Python<'_>) -> PyResult<Array> {
        let samples = &self.received.samples;
        if samples.len() < self.received.rows {
            let text = "this stream's batches do not name their samples: open it with sample_ids=True";
            return Err(errors::settings(py, text));
        }
        let numbers = samples.as_flattened().iter();
        let numbers = numbers.map(|number| i64::try_from(*number).unwrap_or(i64::MAX)).collect();
        Ok(Array::new(Memory::Numbers(numbers), vec![self.rows(), 2]))
    }

    /// Soft targets: float32 of shape (rows, classes), lambda at a sample's own class and 1 - lambda at its partner's;
    /// `classes` are those of the dataset where they are not given. Raises ValueError for fewer than the labels need, and
    /// for more than 1048576.
    #[pyo3(signature = (classes=None))]
    fn soft_targets(&self, classes: Option<i64>) -> PyResult<Array> {
        let classes = classes.map_or(self.classes, |classes| usize::try_from(classes).unwrap_or(usize::MAX));
        if classes > MOST_CLASSES {
            let text = format!("classes must be a number from 0 to {MOST_CLASSES}");
            return Err(pyo3::exceptions::PyValueError::new_err(text));
        }
        let labels = self.received.labels.iter().chain(&self.received.partner_labels);
        if labels.max().is_some_and(|label| *label as usize >= classes) {
            let text = format!("a label of batch {} is not below {classes}", self.received.index);
            return Err(pyo3::exceptions::PyValueError::new_err(text));
        }
        let shape = vec![self.rows(), i64::try_from(classes).unwrap_or(i64::MAX)];
        Ok(Array::new(Memory::Lambdas(self.received.soft_targets(classes).into()), shape))
    }

    /// BLAKE3 digest, as hexadecimal digits, by which batches of two runs are compared. It covers the images as they are
    /// now: ask before anything is written to them.
    fn digest(&self, py: Python<'_>) -> String {
        hex::encode(py.detach(|| self.received.digest()))
    }

    fn __len__(&self) -> usize {
        self.received.rows
    }

    fn __repr__(&self) -> String {
        let Received { index, epoch, rows, .. } = self.received;
        format!("Batch(index={index}, epoch={epoch}, rows={rows})")
    }
}
