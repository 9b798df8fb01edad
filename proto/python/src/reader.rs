//! A stream of the client's with the runtime that it lives in, for a thread that waits a moment at a time.
//!
//! The wait for a batch is left each [`MOMENT`], so that whoever waits can look about (a signal, a wish to end) and take
//! it up again. Nothing here knows Python.

use crate::logs::{self, Sender};
use mixfeed_client::{Batch, BatchStream, StreamConfig, StreamError, StreamInfo, StreamStats};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long a wait lasts before its thread looks about: well within the time that a person finds long.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// Time for a runtime to end. Its one task is aborted; a name that is being looked up is not waited for.
const ENDING: Duration = Duration::from_millis(200);

/// What a wait came to.
pub(crate) enum Wait<T> {
    Done(T),
    /// Not yet.
    Pending,
}

/// A stream that is being opened.
pub(crate) struct Opening {
    stream: Pin<Box<dyn Future<Output = Result<BatchStream, StreamError>> + Send>>,
    runtime: Running,
    lines: Sender,
}

/// An open stream.
pub(crate) struct Reader {
    // Dropped in this order.
    stream: BatchStream,
    runtime: Running,
}

/// A runtime of one thread, which receives and checks while Python computes.
struct Running(Option<Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(ENDING);
        }
    }
}

impl Running {
    fn start(lines: &Sender) -> Result<Self, StreamError> {
        let lines = lines.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mixfeed-client")
            .on_thread_start(move || lines.take_thread())
            .enable_all()
            .build()
            .map_err(|error| StreamError::Internal(error.to_string()))?;
        Ok(Self(Some(runtime)))
    }

    fn wait<F: Future>(&self, work: F) -> Wait<F::Output> {
        let runtime = self.0.as_ref().expect("the runtime is there until it is dropped");
        let done = runtime.block_on(async { timeout(MOMENT, work).await });
        done.map_or(Wait::Pending, Wait::Done)
    }
}

impl Opening {
    /// Begins.
    pub(crate) fn start(config: StreamConfig, lines: Sender) -> Result<Self, StreamError> {
        Ok(Self { stream: Box::pin(BatchStream::open(config)), runtime: Running::start(&lines)?, lines })
    }

    /// Waits a moment for the stream to be open.
    pub(crate) fn wait(&mut self) -> Wait<Result<BatchStream, StreamError>> {
        logs::within(&self.lines, || self.runtime.wait(&mut self.stream))
    }

    /// The open stream with its runtime.
    pub(crate) fn with(self, stream: BatchStream) -> Reader {
        Reader { stream, runtime: self.runtime }
    }
}

impl Reader {
    /// Waits a moment for the next batch; none after the last.
    pub(crate) fn wait(&mut self) -> Wait<Option<Result<Batch, StreamError>>> {
        let Self { stream, runtime } = self;
        runtime.wait(stream.next())
    }

    pub(crate) fn info(&self) -> &StreamInfo {
        self.stream.info()
    }

    pub(crate) fn stats(&self) -> StreamStats {
        self.stream.stats()
    }
}
