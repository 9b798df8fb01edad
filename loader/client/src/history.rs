//! What a run knows of its loaders, whichever of its streams met them.
//!
//! A training opens a stream, each of its evaluations another one, a comparison many. With one [`LoaderHistory`] between
//! them, a loader that was found out in one stream is not asked by the next, a slow one is met as a slow one, and strikes
//! are paid off wherever sound batches come from.

use crate::audit::AuditKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Loaders that are remembered at most: a name may resolve to new addresses for ever.
const REMEMBERED: usize = 4096;

/// Streams that lose a loader within this time lose it once.
const ONE_LOSS: Duration = Duration::from_secs(2);

/// What the streams of one run know of their loaders. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LoaderHistory(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    audit_key: AuditKey,
    has_served: bool,
    said_that_token_is_in_clear: bool,
    last_loss: Option<(String, Instant)>,
    loaders: BTreeMap<String, LoaderRecord>,
}

/// One loader, as the streams of a run have met it.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct LoaderRecord {
    /// Where it was met.
    pub loader: String,
    /// Random id of its process, in hexadecimal digits; empty where it told none.
    pub instance: String,
    /// Why it is not asked again: its batch differed from what others, or a trusted loader, made. Empty for one without.
    pub conviction: String,
    /// Times that it sent what must not be used, less those that sound batches have paid off.
    pub strikes: u32,
    /// Nanoseconds that it takes for one byte of a batch, from asking to delivering; 0 while unknown.
    pub nanoseconds_per_byte: f64,
    /// Training batches from it alone that were handed out.
    #[serde(flatten)]
    pub unconfirmed: Unconfirmed,
    #[serde(skip)]
    quarantined_until: Option<Instant>,
}

/// Training batches that were handed out and that nobody but their loader has vouched for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Unconfirmed {
    /// How many.
    pub batches: u64,
    /// Index of the first of them.
    pub first: u64,
    /// Index of the last.
    pub last: u64,
}

impl Unconfirmed {
    pub(crate) fn count(&mut self, index: u64) {
        self.first = if self.batches == 0 { index } else { self.first.min(index) };
        self.last = self.last.max(index);
        self.batches += 1;
    }

    fn join(&mut self, other: Self) {
        if other.batches > 0 {
            self.first = if self.batches == 0 { other.first } else { self.first.min(other.first) };
            self.last = self.last.max(other.last);
            self.batches += other.batches;
        }
    }
}

/// What is known of a loader that a stream is about to meet.
#[derive(Debug, Default)]
pub(crate) struct Acquaintance {
    pub(crate) conviction: Option<String>,
    pub(crate) strikes: u32,
    /// What is left of its quarantine.
    pub(crate) quarantine: Duration,
}

impl LoaderHistory {
    /// What an earlier part of the run remembered.
    #[must_use]
    pub fn new(loaders: Vec<LoaderRecord>) -> Self {
        let history = Self::default();
        history.known().loaders =
            loaders.into_iter().take(REMEMBERED).map(|record| (record.loader.clone(), record)).collect();
        history
    }

    /// All loaders that there is something to remember of, by their addresses.
    #[must_use]
    pub fn records(&self) -> Vec<LoaderRecord> {
        self.known().loaders.values().cloned().collect()
    }

