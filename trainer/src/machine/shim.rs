//! What the trainer needs of libtorch and tch does not bind: TorchScript networks with their buffers,
//! autocast with a choice of number, switches for determinism and TF32, copies to a GPU beside its work.
//!
//! `shim.cpp` has the C++ half, which `build.rs` compiles. This file is the only one that calls it (what a group of trainers
//! needs is in [`process_group`]), and what it offers is safe.

#![expect(unsafe_code, reason = "calls into C++; each says why it is sound")]

pub(crate) mod process_group;

use std::ffi::{CStr, c_char, c_int};
use std::ptr::{self, NonNull};
use tch::{Device, Tensor};
use torch_sys::C_tensor;

/// The C++ side of a network or an uploader.
#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn mixfeed_free_text(text: *mut c_char);
    fn mixfeed_network_load(
        bytes: *const u8,
        length: usize,
        device: c_int,
        result: *mut *mut Opaque,
    ) -> *mut c_char;
    fn mixfeed_network_free(network: *mut Opaque);
    fn mixfeed_network_tensors(network: *const Opaque) -> usize;
    fn mixfeed_network_name(network: *const Opaque, index: usize) -> *const c_char;
    fn mixfeed_network_is_learnt(network: *const Opaque, index: usize) -> bool;
    fn mixfeed_network_tensor(network: *const Opaque, index: usize) -> *mut C_tensor;
    fn mixfeed_network_forward(
        network: *mut Opaque,
        images: *const C_tensor,
        training: bool,
        result: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn mixfeed_autocast_begin(cuda: bool, bfloat16: bool);
    fn mixfeed_autocast_end(cuda: bool);
    fn mixfeed_set_deterministic(on: bool);
    fn mixfeed_set_tf32(on: bool);
    fn mixfeed_cpu_capability() -> *mut c_char;
    fn mixfeed_uploader_new(device: c_int, result: *mut *mut Opaque) -> *mut c_char;
    fn mixfeed_uploader_free(uploader: *mut Opaque);
    fn mixfeed_upload(
        uploader: *const Opaque,
        bytes: *const u8,
        length: usize,
        result: *mut *mut C_tensor,
    ) -> *mut c_char;
}

/// Turns what a C++ function gave into a result; of a long text, the line that says what is wrong.
fn result(text: *mut c_char) -> Result<(), String> {
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: the functions give null or a zero-terminated text of their own.
    let message = unsafe { owned_text(text) };
    let last = message.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("unknown error");
    Err(last.to_owned())
}

/// Takes over a text.
///
/// # Safety
/// It has to be zero-terminated, from a C++ function that gives it away, and not be used after this.
unsafe fn owned_text(text: *mut c_char) -> String {
    // SAFETY: as the caller says.
    unsafe {
        let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
        mixfeed_free_text(text);
        owned
    }
}

/// The number of a GPU, or -1.
fn number(device: Device) -> c_int {
    match device {
        Device::Cuda(number) => c_int::try_from(number).unwrap_or(c_int::MAX),
        _ => -1,
    }
}

/// A TorchScript network.
pub(crate) struct ScriptModule(NonNull<Opaque>);

/// A parameter or buffer of a [`ScriptModule`].
pub(crate) struct NamedTensor {
    /// As in PyTorch's `state_dict`.
    pub(crate) name: String,
    /// The network's own: what changes it changes the network.
    pub(crate) tensor: Tensor,
    /// Whether it is a parameter that asks for gradients.
    pub(crate) is_learnt: bool,
}

impl ScriptModule {
    /// Reads the contents of a file that `torch.jit.save` wrote.
    ///
    /// # Errors
    /// When it is no such file; the text is libtorch's.
    pub(crate) fn load(bytes: &[u8], device: Device) -> Result<Self, String> {
        let device = number(device);
        let mut network = ptr::null_mut();
        // SAFETY: the bytes are read during the call only; the result is written when there is no error.
        result(unsafe { mixfeed_network_load(bytes.as_ptr(), bytes.len(), device, &raw mut network) })?;
        NonNull::new(network).map(ScriptModule).ok_or_else(|| "nothing was loaded".to_owned())
    }

