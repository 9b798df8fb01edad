//! A batch on the way to its bytes: some runs of its rows, each built by whichever worker is free.
//!
//! The pixels of all runs lie in one piece of memory, which is cut up for the workers and put together again without a copy.
//! Deliberately not here: threads and their queue ([`pool`](crate::pool)).

use crate::batch::{BuildError, BuiltBatch, StreamContext, bytes_of};
use bytes::BytesMut;
use mixfeed_pipeline::{BatchBuffer, Dataset, RowPlan, Scratch, collate_row};
use mixfeed_proto::batch_checksum;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far a batch is, for whoever waits for it.
#[derive(Debug, Default)]
pub(crate) struct BatchProgress {
    is_begun: AtomicBool,
    rows_done: AtomicU64,
}

impl BatchProgress {
    /// Whether a worker has taken it.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Relaxed)
    }

    /// Rows that are built.
    pub(crate) fn rows_done(&self) -> u64 {
        self.rows_done.load(Ordering::Relaxed)
    }
}

/// A batch that is being built.
#[derive(Debug)]
pub(crate) struct Assembly {
    index: u64,
    rows: u64,
    run_rows: u64,
    runs: usize,
    /// The first run that nobody has taken.
    next: AtomicUsize,
    /// Runs before this one are still wanted: an earlier one has not failed.
    wanted: AtomicUsize,
    progress: Arc<BatchProgress>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Of each run: room for its pixels until it is taken, then nothing, then what was built.
    runs: Vec<Run>,
    unfinished: usize,
    /// The first run that failed: which that is does not depend on who is faster.
    failed: Option<(usize, BuildError)>,
}

#[derive(Debug)]
enum Run {
    Waiting(BytesMut),
    Taken,
    Built(BatchBuffer),
}

impl Assembly {
    /// Of the batch at `index`, which a worker has taken.
    pub(crate) fn new(context: &StreamContext, index: u64, progress: Arc<BatchProgress>) -> Self {
        progress.is_begun.store(true, Ordering::Relaxed);
        let (checked, run_rows) = (&context.checked, context.run_rows);
        let rows = checked.epochs().rows(index);
        let runs = usize::try_from(rows.div_ceil(run_rows)).expect("fewer runs than rows of a batch");
        let run_bytes = run_rows as usize * checked.image_bytes();
        let mut rest = BytesMut::with_capacity(rows as usize * checked.image_bytes());
        // From the last to the first, which keeps what is left.
        let mut pieces: Vec<_> =
            (1..runs).rev().map(|run| Run::Waiting(rest.split_off(run * run_bytes))).collect();
        pieces.push(Run::Waiting(rest));
        pieces.reverse();
        let state = State { runs: pieces, unfinished: runs, failed: None };
        let (next, wanted) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        Self { index, rows, run_rows, runs, next, wanted, progress, state: Mutex::new(state) }
    }

    /// Takes the next run, if there is one; each is taken once.
    pub(crate) fn take(&self) -> Option<usize> {
        let run = self.next.fetch_add(1, Ordering::Relaxed);
        (run < self.runs).then_some(run)
    }

