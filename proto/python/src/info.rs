//! What is fixed about a stream, for Python.

use mixfeed_client::{ImageShape, StreamInfo};
use pyo3::prelude::*;

/// What is fixed about an open stream.
#[pyclass(frozen, module = "mixfeed")]
pub(crate) struct Info(pub(crate) StreamInfo);

#[pymethods]
impl Info {
    /// Readable name of the dataset.
    #[getter]
    fn dataset(&self) -> &str {
        &self.0.dataset.name
    }

    /// Digest of the dataset's records, as hexadecimal digits.
    #[getter]
    fn dataset_digest(&self) -> String {
        hex::encode(self.0.dataset.digest)
    }

    /// Fingerprint of the algorithm that makes batches, as hexadecimal digits.
    #[getter]
    fn algorithm_fingerprint(&self) -> String {
        hex::encode(self.0.algorithm_fingerprint)
    }

    /// Names of the classes; a label is a position in this list.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.0.dataset.classes.clone()
    }

    /// Height, width and channels of each image as sent.
    #[getter]
    fn shape(&self) -> (u32, u32, u32) {
        let ImageShape { height, width, channels } = self.0.image;
        (height, width, channels)
    }

    /// Training samples of the dataset.
    #[getter]
    fn train_samples(&self) -> u64 {
        self.0.dataset.train_samples
    }

    /// Test samples of the dataset.
    #[getter]
    fn test_samples(&self) -> u64 {
        self.0.dataset.test_samples
    }

    /// Samples of an epoch of this stream, of all ranks together.
    #[getter]
    fn samples_per_epoch(&self) -> u64 {
        self.0.samples_per_epoch
    }

    /// Batches of an epoch of this stream.
    #[getter]
    fn batches_per_epoch(&self) -> u64 {
        self.0.batches_per_epoch
    }

    fn __repr__(&self) -> String {
        let (shape, info) = (self.0.image, &self.0);
        format!(
            "Info(dataset={:?}, classes={}, shape={shape}, samples_per_epoch={}, batches_per_epoch={})",
            info.dataset.name,
            info.dataset.classes.len(),
            info.samples_per_epoch,
            info.batches_per_epoch
        )
    }
}
