//! The worker pool: where threads work. Tasks hand it jobs and wait; nothing here waits for a task.
//!
//! The bridge has two sides. Into the pool: a bounded crossbeam channel, whose room is counted by
//! a semaphore of the same size, so that a task waits for a slot without blocking and the send that
//! follows always finds room. Out of the pool: each job carries the sender of its stream, whose
//! queue has room for all jobs that the stream may have in hand.
//!
//! A job is a batch. The worker that takes it asks the others to help, if it has more than one run of rows: who is free builds
//! runs of it before it takes a batch of its own, so that batches come as early as they can, in the order of the queue.

use crate::assembly::{Assembly, BatchProgress};
use crate::batch::{BuildError, BuiltBatch, StreamContext};
use crate::failures::{Failed, FailureLog};
use crate::heartbeat::Heartbeat;
use crate::metrics::LoaderMetrics;
use crossbeam_channel::{Receiver, Sender, bounded, select_biased};
use mixfeed_pipeline::{BatchBuffer, Dataset, Scratch};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
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
    pub(crate) progress: Arc<BatchProgress>,
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
    rows_done: Arc<[RowsDone]>,
    heartbeat: Mutex<Heartbeat>,
}

/// Rows that one worker has built, in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct RowsDone(AtomicU64);

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
        let (sender, jobs) = bounded(depth);
        let (ask, help) = bounded(workers);
        let rows_done: Arc<[RowsDone]> = (0..workers).map(|_| RowsDone::default()).collect();
        let front = Front { jobs, help, ask, failures: FailureLog::default() };
        let shared = Arc::new((front, Arc::clone(dataset), Arc::clone(metrics)));
        let workers = (0..workers)
            .map(|number| {
                let (shared, rows_done) = (Arc::clone(&shared), Arc::clone(&rows_done));
                // Worker threads are what the pool is.
                #[allow(clippy::disallowed_methods)]
                std::thread::Builder::new().name(format!("mixfeed-worker-{number}")).spawn(move || {
                    let (front, dataset, metrics) = &*shared;
                    let rows_done = &rows_done[number].0;
                    // A job's panic is caught where it is built; a worker outlives any other, too: a loader
                    // without workers would be ready and serve nothing.
                    let work = || front.work(dataset, metrics, rows_done);
                    while catch_unwind(AssertUnwindSafe(work)).is_err() {}
                })
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        let (slots, heartbeat) =
            (Arc::new(Semaphore::new(depth)), Mutex::new(Heartbeat::new(Instant::now())));
        Ok(Self { jobs: Some(sender), slots, workers, rows_done, heartbeat })
    }

    /// Returns the number of worker threads.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Whether the workers get on with batches of any stream; to be asked each second while there is one.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        let rows_done = self.rows_done.iter().map(|done| done.0.load(Ordering::Relaxed)).sum();
        self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner).is_alive(now, rows_done)
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

/// Where workers find work: batches to help with, which come first, and batches of their own.
struct Front {
    jobs: Receiver<(Job, OwnedSemaphorePermit)>,
    /// Batches with runs that nobody may have taken, once for each worker that can help. There is room for as many as there are
    /// workers: who is free takes one before another batch is begun.
    help: Receiver<Arc<Batch>>,
    ask: Sender<Arc<Batch>>,
    failures: FailureLog,
}

/// A batch whose runs are taken.
struct Batch {
    job: Job,
    assembly: Assembly,
    started: Instant,
}

impl Front {
    /// Works until the pool ends.
    fn work(&self, dataset: &Dataset, metrics: &LoaderMetrics, rows_done: &AtomicU64) {
        let mut scratch = Scratch::default();
        while let Some(batch) = self.take(metrics) {
            while let Some(run) = batch.assembly.take() {
                self.build(&batch, run, dataset, metrics, &mut scratch, rows_done);
            }
        }
    }

    /// Waits for a batch; nothing once the pool ends.
    fn take(&self, metrics: &LoaderMetrics) -> Option<Arc<Batch>> {
        loop {
            let (job, slot) = select_biased! {
                recv(self.help) -> batch => return batch.ok(),
                recv(self.jobs) -> job => job.ok()?,
            };
            drop(slot);
            metrics.queue_depth.set(self.jobs.len() as f64);
            if job.reply.is_closed() {
                continue; // The client has gone away, which is ordinary.
            }
            let assembly = Assembly::new(&job.context, job.index, Arc::clone(&job.progress));
            let batch = Arc::new(Batch { job, assembly, started: Instant::now() });
            for _ in 1..batch.assembly.runs() {
                // Without room, everybody has been asked.
                if self.ask.try_send(Arc::clone(&batch)).is_err() {
                    break;
                }
            }
            return Some(batch);
        }
    }

    /// Builds a run of a batch, and hands the batch out if it is the last one.
    fn build(
        &self,
        batch: &Batch,
        run: usize,
        dataset: &Dataset,
        metrics: &LoaderMetrics,
        scratch: &mut Scratch,
        rows_done: &AtomicU64,
    ) {
        let Batch { job, assembly, started } = batch;
        let build = || {
            // Nobody reads it any more.
            if job.reply.is_closed() {
                return Ok(BatchBuffer::default());
            }
            assembly.build(run, &job.context, dataset, scratch, rows_done)
        };
        let outcome = catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|payload| {
            *scratch = Scratch::default();
            Err(BuildError::Panicked(words(&*payload)))
        });
        let Some(outcome) = assembly.hand_in(run, outcome, &job.context) else { return };
        if job.reply.is_closed() {
            return;
        }
        metrics.built(&outcome, started.elapsed());
        match &outcome {
            Ok(_) => self.failures.catch_up(*started),
            Err(error) => {
                let split = job.context.checked.spec().split;
                self.failures.report(*started, &Failed { index: job.index, split, error });
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
            let (context, progress, reply) = (Arc::clone(&context), Arc::default(), reply.clone());
            pool.slot().await.fill(Job { context, index, progress, reply });
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
            assert!(scratch.len() <= 3, "what a panic left is used again");
            if sample == 5 {
                scratch.resize(100, 7);
                panic!("a planted panic");
            }
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
        for workers in [1, 2] {
            let samples: Arc<dyn Samples> = Arc::new(Faulty);
            let dataset = Dataset {
                image: Some(ImageShape { height: 1, width: 1, channels: 3 }),
                train: Arc::clone(&samples),
                test: samples,
                ..synthetic::dataset(1)
            };
            let all = run(dataset, Augmentation::NONE, workers, 0..4).await;
            assert!(all[0].outcome.is_ok() && all[3].outcome.is_ok());
            assert!(
                matches!(&all[1].outcome, Err(BuildError::Panicked(words)) if words == "a planted panic")
            );
            assert_eq!(
                all[2].outcome.as_ref().unwrap_err().to_string(),
                "sample 9: record 9: planted damage"
            );
        }
    }
}
