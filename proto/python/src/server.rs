//! A loader of a data set of Python's, in this process.
//!
//! It is the loader as everywhere else, with a custom source and a custom transform that call Python: order, mixing,
//! shards, checksums and failover are its own, and so are the settings of `serve`. Its threads take the interpreter for a
//! sample or a transform at a time and have it at no other. Whoever waits here gives it away.

use crate::dataset::{Adapter, Found, RECORD_BYTES, Source};
use crate::errors;
use crate::logs;
use crate::reader::MOMENT;
use crate::transform::Transform;
use clap::Parser as _;
use mixfeed_loader::config::{Cli, Command, ServeConfig};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_loader::extensions::Extensions;
use mixfeed_ops::metrics;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A running loader. It is stopped by `close`, and when nobody has it any more.
#[pyclass(frozen, weakref, module = "mixfeed._native")]
pub(crate) struct Server {
    loader: Mutex<Option<EmbeddedLoader>>,
    address: String,
    transform: Option<&'static Transform>,
    process: u32,
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, Option<EmbeddedLoader>> {
        self.loader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the process that has its threads.
    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    fn has_ended(&self) -> bool {
        self.lock().as_ref().is_none_or(EmbeddedLoader::is_finished)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let loader = self.loader.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if !self.is_here() {
            // Nobody is there to be joined.
            std::mem::forget(loader);
            return;
        }
        // Its workers need the interpreter to end, which this thread holds. Without one, nobody calls it either.
        let mut loader = Some(loader);
        Python::try_attach(|py| py.detach(|| drop(loader.take())));
        if let Some(transform) = self.transform {
            transform.end();
        }
    }
}

#[pymethods]
impl Server {
    /// Starts one with the flags of `serve`. `train` and `test` are records of what the adapter reads.
    #[new]
    #[allow(clippy::too_many_arguments)] // They are keywords.
    #[pyo3(signature = (adapter, flags, *, name, version, classes, train, test, transforms))]
    fn start(
        py: Python<'_>,
        adapter: Py<PyAny>,
        flags: Vec<String>,
        name: &str,
        version: u32,
        classes: Vec<String>,
        train: &[u8],
        test: &[u8],
        transforms: bool,
    ) -> PyResult<Self> {
        if !(train.len() + test.len()).is_multiple_of(RECORD_BYTES) {
            return Err(PyValueError::new_err("records are cut short"));
        }
        let failed = |text: &str| errors::named(py, "LoaderStartError", &errors::in_python(text));
        let config = config(name, flags).map_err(|text| errors::settings(py, &text))?;
        let adapter = Arc::new(Adapter(adapter));
        // What extensions name is named as long as the process lives. A few words for each server.
        let name: &'static str = Box::leak(name.into());
        let transform: Option<&'static Transform> = transforms.then(|| {
            let adapter = Mutex::new(Some(Arc::clone(&adapter)));
            &*Box::leak(Box::new(Transform { name, version, adapter }))
        });
        let found = Found { classes, train: train.into(), test: test.into(), adapter };
        let source: &'static Source =
            Box::leak(Box::new(Source { name, version, found: Mutex::new(Some(found)) }));
        let mut extensions = Extensions::default().with_source(source);
        if let Some(transform) = transform {
            extensions = extensions.with_augmentation(transform);
        }
        logs::listen_to_loader(py);
        let started = py.detach(|| {
            if let Some(address) = config.metrics {
                metrics::install(address).map_err(|error| error.to_string())?;
            }
            EmbeddedLoader::serve(&config, &extensions).map_err(|error| error.to_string())
        });
        logs::tell_of_loader(py)?;
        let loader = started.map_err(|text| failed(&text))?;
        let address = loader.listens_on().to_string();
        Ok(Self { loader: Mutex::new(Some(loader)), address, transform, process: std::process::id() })
    }

    /// Where it listens.
    #[getter]
    fn address(&self) -> &str {
        &self.address
    }

    /// Waits a moment for its end, hands its log lines on, and says whether it has ended.
    fn wait(&self, py: Python<'_>) -> PyResult<bool> {
        let ended = !self.is_here()
            || py.detach(|| {
                let deadline = Instant::now() + MOMENT;
                while !self.has_ended() && Instant::now() < deadline {
                    std::thread::sleep(MOMENT / 10);
                }
                self.has_ended()
            });
        logs::tell_of_loader(py)?;
        Ok(ended)
    }

    /// Takes no more streams, and lets those that there are end within the time that they have for it.
    fn drain(&self) {
        if let Some(loader) = &*self.lock() {
            loader.drain();
        }
    }

    /// Stops it and waits for its threads.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.is_here() {
            return Ok(());
        }
        py.detach(|| {
            // Let go of the lock first: whoever waits for it may have the interpreter, which the workers need to end.
            let loader = self.lock().take();
            drop(loader);
        });
        if let Some(transform) = self.transform {
            transform.end();
        }
        logs::tell_of_loader(py)
    }
}

/// Reads the flags of `serve`.
fn config(name: &str, flags: Vec<String>) -> Result<ServeConfig, String> {
    let own = ["mixfeed-loader".to_owned(), "serve".to_owned(), format!("--data={name}")];
    let cli = Cli::try_parse_from(own.into_iter().chain(flags)).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    let Some(Command::Serve(args)) = cli.command else { return Err("these are no flags of serve".into()) };
    ServeConfig::resolve(*args).map(|(config, _)| config)
}

/// Ends this process once its standard input has ended and it has not ended by itself for so many seconds after: whoever
/// started it is gone, and Python may be busy for ever. Returns at once.
#[pyfunction]
pub(crate) fn end_after_stdin(seconds: f64) -> PyResult<()> {
    let ended = move || {
        let mut dropped = [0; 256];
        while std::io::Read::read(&mut std::io::stdin(), &mut dropped).is_ok_and(|bytes| bytes > 0) {}
        std::thread::sleep(std::time::Duration::from_secs_f64(seconds));
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    };
    // It must need neither the interpreter nor anybody who ends it.
    #[allow(clippy::disallowed_methods)]
    let thread = std::thread::Builder::new().name("mixfeed-stdin".into()).spawn(ended);
    thread.map(drop).map_err(Into::into)
}
