//! The worker pool: where threads work. Tasks hand it jobs and wait; nothing here waits for a task.
//!
//! The bridge has two sides. Into the pool: a bounded crossbeam channel, whose room is counted by
//! a semaphore of the same size, so that a task waits for a slot without blocking and the send that
//! follows always finds room. Out of the pool: each job carries the sender of its stream, whose
//! queue has room for all jobs that the stream may have in hand.
//!
//! A job is a batch. The workers that are free build its runs of rows together, and go on to the next one when the last run is
//! taken: batches come as early as they can, in the order of the queue.

use crate::assembly::Assembly;
use crate::batch::{BuildError, BuiltBatch, StreamContext};
use crate::failures::{Failed, FailureLog};
use crate::heartbeat::Heartbeat;
use crate::metrics::LoaderMetrics;
use crossbeam_channel::{Receiver, Sender, bounded};
use mixfeed_pipeline::{BatchBuffer, Dataset, Scratch};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Jobs that wait in the queue for each worker. One keeps a worker busy while the tasks are
/// elsewhere; more would only delay the other streams.
const QUEUED_PER_WORKER: usize = 1;

/// Worker threads, at most. More would wait for each other on any machine there is.
pub const MAX_WORKERS: usize = 1024;

/// One batch to be built.
pub(crate) struct Job {
    pub(crate) context: Arc<StreamContext>,
    pub(crate) index: u64,
    /// Rows of it that are built.
    pub(crate) rows_done: Arc<AtomicU64>,
    pub(crate) reply: mpsc::Sender<Finished>,
}

/// A job that was done, for better or worse.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) index: u64,
    pub(crate) outcome: Result<BuiltBatch, BuildError>,
}

/// Worker threads and the queue that feeds them. Dropping the pool ends and joins them.
#[derive(Debug)]
pub struct Pool {
    jobs: Option<Sender<(Job, OwnedSemaphorePermit)>>,
    slots: Arc<Semaphore>,
    workers: Vec<JoinHandle<()>>,
    /// When a worker last got on with any batch.
    heartbeat: Heartbeat,
}

impl Pool {
    /// Starts `workers` threads (1 to [`MAX_WORKERS`], other numbers are brought into range) that build batches of `dataset`.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn start(
        dataset: &Arc<Dataset>,
        workers: usize,
        metrics: &Arc<LoaderMetrics>,
    ) -> std::io::Result<Self> {
        let workers = workers.clamp(1, MAX_WORKERS);
        let depth = workers * QUEUED_PER_WORKER;
        let (sender, receiver) = bounded(depth);
        let failures = Arc::new(FailureLog::default());
        let front =
            Arc::new(Front { jobs: receiver, batch: Mutex::new(None), heartbeat: Heartbeat::default() });
        let heartbeat = front.heartbeat.clone();
        let workers = (0..workers)
            .map(|number| {
                let (front, dataset, metrics) =
                    (Arc::clone(&front), Arc::clone(dataset), Arc::clone(metrics));
                let failures = Arc::clone(&failures);
                // Worker threads are what the pool is.
                #[allow(clippy::disallowed_methods)]
                std::thread::Builder::new().name(format!("mixfeed-worker-{number}")).spawn(move || {
                    // A job's panic is caught where it is built; a worker outlives any other, too: a loader
                    // without workers would be ready and serve nothing.
                    let work = || work(&front, &dataset, &metrics, &failures);
                    while catch_unwind(AssertUnwindSafe(work)).is_err() {}
                })
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { jobs: Some(sender), slots: Arc::new(Semaphore::new(depth)), workers, heartbeat })
    }

    /// Returns the number of worker threads.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Whether workers get on with the batches that they have in hand.
    pub(crate) fn is_alive(&self) -> bool {
        self.heartbeat.is_alive()
    }

    /// Waits for room in the queue; waiters are served in turn, which is what shares the workers fairly between
    /// streams. Cancel safe, at the price of the place in line.
    pub(crate) async fn slot(&self) -> Slot<'_> {
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        Slot { pool: self, permit: permit.expect("the semaphore of slots is never closed") }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Closing the channel is what ends the workers.
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker catches panics, so there is nothing to learn from the result.
            drop(worker.join());
        }
    }
}

/// Room for one job.
pub(crate) struct Slot<'a> {
    pool: &'a Pool,
    permit: OwnedSemaphorePermit,
}

impl Slot<'_> {
    pub(crate) fn fill(self, job: Job) {
        let jobs = self.pool.jobs.as_ref().expect("the queue lives as long as the pool");
        // There are as many permits as places, and a permit is given back once its place is free.
        jobs.try_send((job, self.permit)).expect("a slot is a free place in the queue");
    }
}

/// The batch that workers take runs of now, and the queue that the next one comes from.
struct Front {
    jobs: Receiver<(Job, OwnedSemaphorePermit)>,
    batch: Mutex<Option<Arc<Batch>>>,
    heartbeat: Heartbeat,
}

/// A batch whose runs are taken.
struct Batch {
    job: Job,
    assembly: Assembly,
    started: Instant,
}

