//! Bringing CUDA into a program that was linked without it.
//!
//! The trainer is linked with the CPU libraries only, so that one binary runs anywhere. Where a full
//! installation of libtorch of the same release is on LD_LIBRARY_PATH, its CUDA part registers itself
//! as it is loaded. That has to happen before libtorch is first called: what it finds then is what it
//! knows for good.

/// Loads libtorch's CUDA part for the rest of the process's life.
///
/// # Errors
/// When it cannot be loaded; the message is the dynamic linker's.
#[cfg(target_os = "linux")]
pub(crate) fn load() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

    // The plain name: the dynamic linker looks in LD_LIBRARY_PATH and beside what is already loaded.
    // SAFETY: loading runs the library's initialisers. It is the other half of the libtorch this
    // program is linked with, made to be loaded in the same process, and nothing else of libtorch
    // runs meanwhile: the caller is the first to touch it.
    #[expect(unsafe_code, reason = "loading a library runs code of its")]
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.map_err(|error| match std::error::Error::source(&error) {
        Some(reason) => reason.to_string(),
        None => error.to_string(),
    })?;
    // Never unloaded: libtorch keeps pointers into it.
    std::mem::forget(library);
    Ok(())
}

/// There is no CUDA outside Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn load() -> Result<(), String> {
    Err("this system has no CUDA".to_owned())
}