    /// All parameters and buffers, each once.
    pub(crate) fn tensors(&self) -> Vec<NamedTensor> {
        let network = self.0.as_ptr();
        // SAFETY: the network lives, indices are below its number of tensors, and names are
        // zero-terminated texts that live as long as the network. A tensor is a new handle, which
        // `Tensor` owns from here on.
        unsafe {
            let count = mixfeed_network_tensors(network);
            let named = |index| NamedTensor {
                name: CStr::from_ptr(mixfeed_network_name(network, index)).to_string_lossy().into_owned(),
                tensor: Tensor::from_ptr(mixfeed_network_tensor(network, index)),
                is_learnt: mixfeed_network_is_learnt(network, index),
            };
            (0..count).map(named).collect()
        }
    }

    /// Scores images. In training, buffers change.
    ///
    /// # Errors
    /// When the network cannot; the text is libtorch's.
    pub(crate) fn forward(&self, images: &Tensor, training: bool) -> Result<Tensor, String> {
        let mut scores = ptr::null_mut();
        // SAFETY: network and images live during the call, and no other thread has the network, which is
        // not `Sync`. The result is a new handle when there is no error.
        unsafe {
            let text = mixfeed_network_forward(self.0.as_ptr(), images.as_ptr(), training, &raw mut scores);
            result(text)?;
            Ok(Tensor::from_ptr(scores))
        }
    }
}

impl Drop for ScriptModule {
    fn drop(&mut self) {
        // SAFETY: made by the load function and freed once. Handles to its tensors count for themselves.
        unsafe { mixfeed_network_free(self.0.as_ptr()) };
    }
}

/// A number of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// bfloat16.
    Bf16,
    /// IEEE's half precision.
    Fp16,
}

/// While it lives, this thread computes in 16 bits what gains from it, and the rest in 32.
pub(crate) struct Autocast {
    cuda: bool,
}

impl Autocast {
    /// Begins; there is one at a time.
    pub(crate) fn begin(device: Device, half: Half) -> Self {
        let cuda = device.is_cuda();
        // SAFETY: sets flags of this thread.
        unsafe { mixfeed_autocast_begin(cuda, half == Half::Bf16) };
        Autocast { cuda }
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: sets flags of this thread.
        unsafe { mixfeed_autocast_end(self.cuda) };
    }
}

/// Has libtorch use deterministic algorithms only, for the whole process.
pub(crate) fn set_deterministic(on: bool) {
    // SAFETY: sets flags of the process.
    unsafe { mixfeed_set_deterministic(on) };
}

/// The instructions that libtorch's own loops are run with, as in `AVX512`.
pub(crate) fn cpu_capability() -> String {
    // SAFETY: the function gives a zero-terminated text of its own.
    unsafe { owned_text(mixfeed_cpu_capability()) }
}

/// Lets GPUs round the factors of products to 19 bits (TF32), for the whole process.
pub(crate) fn set_tf32(on: bool) {
    // SAFETY: sets flags of the process.
    unsafe { mixfeed_set_tf32(on) };
}

/// Copies bytes to a GPU while it computes.
pub(crate) struct Uploader(NonNull<Opaque>);

impl Uploader {
    /// For the GPU `device`.
    ///
    /// # Errors
    /// When that is none; the text is libtorch's.
    pub(crate) fn new(device: Device) -> Result<Self, String> {
        let mut uploader = ptr::null_mut();
        // SAFETY: the result is written when there is no error.
        result(unsafe { mixfeed_uploader_new(number(device), &raw mut uploader) })?;
        NonNull::new(uploader).map(Uploader).ok_or_else(|| "nothing was made".to_owned())
    }

    /// The bytes on the GPU, as one row. Nothing is waited for.
    ///
    /// # Errors
    /// When memory is short; the text is libtorch's.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<Tensor, String> {
        let mut there = ptr::null_mut();
        // SAFETY: the bytes are copied during the call; the result is a new handle when there is no error.
        unsafe {
            result(mixfeed_upload(self.0.as_ptr(), bytes.as_ptr(), bytes.len(), &raw mut there))?;
            Ok(Tensor::from_ptr(there))
        }
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        // SAFETY: made by the function for it and freed once.
        unsafe { mixfeed_uploader_free(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uploader_for_what_is_no_gpu_is_an_error_on_one_line() {
        for device in [Device::Cpu, Device::Cuda(63)] {
            let error = Uploader::new(device).err().unwrap();
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        }
    }
}