    /// Runs that it has.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// Builds a run that was taken; each row is counted in `rows_done`, too.
    pub(crate) fn build(
        &self,
        run: usize,
        context: &StreamContext,
        dataset: &Dataset,
        scratch: &mut Scratch,
        rows_done: &AtomicU64,
    ) -> Result<BatchBuffer, BuildError> {
        let mut buffer = BatchBuffer::default();
        if run > self.wanted.load(Ordering::Relaxed) {
            return Ok(buffer);
        }
        if let Run::Waiting(pixels) = std::mem::replace(&mut self.state().runs[run], Run::Taken) {
            buffer.pixels = pixels;
        }
        let checked = &context.checked;
        let samples = dataset.samples(checked.spec().split).as_ref();
        for row in RowPlan::of_batch(checked, self.index, self.rows_of(run)) {
            collate_row(checked, &row, samples, scratch, &mut buffer)?;
            rows_done.fetch_add(1, Ordering::Relaxed);
            self.progress.rows_done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(buffer)
    }

    /// Hands a run in, built or failed; whoever hands in the last one gets the batch.
    pub(crate) fn hand_in(
        &self,
        run: usize,
        outcome: Result<BatchBuffer, BuildError>,
        context: &StreamContext,
    ) -> Option<Result<BuiltBatch, BuildError>> {
        let mut state = self.state();
        match outcome {
            Ok(buffer) => state.runs[run] = Run::Built(buffer),
            Err(error) if state.failed.as_ref().is_none_or(|(first, _)| run < *first) => {
                self.wanted.store(run, Ordering::Relaxed);
                state.failed = Some((run, error));
            }
            Err(_later) => {}
        }
        state.unfinished -= 1;
        if state.unfinished > 0 {
            return None;
        }
        let (runs, failed) = (std::mem::take(&mut state.runs), state.failed.take());
        drop(state);
        Some(match failed {
            Some((_, error)) => Err(error),
            None => Ok(self.join(runs, context)),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows_of(&self, run: usize) -> Range<u64> {
        let start = run as u64 * self.run_rows;
        start..(start + self.run_rows).min(self.rows)
    }

    fn join(&self, runs: Vec<Run>, context: &StreamContext) -> BuiltBatch {
        let mut built = runs.into_iter().filter_map(|run| match run {
            Run::Built(buffer) => Some(buffer),
            Run::Waiting(_) | Run::Taken => None,
        });
        let mut batch = built.next().unwrap_or_default();
        for BatchBuffer { pixels, labels, partner_labels, lambdas, samples } in built {
            batch.pixels.unsplit(pixels);
            batch.labels.extend(labels);
            batch.partner_labels.extend(partner_labels);
            batch.lambdas.extend(lambdas);
            batch.samples.extend(samples);
        }
        let checksum = batch_checksum(&bytes_of(&batch, &context.spec_digest, self.index));
        let BatchBuffer { pixels, labels, partner_labels, lambdas, samples } = batch;
        BuiltBatch {
            pixels: pixels.freeze(),
            labels: labels.into(),
            partner_labels: partner_labels.into(),
            lambdas: lambdas.into(),
            samples: samples.into(),
            checksum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::spec::{Augmentation, Mixing, StreamSpec};
    use mixfeed_pipeline::{CheckedSpec, synthetic};
    use proptest::prelude::*;

    fn context(dataset: &Dataset, run_rows: u64) -> StreamContext {
        let spec = StreamSpec {
            mixing: Some(Mixing::mixup(1.0, 0.5)),
            augmentation: Augmentation::EVERY,
            sample_ids: true,
            ..StreamSpec::train(1, 20)
        };
        let checked = CheckedSpec::new(spec, dataset).unwrap();
        StreamContext { run_rows, ..StreamContext::new(checked, [1; 32]) }
    }

    fn build(
        assembly: &Assembly,
        run: usize,
        context: &StreamContext,
        dataset: &Dataset,
    ) -> Result<BatchBuffer, BuildError> {
        assembly.build(run, context, dataset, &mut Scratch::default(), &AtomicU64::new(0))
    }

    fn built(
        dataset: &Dataset,
        context: &StreamContext,
        index: u64,
        order: impl Fn(&mut Vec<usize>),
    ) -> BuiltBatch {
        let progress = Arc::new(BatchProgress::default());
        let assembly = Assembly::new(context, index, Arc::clone(&progress));
        let mut runs: Vec<usize> = std::iter::from_fn(|| assembly.take()).collect();
        order(&mut runs);
        let (last, before) = runs.split_last().unwrap();
        let of_all = AtomicU64::new(0);
        let build = |run| assembly.build(run, context, dataset, &mut Scratch::default(), &of_all);
        for run in before {
            assert!(assembly.hand_in(*run, build(*run), context).is_none());
        }
        let rows = context.checked.epochs().rows(index);
        assert!(progress.is_begun() && progress.rows_done() < rows);
        let batch = assembly.hand_in(*last, build(*last), context).unwrap().unwrap();
        assert_eq!((progress.rows_done(), of_all.into_inner()), (rows, rows));
        batch
    }

    proptest! {
        #[test]
        fn a_batch_is_the_same_in_runs_of_any_length_and_order(run_rows in 1_u64..30, index in 0_u64..8, turn in 0_usize..20) {
            // 33 samples: the second batch of each epoch has 13 rows.
            let dataset = synthetic::dataset(33);
            let whole = context(&dataset, 100);
            let one = built(&dataset, &whole, index, |_| {});
            let runs = built(&dataset, &context(&dataset, run_rows), index, |runs| {
                let turn = turn % runs.len();
                runs.rotate_left(turn);
                runs.reverse();
            });
            prop_assert_eq!((&one.pixels, &one.labels), (&runs.pixels, &runs.labels));
            prop_assert_eq!((&one.partner_labels, &one.lambdas), (&runs.partner_labels, &runs.lambdas));
            prop_assert_eq!(&one.samples, &runs.samples);
            prop_assert_eq!(one.checksum, runs.checksum);
        }
    }

    #[test]
    fn pixels_are_put_together_where_they_were_built() {
        let dataset = synthetic::dataset(33);
        let context = context(&dataset, 3);
        let assembly = Assembly::new(&context, 0, Arc::default());
        let mut first = None;
        while let Some(run) = assembly.take() {
            let buffer = build(&assembly, run, &context, &dataset).unwrap();
            first = first.or(Some(buffer.pixels.as_ptr()));
            if let Some(batch) = assembly.hand_in(run, Ok(buffer), &context) {
                assert_eq!(Some(batch.unwrap().pixels.as_ptr()), first);
            }
        }
    }

    #[test]
    fn of_several_runs_that_fail_the_first_says_why_and_later_ones_are_not_built() {
        let dataset = synthetic::dataset(33);
        let context = context(&dataset, 5);
        let assembly = Assembly::new(&context, 0, Arc::default());
        while assembly.take().is_some() {}
        let failed = |words: &str| Err(BuildError::Panicked(words.into()));
        assert!(assembly.hand_in(2, failed("third"), &context).is_none());
        assert!(assembly.hand_in(1, failed("second"), &context).is_none());
        let skipped = build(&assembly, 3, &context, &dataset).unwrap();
        assert!(skipped.labels.is_empty());
        assert!(assembly.hand_in(3, Ok(skipped), &context).is_none());
        let built = build(&assembly, 0, &context, &dataset);
        assert!(built.is_ok());
        let outcome = assembly.hand_in(0, built, &context).unwrap();
        assert!(matches!(outcome, Err(BuildError::Panicked(words)) if words == "second"));
    }
}
