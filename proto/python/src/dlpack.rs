//! DLPack: arrays handed to other libraries where they lie, by the two structs of its C header (before and since 1.0).
//!
//! The only unsafe code of this crate. A capsule owns a struct that owns the memory, until a library takes it over and
//! calls its deleter, in whichever thread and with or without the interpreter.

#![expect(unsafe_code, reason = "hands memory to libraries in C")]

use bytes::Bytes;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_void};
use std::sync::Arc;

/// Type and number of the device.
pub(crate) const CPU: (i32, i32) = (1, 0);

/// The version that is spoken to those who ask for one.
const VERSION: Version = Version { major: 1, minor: 0 };

/// What an array lies in; clones share it.
#[derive(Clone)]
pub(crate) enum Memory {
    Pixels(Bytes),
    Numbers(Arc<[i64]>),
    Lambdas(Arc<[f32]>),
}

#[repr(C)]
struct Version {
    major: u32,
    minor: u32,
}

#[repr(C)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    dtype: DataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

/// `DLManagedTensor`, from before 1.0.
#[repr(C)]
struct Unversioned {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
struct Versioned {
    version: Version,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
    flags: u64,
    tensor: Tensor,
}

/// One of the two, with all that it points to behind it.
#[repr(C)]
struct Held<M> {
    /// First, so that its address is that of the whole.
    managed: M,
    memory: Memory,
    shape: Box<[i64]>,
    strides: Box<[i64]>,
}

impl Memory {
    pub(crate) fn dtype(&self) -> &'static str {
        match self {
            Self::Pixels(_) => "uint8",
            Self::Numbers(_) => "int64",
            Self::Lambdas(_) => "float32",
        }
    }

    fn data_type(&self) -> DataType {
        let (code, bits) = match self {
            Self::Pixels(_) => (1, 8),
            Self::Numbers(_) => (0, 64),
            Self::Lambdas(_) => (2, 32),
        };
        DataType { code, bits, lanes: 1 }
    }

    /// The values, as they are now.
    pub(crate) fn bytes(&self) -> &[u8] {
        let (start, bytes) = match self {
            Self::Pixels(pixels) => return pixels,
            Self::Numbers(numbers) => (numbers.as_ptr().cast(), size_of_val(&**numbers)),
            Self::Lambdas(lambdas) => (lambdas.as_ptr().cast(), size_of_val(&**lambdas)),
        };
        // SAFETY: so many bytes of numbers without padding, which `self` keeps alive.
        unsafe { std::slice::from_raw_parts(start, bytes) }
    }

    /// The same values elsewhere.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Pixels(pixels) => Self::Pixels(Bytes::copy_from_slice(pixels)),
            Self::Numbers(numbers) => Self::Numbers(numbers.iter().copied().collect()),
            Self::Lambdas(lambdas) => Self::Lambdas(lambdas.iter().copied().collect()),
        }
    }
}

/// A layout of the struct, with its name in capsules.
trait Managed: Sized {
    const NAME: &'static CStr;

    fn around(tensor: Tensor) -> Self;
}

impl Managed for Unversioned {
    const NAME: &'static CStr = c"dltensor";

    fn around(tensor: Tensor) -> Self {
        Self { tensor, context: std::ptr::null_mut(), deleter: Some(delete::<Self>) }
    }
}

impl Managed for Versioned {
    const NAME: &'static CStr = c"dltensor_versioned";

    fn around(tensor: Tensor) -> Self {
        // No flag: whoever takes it may write to it.
        Self {
            version: VERSION,
            context: std::ptr::null_mut(),
            deleter: Some(delete::<Self>),
            flags: 0,
            tensor,
        }
    }
}

/// Frees what [`held`] made.
unsafe extern "C" fn delete<M>(managed: *mut M) {
    // SAFETY: `held` made it, as the first field of a `Held<M>` in a box, and a deleter is called once.
    drop(unsafe { Box::from_raw(managed.cast::<Held<M>>()) });
}

fn held<M: Managed>(memory: Memory, shape: &[i64]) -> *mut M {
    let mut strides = vec![1; shape.len()].into_boxed_slice();
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension].max(1);
    }
    let mut shape: Box<[i64]> = shape.into();
    // What is boxed stays where it is when the boxes move. The bytes may be written to: a batch is handed out once, the
    // client keeps no view of its range, and here it is only read on demand of those who may write to it.
    let tensor = Tensor {
        data: memory.bytes().as_ptr().cast_mut().cast(),
        device_type: CPU.0,
        device_id: CPU.1,
        ndim: i32::try_from(shape.len()).expect("arrays have few dimensions"),
        dtype: memory.data_type(),
        shape: shape.as_mut_ptr(),
        strides: strides.as_mut_ptr(),
        byte_offset: 0,
    };
    Box::into_raw(Box::new(Held { managed: M::around(tensor), memory, shape, strides })).cast()
}

/// Frees an array that nobody took: its capsule still has the name that it was made with.
unsafe extern "C" fn free_untaken<M: Managed>(capsule: *mut ffi::PyObject) {
    // SAFETY: Python calls this with the capsule that `capsule_of` made, and the interpreter held.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, M::NAME.as_ptr()) == 1 {
            delete(ffi::PyCapsule_GetPointer(capsule, M::NAME.as_ptr()).cast::<M>());
        }
    }
}

fn capsule_of<'py, M: Managed>(
    py: Python<'py>,
    memory: Memory,
    shape: &[i64],
) -> PyResult<Bound<'py, PyAny>> {
    let managed = held::<M>(memory, shape);
    // SAFETY: the pointer is not null, the name is static, and a new reference or null with an error comes back.
    let made = unsafe {
        let capsule = ffi::PyCapsule_New(managed.cast(), M::NAME.as_ptr(), Some(free_untaken::<M>));
        Bound::from_owned_ptr_or_err(py, capsule)
    };
    made.map_err(|error| {
        // SAFETY: nobody else has it.
        unsafe { delete(managed) };
        PyBufferError::new_err(error.to_string())
    })
}

/// A capsule with the array, by the protocol before 1.0 or since.
pub(crate) fn capsule<'py>(
    py: Python<'py>,
    memory: Memory,
    shape: &[i64],
    versioned: bool,
) -> PyResult<Bound<'py, PyAny>> {
    if versioned {
        capsule_of::<Versioned>(py, memory, shape)
    } else {
        capsule_of::<Unversioned>(py, memory, shape)
    }
}
