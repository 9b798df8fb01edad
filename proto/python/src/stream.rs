//! A stream of batches, for Python: opened by keywords, iterated, closed.
//!
//! Whoever waits gives the interpreter away, and takes it back each moment to look for signals. The lock on the reader is
//! held only while the interpreter is not, so that neither waits for the other.

use crate::batch::Batch;
use crate::errors;
use crate::exit::{self, Presence};
use crate::info::Info;
use crate::loaders;
use crate::logs::{self, Lines, Sender};
use crate::moments::{self, Moments};
use crate::reader::{Opening, Reader, Wait};
use crate::recorded::{self, Recorded};
use crate::settings::{Recipe, Settings};
use crate::values;
use mixfeed_client::{
    Batch as Received, Expected, Split, StreamConfig, StreamEnd, StreamError, StreamInfo, StreamStats, Tuning,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use toml::{Table, Value};

/// Batches from any number of loaders, in order, each exactly once.
///
/// `loaders` are addresses: a list, or one text with commas, of host:port, dns:///host:port and unix:///path. What the
/// stream contains is said by keywords, named and spelled as the flags of `mixfeed-trainer train`; by `spec`, a text of
/// TOML with the same names, or one that a stream gave (`Stream.spec`); or by `run`, a run folder or its run.toml. The
/// last two also say which data it must be read from, and so does `expect`, a text that a stream gave, for keywords. `tuning` sets bounds and periods of the client by their names, in
/// seconds.
#[pyclass(frozen, module = "mixfeed")]
pub(crate) struct Stream {
    state: Mutex<State>,
    presence: Arc<Presence>,
    lines: Lines,
    config: StreamConfig,
    info: StreamInfo,
    /// Before which index it ends, if at all.
    end: Option<u64>,
    /// Loaders of this machine, which live as long as who reads them.
    local: Option<Py<PyAny>>,
}

struct State {
    reader: Option<Reader>,
    /// Index of the next batch.
    next: u64,
    stats: StreamStats,
    /// What ended it before its end: asked again, it must not look like the end of the data.
    failed: Option<StreamError>,
}

impl State {
    fn wait(&mut self, end: Option<u64>) -> Wait<Option<Result<Received, StreamError>>> {
        if let Some(error) = &self.failed {
            return Wait::Done(Some(Err(error.clone())));
        }
        let Some(reader) = &mut self.reader else { return Wait::Done(None) };
        if end.is_some_and(|end| self.next >= end) {
            return Wait::Done(None);
        }
        let waited = reader.wait();
        match &waited {
            Wait::Done(Some(Ok(batch))) => self.next = batch.index + 1,
            Wait::Done(Some(Err(error))) => self.failed = Some(error.clone()),
            Wait::Done(None) | Wait::Pending => {}
        }
        waited
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.presence.is_here() {
            // Its threads are in another process, and so is whoever they would have to tell.
            // The lock may have been held by a thread that is not here.
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(state.reader.take());
        }
    }
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads another stream of the same data to its end.
    fn beside(
        &self,
        py: Python<'_>,
        config: StreamConfig,
        mut take: impl FnMut(Received) + Send,
    ) -> PyResult<()> {
        let expected = Expected {
            dataset_digest: self.info.dataset.digest,
            algorithm_fingerprint: self.info.algorithm_fingerprint,
            classes_digest: Some(self.info.dataset.classes_digest()),
        };
        let mut config = StreamConfig { expected: Some(expected), ..config };
        config.tuning.quiet = true;
        let (sender, lines) = logs::queue(py, None);
        let local = self.local.as_ref().map(|local| local.bind(py));
        let mut reader = open(py, config, &sender, &lines, local)?;
        while let Some(batch) = attend(py, &lines, local, || reader.wait())? {
            let batch = batch.map_err(|error| errors::stream(py, &error))?;
            py.detach(|| take(batch));
        }
        Ok(())
    }

    /// Whether the loaders are on this machine and were closed.
    fn is_deserted(&self, py: Python<'_>) -> PyResult<bool> {
        is_closed(self.local.as_ref().map(|local| local.bind(py)))
    }

    fn close_with(&self, py: Python<'_>, error: Option<StreamError>) -> PyResult<()> {
        if !self.presence.is_here() {
            return Ok(());
        }
        let _inside = self.presence.count();
        self.presence.interrupt.interrupt();
        let end = || {
            let mut state = self.lock();
            if let Some(reader) = state.reader.take() {
                state.stats = reader.stats();
                state.failed = state.failed.take().or(error);
            }
        };
        if exit::is_ending() {
            end(); // Nobody is inside any more, and holds the lock.
        } else {
            py.detach(end);
        }
        self.lines.hand_on(py)
    }
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (loaders, *, spec=None, run=None, expect=None, tuning=None, run_id=None, **settings))]
    #[allow(clippy::too_many_arguments)] // They are keywords.
    fn open(
        py: Python<'_>,
        loaders: &Bound<'_, PyAny>,
        spec: Option<&str>,
        run: Option<PathBuf>,
        expect: Option<&str>,
        tuning: Option<&Bound<'_, PyDict>>,
        run_id: Option<String>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let wrong = |text: String| errors::settings(py, &text);
        let Settings { recipe, reading } = values::settings(py, settings)?;
        let text = recorded::said(py, spec, run)?;
        let recorded = Recorded::of(text.as_deref(), recipe);
        let Recorded { mut spec, mut expected } = recorded.map_err(wrong)?;
        if expect.is_some() {
            expected = Recorded::of(expect, Recipe::default()).map_err(wrong)?.expected;
        }
        spec.shard = reading.shard().map_err(wrong)?;
        let mut config = StreamConfig {
            start: reading.start.unwrap_or(0),
            end: reading.end(),
            run_id: run_id.unwrap_or_else(random_id),
            expected,
            security: reading.security().map_err(wrong)?,
            tuning: read_tuning(tuning)?,
            ..StreamConfig::new(loaders::endpoints(loaders)?, spec)
        };
        if let Some(timeout) = reading.loader_timeout {
            config.loader_timeout = timeout.get();
        }
        if let Some(every) = reading.audit {
            config.tuning.audit_every = every;
        }
        if let Some(policy) = reading.audit_policy {
            config.tuning.audit_policy = policy;
        }
        let presence = Presence::new();
        config.interrupt = presence.interrupt.clone();
        let transform = config.spec.augmentation.custom;
        if transform.is_none() && config.spec.split == Split::Train {
            loaders::warn_of_transform(loaders)?;
        }
        let (sender, lines) = logs::queue(py, transform.map(|it| format!("{}:{}", it.name(), it.version())));
        let local = loaders.hasattr("closed")?.then(|| loaders.clone());
        let reader = {
            let _inside = presence.enter(py)?;
            open(py, config.clone(), &sender, &lines, local.as_ref())?
        };
        let info = reader.info().clone();
        let of_epochs = reading.epochs.map(|epochs| epochs.saturating_mul(info.batches_per_epoch));
        let end = [of_epochs, reading.steps].into_iter().flatten().min();
        let state =
            State { next: config.start, stats: StreamStats::default(), failed: None, reader: Some(reader) };
        let local = local.map(Bound::unbind);
        Ok(Self { state: Mutex::new(state), presence, lines, config, info, end, local })
    }

    /// What is fixed about the stream: data, classes, shape of images, lengths.
    #[getter]
    fn info(&self) -> Info {
        Info(self.info.clone())
    }

    /// The stream as TOML, with the digests of data and algorithm: Stream(loaders, spec=…) reads the same again.
    #[getter]
    fn spec(&self, py: Python<'_>) -> PyResult<String> {
        Recorded::text(&self.config.spec, Some(&self.info)).map_err(|text| errors::settings(py, &text))
    }

    /// Whether images are mixed, so that a target is more than a class.
    #[getter]
    fn mixes(&self) -> bool {
        self.config.spec.is_mixed()
    }

    /// Whether batches name the samples that their rows are made of.
    #[getter]
    fn sample_ids(&self) -> bool {
        self.config.spec.sample_ids
    }

    /// Index of the next batch.
    #[getter]
    fn next_index(&self, py: Python<'_>) -> PyResult<u64> {
        let _inside = self.presence.enter(py)?;
        Ok(py.detach(|| self.lock().next))
    }

    /// What happened so far, by name: batches, replicas, reassigned, hedged, duplicate, corrupt, audited, unaudited,
    /// undecided, discarded.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _inside = self.presence.enter(py)?;
        let stats = py.detach(|| {
            let state = self.lock();
            state.reader.as_ref().map_or(state.stats, Reader::stats)
        });
        let table = Table::try_from(stats).map_err(|error| errors::settings(py, &error.to_string()))?;
        let counts = PyDict::new(py);
        for (name, count) in table {
            counts.set_item(name.replace('-', "_"), count.as_integer())?;
        }
        Ok(counts)
    }

    /// BLAKE3 digest of a batch of this stream, as hexadecimal digits: the batch is fetched for it.
    fn digest(&self, py: Python<'_>, index: u64) -> PyResult<String> {
        let _inside = self.presence.enter(py)?;
        let end = StreamEnd::Batch(index.saturating_add(1));
        let mut digest = None;
        self.beside(py, StreamConfig { start: index, end, ..self.config.clone() }, |batch| {
            digest = Some(batch.digest());
        })?;
        digest.map(hex::encode).ok_or_else(|| errors::stream(py, &StreamError::Interrupted))
    }

    /// Mean and standard deviation of each channel over the training images, 0 to 1, as they are sent without
    /// augmentation: for it, all of them are fetched once.
    fn measure(&self, py: Python<'_>) -> PyResult<(Vec<f64>, Vec<f64>)> {
        let _inside = self.presence.enter(py)?;
        let (spec, end) = (moments::measured(&self.config.spec), StreamEnd::Epoch(1));
        let mut moments = Moments::new(self.info.image.channels);
        self.beside(py, StreamConfig { spec, start: 0, end, ..self.config.clone() }, |batch| {
            moments.add(&batch.pixels);
        })?;
        Ok(moments.take())
    }

    /// Ends the stream, whoever waits for it. Further batches are refused.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.close_with(py, Some(StreamError::Interrupted))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let _inside = self.presence.enter(py)?;
        let waited = loop {
            // Also where batches are always there, so that nothing ever waits.
            self.lines.hand_on(py)?;
            match py.detach(|| self.lock().wait(self.end)) {
                Wait::Done(waited) => break waited,
                Wait::Pending if self.is_deserted(py)? => {
                    self.close(py)?;
                    return Err(loaders::closed(py));
                }
                Wait::Pending => {}
            }
            py.check_signals()?;
        };
        match waited {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(Batch::new(batch, &self.info))),
            Some(Err(error)) => {
                self.close_with(py, None)?;
                Err(errors::stream(py, &error))
            }
        }
    }

    /// Batches from the first to the end, read or not.
    fn __len__(&self) -> PyResult<usize> {
        let end =
            self.end.ok_or_else(|| PyTypeError::new_err("the stream has no end: give epochs or steps"))?;
        Ok(usize::try_from(end.saturating_sub(self.config.start)).unwrap_or(usize::MAX))
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let loaders: Vec<_> = self.config.loaders.iter().map(ToString::to_string).collect();
        format!("Stream({:?}, dataset={:?})", loaders.join(","), self.info.dataset.name)
    }
}

