//! One array of a batch, for whoever takes DLPack: NumPy, PyTorch, JAX.

use crate::dlpack::{self, Memory};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// An array in the memory of this process. `numpy.from_dlpack` and `torch.from_dlpack` take it without a copy.
#[pyclass(frozen, module = "mixfeed")]
pub(crate) struct Array {
    memory: Memory,
    shape: Vec<i64>,
}

impl Array {
    pub(crate) fn new(memory: Memory, shape: Vec<i64>) -> Self {
        Self { memory, shape }
    }
}

#[pymethods]
impl Array {
    /// Lengths of the dimensions; the last one is contiguous.
    #[getter]
    fn shape(&self) -> Vec<i64> {
        self.shape.clone()
    }

    /// Type of the values: uint8, int64 or float32.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.memory.dtype()
    }

    /// Address of the first value.
    #[getter]
    fn data_ptr(&self) -> usize {
        self.memory.bytes().as_ptr().addr()
    }

    fn __len__(&self) -> usize {
        self.shape.first().map_or(0, |rows| usize::try_from(*rows).unwrap_or_default())
    }

    /// The values as bytes, which is a copy.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.memory.bytes())
    }

    fn __repr__(&self) -> String {
        format!("Array(shape={:?}, dtype={})", self.shape, self.memory.dtype())
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::CPU
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // Streams are of other devices.
        drop(stream);
        if dl_device.is_some_and(|device| device != dlpack::CPU) {
            return Err(PyBufferError::new_err("the array is in the memory of the CPU"));
        }
        let memory = if copy == Some(true) { self.memory.copy() } else { self.memory.clone() };
        dlpack::capsule(py, memory, &self.shape, max_version.is_some_and(|(major, _)| major >= 1))
    }

    /// For `numpy.asarray`: what `numpy.from_dlpack` gives.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let array = py.import("numpy")?.call_method1("from_dlpack", (slf,))?;
        let copies = copy == Some(true);
        match dtype {
            Some(dtype) => {
                let how = PyDict::new(py);
                how.set_item("copy", copies)?;
                array.call_method("astype", (dtype,), Some(&how))
            }
            None if copies => array.call_method0("copy"),
            None => Ok(array),
        }
    }
}
