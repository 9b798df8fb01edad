//! The Python module `mixfeed._native`: mixfeed's client, as Python meets it.
//!
//! A [`Stream`](stream::Stream) is opened with the keywords of [`settings`], waits on the client without holding the
//! interpreter ([`reader`]) and hands out [`Batch`](batch::Batch)es, whose arrays are the client's own bytes
//! ([`dlpack`]). What goes wrong is raised as the classes of `mixfeed/errors.py` ([`errors`]), and log lines go where the
//! program's own go ([`logs`]).
//!
//! A [`Server`](server::Server) is the other end: a loader in this process, of a [`dataset`] and a [`transform`] of Python's.
//!
//! Deliberately not here: PyTorch, processes of loaders, and anything else that Python says better; that is the
//! package `mixfeed` beside this crate.

mod array;
mod batch;
mod dataset;
mod dlpack;
mod errors;
mod exit;
mod info;
mod keywords;
mod loaders;
mod logs;
mod moments;
mod reader;
mod recorded;
mod server;
mod settings;
mod stream;
mod transform;
mod values;

use pyo3::prelude::*;

/// What `mixfeed` is made of.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::array::Array;
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::dataset::image_hash;
    #[pymodule_export]
    use crate::exit::close_all;
    #[pymodule_export]
    use crate::info::Info;
    #[pymodule_export]
    use crate::keywords::keywords;
    #[pymodule_export]
    use crate::loaders::addresses;
    #[pymodule_export]
    use crate::recorded::{differences, spec};
    #[pymodule_export]
    use crate::server::{Server, end_after_stdin};
    #[pymodule_export]
    use crate::stream::Stream;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::logs::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
