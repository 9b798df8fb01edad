//! The batches of a training, one after the other, and how long it waited for them.
//!
//! The client fetches ahead on its own thread; while that keeps up, no time passes here. To measure
//! what even that costs, all batches can be read before the first is asked for.

pub mod loaders;

use crate::config::UsageError;
use crate::error::TrainError;
use crate::machine::stop::Stop;
use mixfeed_client::{Batch, BatchStream, StreamConfig, StreamInfo, StreamStats};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A stream of batches for a thread that may wait, with a clock and an ear for the wish to end.
///
/// The client's own blocking iterator is not used: a wait for the next batch may be left for a checkpoint and taken up again,
/// which ending the stream could not do.
pub struct Feed {
    stream: BatchStream,
    runtime: Handle,
    stop: Stop,
    waited: Duration,
    /// Batches that were read before they were asked for, in order.
    preloaded: VecDeque<Batch>,
}

/// What a wait for the next batch came to.
#[allow(clippy::large_enum_variant)] // Never kept, and the large one is the usual one.
pub enum Next {
    /// The batch.
    Batch(Batch),
    /// There are no more.
    End,
    /// A checkpoint is asked for meanwhile; the batch is still to be waited for.
    Save,
}

/// Room for batches that are read ahead, in bytes: more hides a machine's memory behind its swap.
const PRELOAD_BYTES: usize = 8 << 30;

impl Feed {
    pub(crate) fn open(config: StreamConfig, runtime: &Handle, stop: &Stop) -> Result<Self, TrainError> {
        let stream = runtime.block_on(async {
            tokio::select! {
                biased;
                asked = stop.wait() => Err(TrainError::Stopped(asked)),
                stream = BatchStream::open(config) => Ok(stream?),
            }
        })?;
        Ok(Feed {
            stream,
            runtime: runtime.clone(),
            stop: stop.clone(),
            waited: Duration::ZERO,
            preloaded: VecDeque::new(),
        })
    }

    /// Waits for the next batch, or for the wish to save.
    ///
    /// # Errors
    /// When the stream cannot go on, or the end was asked for.
    pub fn next_or_save(&mut self) -> Result<Next, TrainError> {
        if self.stop.take_save() {
            return Ok(Next::Save);
        }
        match self.preloaded.pop_front() {
            Some(batch) => Ok(Next::Batch(batch)),
            None => self.receive(true),
        }
    }

    /// Waits for the next batch; none after the last. A wish to save stays one.
    ///
    /// # Errors
    /// When the stream cannot go on, or the end was asked for.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, TrainError> {
        match self.receive(false)? {
            Next::Batch(batch) => Ok(Some(batch)),
            Next::End | Next::Save => Ok(None),
        }
    }

    /// Reads all batches that are left. Waiting for them is not waiting of the training.
    ///
    /// # Errors
    /// When the stream cannot go on, the end was asked for, or they are more than 8 GiB.
    pub fn preload(&mut self) -> Result<(), TrainError> {
        let mut bytes = 0;
        while let Some(batch) = self.next_batch()? {
            bytes += batch.pixels.len();
            if bytes > PRELOAD_BYTES {
                let text = "--preload holds 8 GiB of batches at most: ask for fewer --steps or --epochs";
                return Err(UsageError::new(text).into());
            }
            self.preloaded.push_back(batch);
        }
        self.waited = Duration::ZERO;
        tracing::info!(batches = self.preloaded.len(), bytes, "preloaded: all batches are in memory");
        Ok(())
    }

    fn receive(&mut self, heeds_save: bool) -> Result<Next, TrainError> {
        let Feed { stream, runtime, stop, .. } = self;
        let start = Instant::now();
        let next = runtime.block_on(async {
            tokio::select! {
                biased;
                asked = stop.wait() => Err(TrainError::Stopped(asked)),
                () = stop.wait_save(), if heeds_save => {
                    let _ = stop.take_save();
                    Ok(Next::Save)
                }
                batch = stream.next() => Ok(batch.transpose()?.map_or(Next::End, Next::Batch)),
            }
        });
        self.waited += start.elapsed();
        next
    }

    /// Time spent waiting for batches so far.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// What the loaders say about the stream.
    #[must_use]
    pub fn info(&self) -> &StreamInfo {
        self.stream.info()
    }

    /// What happened on the stream so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.stream.stats()
    }
}
