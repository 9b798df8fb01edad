//! The log of batches that could not be built: written where they fail, a record once, and never so much that it
//! drowns the rest.
//!
//! A folder that is away fails every batch of every stream. What is not named is counted, and the count is logged.

use crate::batch::BuildError;
use mixfeed_pipeline::{Fault, Split};
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that are named within a [`PERIOD`].
const NAMED: u32 = 20;

const PERIOD: Duration = Duration::from_secs(60);

/// Records that are remembered as named. Beyond, all are forgotten, and may be named again.
const REMEMBERED: usize = 1 << 14;

/// A batch that failed.
pub(crate) struct Failed<'a> {
    pub(crate) index: u64,
    pub(crate) split: Split,
    pub(crate) error: &'a BuildError,
}

/// What was said, and how much was not.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    said: Mutex<Said>,
    /// Failed batches of records that were not named, since the last line that told their number.
    unsaid: AtomicU64,
}

#[derive(Debug, Default)]
struct Said {
    hasher: RandomState,
    records: HashSet<u64>,
    period: Option<Instant>,
    lines: u32,
}

impl FailureLog {
    /// Names a failure, unless it was named before or too many were a moment ago.
    pub(crate) fn report(&self, now: Instant, failed: &Failed<'_>) {
        if !self.may_name(now, failed) {
            return;
        }
        let Failed { index, split, error } = failed;
        match error {
            BuildError::Data(error) => {
                let what = match error.fault {
                    Fault::Damaged => "batch cannot be built: a record is damaged",
                    Fault::Changed => "batch cannot be built: a record has changed since the start",
                    Fault::Unavailable => "batch cannot be built now: a record cannot be read",
                    Fault::Transform => "batch cannot be built: a transform fails",
                };
                let (sample, record, reason) = (error.sample, &*error.record, &*error.reason);
                tracing::warn!(index, %split, sample, record, reason, "{what}");
            }
            BuildError::Panicked(reason) => {
                tracing::error!(index, %split, reason, "building a batch panicked");
            }
        }
    }

    /// Tells how many failures were not named, once that is due. Cheap when there are none.
    pub(crate) fn catch_up(&self, now: Instant) {
        if self.unsaid.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_over(now) {
            self.next_period(now, &mut said);
        }
    }

    fn may_name(&self, now: Instant, failed: &Failed<'_>) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_over(now) {
            self.next_period(now, &mut said);
        }
        let key = match failed.error {
            BuildError::Data(error) => said.hasher.hash_one((failed.split, &error.record, error.fault)),
            BuildError::Panicked(reason) => said.hasher.hash_one(reason),
        };
        if said.records.contains(&key) {
            return false;
        }
        if said.lines == NAMED {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if said.records.len() == REMEMBERED {
            said.records.clear();
        }
        said.records.insert(key);
        said.lines += 1;
        true
    }

    fn next_period(&self, now: Instant, said: &mut Said) {
        (said.period, said.lines) = (Some(now), 0);
        let batches = self.unsaid.swap(0, Ordering::Relaxed);
        if batches > 0 {
            tracing::warn!(batches, "more batches could not be built, of records that were not named");
        }
    }
}

impl Said {
    fn is_over(&self, now: Instant) -> bool {
        self.period.is_none_or(|began| now.saturating_duration_since(began) >= PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_ops::testing::logged;
    use mixfeed_pipeline::SampleError;

    fn error(record: &str, fault: Fault) -> BuildError {
        let (record, reason) = (record.into(), "planted".into());
        BuildError::Data(SampleError { sample: 3, record, reason, fault })
    }

    fn report(log: &FailureLog, now: Instant, error: &BuildError) {
        log.report(now, &Failed { index: 7, split: Split::Train, error });
    }

    #[test]
    fn a_record_is_named_once_and_again_when_its_fault_is_another() {
        let (log, now) = (FailureLog::default(), Instant::now());
        let lines = logged(|| {
            for _ in 0..3 {
                report(&log, now, &error("a/1.png", Fault::Unavailable));
            }
            report(&log, now, &error("a/1.png", Fault::Damaged));
            report(&log, now, &error("a/2.png", Fault::Damaged));
            report(&log, now, &BuildError::Panicked("index out of bounds".into()));
        });
        assert_eq!(lines.lines().count(), 4, "{lines}");
        for part in ["index=7", "split=train", "a/1.png", "reason=planted", "index out of bounds"] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
    }

    #[test]
    fn more_than_a_few_a_minute_are_counted_and_the_count_is_said() {
        let (log, now) = (FailureLog::default(), Instant::now());
        let lines = logged(|| {
            for record in 0..1000 {
                report(&log, now, &error(&format!("{record}.png"), Fault::Unavailable));
            }
            log.catch_up(now);
        });
        assert_eq!(lines.lines().count(), NAMED as usize);
        let lines = logged(|| log.catch_up(now + PERIOD));
        assert!(lines.contains("batches=980"), "{lines}");
        let lines = logged(|| report(&log, now + PERIOD, &error("late.png", Fault::Changed)));
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (log, mut now) = (FailureLog::default(), Instant::now());
        for record in 0..REMEMBERED + 10 {
            if record % NAMED as usize == 0 {
                now += PERIOD;
            }
            report(&log, now, &error(&record.to_string(), Fault::Damaged));
            assert!(log.said.lock().unwrap().records.len() <= REMEMBERED);
        }
    }
}