    /// The loaders that are not asked any more.
    #[must_use]
    pub fn convicted(&self) -> Vec<LoaderRecord> {
        self.known().loaders.values().filter(|record| !record.conviction.is_empty()).cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn audit_key(&self) -> AuditKey {
        self.known().audit_key
    }

    /// Notes that a stream of this run is open.
    pub(crate) fn served(&self) {
        self.known().has_served = true;
    }

    /// Whether a stream of this run was open at any time: then its loaders exist and accept it.
    pub(crate) fn has_served(&self) -> bool {
        self.known().has_served
    }

    /// Whether the loss of a loader is news: a stream beside this one may have lost the same one a moment ago.
    pub(crate) fn is_news_that_lost(&self, loader: &str) -> bool {
        let (now, mut known) = (Instant::now(), self.known());
        let last = known.last_loss.replace((loader.to_owned(), now));
        last.is_none_or(|(other, at)| other != loader || now.duration_since(at) > ONE_LOSS)
    }

    /// Whether it is still to be said that the token can be read on the way; once in a run is enough.
    pub(crate) fn says_that_token_is_in_clear(&self) -> bool {
        !std::mem::replace(&mut self.known().said_that_token_is_in_clear, true)
    }

    pub(crate) fn meet(&self, loader: &str) -> Acquaintance {
        let known = self.known();
        let Some(record) = known.loaders.get(loader) else { return Acquaintance::default() };
        let now = Instant::now();
        Acquaintance {
            conviction: (!record.conviction.is_empty()).then(|| record.conviction.clone()),
            strikes: record.strikes,
            quarantine: record.quarantined_until.map_or(Duration::ZERO, |until| until.duration_since(now)),
        }
    }

    /// Why the process of this id is not asked any more, wherever it was met; its address then is part of the answer.
    pub(crate) fn conviction_of(&self, instance: &str) -> Option<String> {
        if instance.is_empty() {
            return None;
        }
        let known = self.known();
        let mut convicted = known.loaders.values().filter(|record| !record.conviction.is_empty());
        let record = convicted.find(|record| record.instance == instance)?;
        Some(format!("it is the loader {}: {}", record.loader, record.conviction))
    }

    fn note(&self, loader: &str, change: impl FnOnce(&mut LoaderRecord)) {
        let mut known = self.known();
        if known.loaders.len() >= REMEMBERED && !known.loaders.contains_key(loader) {
            // The one that there is least to remember of makes room.
            let worth =
                |record: &LoaderRecord| (record.conviction.len(), record.strikes, record.unconfirmed.batches);
            let least = known.loaders.values().min_by_key(|record| worth(record));
            if let Some(least) = least.map(|record| record.loader.clone()) {
                known.loaders.remove(&least);
            }
        }
        let record = known.loaders.entry(loader.to_owned()).or_default();
        loader.clone_into(&mut record.loader);
        change(record);
    }

    pub(crate) fn convict(&self, loader: &str, instance: &str, reason: &str) {
        self.note(loader, |record| {
            instance.clone_into(&mut record.instance);
            reason.clone_into(&mut record.conviction);
        });
    }

    pub(crate) fn strike(&self, loader: &str, strikes: u32, quarantine: Duration) {
        self.note(loader, |record| {
            record.strikes = strikes;
            record.quarantined_until = Instant::now().checked_add(quarantine);
        });
    }

    /// Notes what a stream has learnt of a loader: how long it takes for a byte of a batch, and which batches for training
    /// came from it alone.
    pub(crate) fn learn(&self, loader: &str, nanoseconds_per_byte: Option<f64>, unconfirmed: Unconfirmed) {
        self.note(loader, |record| {
            record.nanoseconds_per_byte = nanoseconds_per_byte.unwrap_or(record.nanoseconds_per_byte);
            record.unconfirmed.join(unconfirmed);
        });
    }

    pub(crate) fn nanoseconds_per_byte(&self, loader: &str) -> Option<f64> {
        let known = self.known();
        let pace = known.loaders.get(loader)?.nanoseconds_per_byte;
        (pace.is_finite() && pace > 0.0).then_some(pace)
    }

    /// The batches for training that came from this loader alone and were handed out.
    pub(crate) fn unconfirmed(&self, loader: &str) -> Unconfirmed {
        self.known().loaders.get(loader).map_or_else(Unconfirmed::default, |record| record.unconfirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_found_out_is_known_under_any_name_and_after_a_restart_of_the_run() {
        let history = LoaderHistory::default();
        history.convict("a:1", "0a1b", "its batch 7 differs");
        assert!(history.meet("a:1").conviction.is_some() && history.meet("b:1").conviction.is_none());
        assert!(history.conviction_of("0a1b").unwrap().contains("a:1"));
        assert_eq!(history.conviction_of(""), None, "loaders without an id are not one loader");
        let later = LoaderHistory::new(history.records());
        assert!(later.conviction_of("0a1b").is_some());
        assert!(!later.has_served(), "that is known of this process alone");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_conviction_is_kept() {
        let history = LoaderHistory::default();
        history.convict("liar:1", "", "its batch 7 differs");
        for number in 0..2 * REMEMBERED {
            history.strike(&format!("loader:{number}"), 1, Duration::ZERO);
        }
        assert_eq!(history.records().len(), REMEMBERED);
        assert!(history.meet("liar:1").conviction.is_some());
    }

    #[test]
    fn batches_of_one_loader_alone_are_counted_over_all_streams() {
        let history = LoaderHistory::default();
        for batches in [[5_u64, 9], [2, 3]] {
            let mut unconfirmed = Unconfirmed::default();
            batches.into_iter().for_each(|index| unconfirmed.count(index));
            history.learn("a:1", None, unconfirmed);
        }
        assert_eq!(history.unconfirmed("a:1"), Unconfirmed { batches: 4, first: 2, last: 9 });
        history.learn("a:1", Some(2.5), Unconfirmed::default());
        assert_eq!(history.nanoseconds_per_byte("a:1"), Some(2.5));
        assert_eq!(history.unconfirmed("a:1").batches, 4);
    }
}