impl Front {
    /// Waits for a run of rows to build; nothing once the pool ends.
    fn take(&self, metrics: &LoaderMetrics) -> Option<(Arc<Batch>, usize)> {
        // Held while waiting, too: whoever is next in line waits for it instead of the queue.
        let mut front = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(batch) = front.as_ref() {
                if let Some(run) = batch.assembly.take() {
                    return Some((Arc::clone(batch), run));
                }
                *front = None;
            }
            let (job, slot) = self.jobs.recv().ok()?;
            drop(slot);
            metrics.queue_depth.set(self.jobs.len() as f64);
            if job.reply.is_closed() {
                continue; // The client has gone away, which is ordinary.
            }
            let assembly = Assembly::new(&job.context, job.index, Arc::clone(&job.rows_done));
            *front = Some(Arc::new(Batch { job, assembly, started: Instant::now() }));
        }
    }
}

fn work(front: &Front, dataset: &Dataset, metrics: &LoaderMetrics, failures: &FailureLog) {
    let mut scratch = Scratch::default();
    while let Some((batch, run)) = front.take(metrics) {
        let Batch { job, assembly, started } = &*batch;
        let beat = || [&front.heartbeat, &job.context.heartbeat].map(Heartbeat::beat);
        beat();
        let build = || {
            // Nobody reads it any more.
            if job.reply.is_closed() {
                return Ok(BatchBuffer::default());
            }
            assembly.build(run, &job.context, dataset, &mut scratch)
        };
        let outcome = catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|payload| {
            scratch = Scratch::default();
            Err(BuildError::Panicked(words(&*payload)))
        });
        beat();
        let Some(outcome) = assembly.hand_in(run, outcome, &job.context) else { continue };
        if job.reply.is_closed() {
            continue;
        }
        metrics.built(&outcome, started.elapsed());
        match &outcome {
            Ok(_) => failures.catch_up(*started),
            Err(error) => {
                let split = job.context.checked.spec().split;
                failures.report(*started, &Failed { index: job.index, split, error });
            }
        }
        // Room is certain (see above); an error means that the client has gone away meanwhile.
        drop(job.reply.try_send(Finished { index: job.index, outcome }));
        // Whoever is to send it comes before the next one. Where threads are more than CPUs, a worker would
        // otherwise go on for its whole slice of milliseconds, and batches would leave in bursts.
        std::thread::yield_now();
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::spec::{Augmentation, StreamSpec};
    use mixfeed_pipeline::{CheckedSpec, ImageShape, SampleError, Samples, synthetic};

    fn context(dataset: &Dataset, augmentation: Augmentation) -> Arc<StreamContext> {
        let spec = StreamSpec { shuffle: false, augmentation, ..StreamSpec::train(1, 4) };
        let checked = CheckedSpec::new(spec, dataset).unwrap();
        // Two jobs a batch.
        Arc::new(StreamContext { run_rows: 2, ..StreamContext::new(checked, [1; 32]) })
    }

    async fn run(
        dataset: Dataset,
        augmentation: Augmentation,
        workers: usize,
        indices: std::ops::Range<u64>,
    ) -> Vec<Finished> {
        let (dataset, metrics) = (Arc::new(dataset), Arc::new(LoaderMetrics::default()));
        let pool = Pool::start(&dataset, workers, &metrics).unwrap();
        let context = context(&dataset, augmentation);
        let (reply, mut finished) = mpsc::channel(indices.clone().count());
        for index in indices {
            let (context, rows_done, reply) = (Arc::clone(&context), Arc::default(), reply.clone());
            pool.slot().await.fill(Job { context, index, rows_done, reply });
        }
        drop(reply);
        let mut all = Vec::new();
        while let Some(one) = finished.recv().await {
            all.push(one);
        }
        all.sort_by_key(|one| one.index);
        all
    }

    #[tokio::test]
    async fn any_number_of_workers_builds_the_same_batches() {
        let checksums = async |workers| -> Vec<u32> {
            let all = run(synthetic::dataset(64), Augmentation::EVERY, workers, 0..40).await;
            all.into_iter().map(|one| one.outcome.unwrap().checksum).collect()
        };
        let one = checksums(1).await;
        assert_eq!(one.len(), 40);
        assert_eq!(one, checksums(4).await);
    }

    /// Sample 5 panics, sample 9 is damaged.
    #[derive(Debug)]
    struct Faulty;

    impl Samples for Faulty {
        fn count(&self) -> u64 {
            16
        }
        fn label(&self, _sample: u64) -> u32 {
            0
        }
        fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
            assert!(sample != 5, "a planted panic");
            if sample == 9 {
                let record = "record 9".into();
                let (reason, fault) = ("planted damage".into(), mixfeed_pipeline::Fault::Damaged);
                return Err(SampleError { sample, record, reason, fault });
            }
            scratch.resize(3, 7);
            Ok(scratch)
        }
    }

    #[tokio::test]
    async fn a_panic_or_a_damaged_record_fails_one_batch_and_no_other() {
        let samples: Arc<dyn Samples> = Arc::new(Faulty);
        let dataset = Dataset {
            image: Some(ImageShape { height: 1, width: 1, channels: 3 }),
            train: Arc::clone(&samples),
            test: samples,
            ..synthetic::dataset(1)
        };
        let all = run(dataset, Augmentation::NONE, 2, 0..4).await;
        assert!(all[0].outcome.is_ok() && all[3].outcome.is_ok());
        assert!(matches!(&all[1].outcome, Err(BuildError::Panicked(words)) if words == "a planted panic"));
        assert_eq!(all[2].outcome.as_ref().unwrap_err().to_string(), "sample 9: record 9: planted damage");
    }
}
