//! A transform of Python's, as a loader has one: what it draws is 128 bits of the key of this occurrence of this sample, of
//! which Python makes a generator; what it computes follows from that and the image.

use crate::dataset::Adapter;
use mixfeed_pipeline::ImageShape;
use mixfeed_pipeline::augment::{CustomAugmentation, Parameters};
use mixfeed_pipeline::key::Key;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use std::sync::{Arc, Mutex, PoisonError};

/// A transform. It stays as long as the process, for streams name it; what it calls does not.
pub(crate) struct Transform {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) adapter: Mutex<Option<Arc<Adapter>>>,
}

impl Transform {
    /// Lets go of Python's transform.
    pub(crate) fn end(&self) {
        drop(self.adapter.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl CustomAugmentation for Transform {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn plan(&self, key: Key, _image: ImageShape) -> Parameters {
        let [first, second] = key.words();
        [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32]
    }

    fn apply(&self, parameters: Parameters, image: ImageShape, pixels: &mut [u8]) {
        let applied = self.try_apply(parameters, image, pixels);
        applied.unwrap_or_else(|reason| panic!("{reason}"));
    }

    fn try_apply(&self, parameters: Parameters, image: ImageShape, pixels: &mut [u8]) -> Result<(), String> {
        let adapter = self.adapter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let adapter = adapter.ok_or("the loader has ended")?;
        let ImageShape { height, width, channels } = image;
        let called = adapter.with(|py| {
            // An array of its own, which the transform may write into.
            let given = PyByteArray::new(py, pixels);
            let key = PyBytes::new(py, parameters.map(u32::to_le_bytes).as_flattened());
            let made = adapter.0.bind(py).call_method1("show", (given, height, width, channels, key))?;
            let made = made.cast_into::<PyBytes>()?;
            if made.as_bytes().len() != pixels.len() {
                return Err(PyValueError::new_err("the image has another size"));
            }
            pixels.copy_from_slice(made.as_bytes());
            Ok(())
        });
        called.map_err(|(_fault, reason)| reason)
    }
}