/// Whether loaders of this machine were closed: nobody will come.
fn is_closed(local: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    local.map_or(Ok(false), |local| local.getattr("closed")?.is_truthy())
}

/// Waits until `wait` comes to something, without the interpreter; a signal of Python's ends it, and so does the end of
/// loaders of this machine.
fn attend<T: Send>(
    py: Python<'_>,
    lines: &Lines,
    local: Option<&Bound<'_, PyAny>>,
    mut wait: impl FnMut() -> Wait<T> + Send,
) -> PyResult<T> {
    loop {
        let waited = py.detach(&mut wait);
        lines.hand_on(py)?;
        match waited {
            Wait::Done(value) => return Ok(value),
            Wait::Pending if is_closed(local)? => return Err(loaders::closed(py)),
            Wait::Pending => py.check_signals()?,
        }
    }
}

fn open(
    py: Python<'_>,
    config: StreamConfig,
    sender: &Sender,
    lines: &Lines,
    local: Option<&Bound<'_, PyAny>>,
) -> PyResult<Reader> {
    let raised = |error| errors::stream(py, &error);
    let mut opening = py.detach(|| Opening::start(config, sender.clone())).map_err(raised)?;
    let stream = attend(py, lines, local, || opening.wait())?.map_err(raised)?;
    Ok(opening.with(stream))
}

fn read_tuning(given: Option<&Bound<'_, PyDict>>) -> PyResult<Tuning> {
    let Some(given) = given else { return Ok(Tuning::default()) };
    let read = Value::Table(values::table(given)?).try_into();
    read.map_err(|error: toml::de::Error| {
        errors::settings(given.py(), &format!("tuning: {}", error.message()))
    })
}

/// Sixteen random digits. They name a run in logs and shape nothing.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
