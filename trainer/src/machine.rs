//! The machine under a training: its device and what libtorch can do there, threads, the clock, and the wish to end.

pub(crate) mod clock;
pub(crate) mod cuda;
pub mod device;
pub mod openmp;
pub(crate) mod shim;
pub mod stop;
