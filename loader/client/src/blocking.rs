//! A stream for a thread that may block: the trainer's.
//!
//! The one place of the client with a thread. It carries a runtime of its own, so that receiving and
//! checking go on while the trainer computes.

use crate::batch::Batch;
use crate::config::StreamConfig;
use crate::error::{StreamError, chain};
use crate::identity::StreamInfo;
use crate::stats::StreamStats;
use crate::stream::BatchStream;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Batches in order, for a thread that may block. Dropping it ends the stream and its thread.
///
/// # Panics
/// Like every blocking call, its methods must not be used in an async task.
#[derive(Debug)]
pub struct BlockingStream {
    stream: Option<BatchStream>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BlockingStream {
    /// Opens the stream, as [`BatchStream::open`] does, on a thread of its own.
    ///
    /// # Errors
    /// Those of [`BatchStream::open`], and [`StreamError::Internal`] when the thread cannot be started.
    pub fn open(config: StreamConfig) -> Result<Self, StreamError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StreamError::Internal(chain(&error)))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (reply, opened) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async move {
                // Returns when the stream is dropped too, since that drops the other end.
                let opening = async {
                    let _ = reply.send(BatchStream::open(config).await);
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = opening => {}
                    _ = stopped => {}
                }
            });
        };
        // The one thread of this crate that is not a fake's.
        #[allow(clippy::disallowed_methods)]
        let thread = std::thread::Builder::new()
            .name("mixfeed-client".into())
            .spawn(serve)
            .map_err(|error| StreamError::Internal(chain(&error)))?;
        let mut this = Self { stream: None, stop: Some(stop), thread: Some(thread) };
        let opened =
            opened.blocking_recv().map_err(|_closed| StreamError::Internal("its thread ended".into()))?;
        this.stream = Some(opened?);
        Ok(this)
    }

    fn stream(&self) -> &BatchStream {
        self.stream.as_ref().expect("the stream is there from opening to dropping")
    }

    /// What is fixed about the stream.
    #[must_use]
    pub fn info(&self) -> &StreamInfo {
        self.stream().info()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.stream().stats()
    }

    /// See [`BatchStream::worst_case_bytes`].
    #[must_use]
    pub fn worst_case_bytes(&self) -> u64 {
        self.stream().worst_case_bytes()
    }
}

impl Iterator for BlockingStream {
    type Item = Result<Batch, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.as_mut()?.blocking_next()
    }
}

impl Drop for BlockingStream {
    fn drop(&mut self) {
        // Dropping the stream aborts its driver; then the runtime has nothing left to do.
        self.stream = None;
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its own thread.
            let _ = thread.join();
        }
    }
}
