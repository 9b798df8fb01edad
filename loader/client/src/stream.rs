//! The reading end of a stream: batches in order, each exactly once.
//!
//! Last stop of the journey on this side. Everything behind it runs in one task, the driver, which ends
//! with the [`BatchStream`].

use crate::batch::Batch;
use crate::config::StreamConfig;
use crate::driver::{Driver, Item};
use crate::error::StreamError;
use crate::identity::StreamInfo;
use crate::session::EVENTS;
use crate::stats::{self, Counters, StreamStats};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Batches from any number of loaders, in order.
///
/// # Memory
/// [`BatchStream::worst_case_bytes`] states the bound; it does not depend on what the loaders do.
#[derive(Debug)]
pub struct BatchStream {
    batches: mpsc::Receiver<Item>,
    info: StreamInfo,
    counters: Arc<Counters>,
    worst_case_bytes: u64,
    #[allow(dead_code)] // It is there to be dropped.
    driver: Driving,
}

/// Ends the driver, and with it every task of the stream.
#[derive(Debug)]
struct Driving(JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl BatchStream {
    /// Finds the loaders and opens the stream on the first that can be had; others join later.
    ///
    /// # Errors
    /// [`StreamError::Config`] for settings that make no sense, [`StreamError::Refused`] when the loaders do
    /// not accept the spec, [`StreamError::Mismatch`] when none serves what is expected, and
    /// [`StreamError::NoLoader`] when none could be reached in time.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub async fn open(config: StreamConfig) -> Result<Self, StreamError> {
        config.check()?;
        stats::describe();
        let counters = Arc::new(Counters::default());
        let (sender, batches) = mpsc::channel(config.tuning.queue_batches.max(1));
        let (reply, opened) = oneshot::channel();
        let span = tracing::info_span!("stream", run_id = %config.run_id);
        let settings = config.clone();
        let driver = Driver::new(config, counters.clone(), sender, reply);
        let driver = Driving(tokio::spawn(driver.run().instrument(span)));
        let info = opened.await.map_err(|_closed| StreamError::Internal("its task ended".into()))??;
        let worst_case_bytes = worst_case_bytes(&settings, &info);
        Ok(Self { batches, info, counters, worst_case_bytes, driver })
    }

    /// The next batch in order; `None` after the last one or after an error. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Batch, StreamError>> {
        let item = self.batches.recv().await;
        self.check_end(item)
    }

    /// The same for a thread that may block.
    pub(crate) fn blocking_next(&mut self) -> Option<Result<Batch, StreamError>> {
        let item = self.batches.blocking_recv();
        self.check_end(item)
    }

    /// A driver that failed must not look like the end of the data.
    fn check_end(&self, item: Option<Item>) -> Option<Item> {
        if item.is_none() && !self.counters.ended.swap(true, Relaxed) {
            return Some(Err(StreamError::Internal("its task ended".into())));
        }
        item
    }

    /// What is fixed about the stream.
    #[must_use]
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.counters.read()
    }

    /// The bytes of payload that the stream holds at most, whatever the loaders do: the window of batches
    /// that were asked for or wait for their turn, the queue to the consumer and the batch in its hands, duplicates
    /// that were not dropped so far; and, for each replica that was given as an endpoint of its own, one message being taken apart (or one
    /// batch in parts being put together) and one receive window.
    #[must_use]
    pub fn worst_case_bytes(&self) -> u64 {
        self.worst_case_bytes
    }
}

fn worst_case_bytes(config: &StreamConfig, info: &StreamInfo) -> u64 {
    let tuning = &config.tuning;
    let row = config.spec.image_bytes(info.image) as u64 + 12;
    let batch = u64::from(config.spec.batch_size) * row;
    let window = tuning.window_bytes.min(tuning.window_batches.saturating_mul(batch)).max(2 * batch);
    let replicas = config.loaders.len() as u64;
    window
        + (tuning.queue_batches + 1 + EVENTS) as u64 * batch
        + replicas * (2 * (batch + (64 << 10)) + u64::from(tuning.receive_window_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_fake::{FakeLoader, Script};
    use mixfeed_streamspec::StreamSpec;
    use std::time::Duration;

    #[tokio::test]
    async fn a_stream_that_nobody_reads_rests_past_all_its_timeouts() {
        let loader = FakeLoader::start(Script::default()).unwrap();
        let mut config = StreamConfig::new(vec![loader.address().into()], StreamSpec::default());
        config.loader_timeout = Duration::from_millis(150);
        config.tuning.idle_timeout = Duration::from_millis(1);
        config.tuning.connect_timeout = Duration::from_secs(5);
        let mut stream = BatchStream::open(config).await.unwrap();
        stream.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let turns = stream.counters.turns.load(Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(stream.counters.turns.load(Relaxed) - turns < 20, "the driver turns without rest");
        for _ in 0..50 {
            stream.next().await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_driver_that_fails_is_not_taken_for_the_end_of_the_data() {
        let loader = FakeLoader::start(Script::default()).unwrap();
        let config = StreamConfig::new(vec![loader.address().into()], StreamSpec::default());
        let mut stream = BatchStream::open(config).await.unwrap();
        stream.driver.0.abort();
        let error = loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the stream ended as if all were read"),
            }
        };
        assert!(matches!(error, StreamError::Internal(_)));
        assert!(stream.next().await.is_none());
    }
}
