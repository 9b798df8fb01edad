//! Every replica that was ever found: its condition, when it is tried again, and what is said of it.
//!
//! Conditions change here and nowhere else, so that each change makes one log line and moves one
//! gauge. A replica that stays unreachable says so once.

#[cfg(test)]
mod tests;
mod trust;

use crate::backoff::Backoff;
use crate::config::Tuning;
use crate::history::{LoaderHistory, Unconfirmed};
use crate::mailbox::Mailbox;
use crate::scheduler::{Micros, ReplicaKey};
use crate::session::Ending;
use crate::stats;
use crate::transport::Target;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a refused replica is left alone: it may be replaced by one that fits.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// The idle timeout doubles at most this often.
const MOST_SILENCES: u32 = 4;

/// Replicas named in one error text.
const NAMED: usize = 20;

/// What a replica is to us.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Condition {
    /// Not reached so far, or being reached again.
    Connecting,
    /// Its stream is open.
    Serving,
    /// It cannot be reached, or went away.
    Lost,
    /// It serves other data, computes otherwise or does not accept the spec.
    Refused,
    /// It sent something that must not be used.
    Quarantined,
}

impl Condition {
    fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Serving => "serving",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Where a replica stands in the order that the user gave.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Position(pub(crate) usize, pub(crate) Target);

/// A session that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) number: u64,
    pub(crate) mailbox: Mailbox,
    pub(crate) task: AbortHandle,
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) condition: Condition,
    pub(crate) running: Option<Running>,
    /// The last thing that went wrong, for error texts.
    pub(crate) trouble: String,
    /// Whether anything was heard of it so far, good or bad.
    pub(crate) answered: bool,
    /// Whether what it serves was compared and found to be other than expected.
    pub(crate) mismatched: bool,
    /// Whether it served at any time.
    pub(crate) seen: bool,
    /// Random id of its process, as hexadecimal digits; empty until it told one.
    pub(crate) instance: String,
    /// Batches for training that came from it alone and were handed out, as far as the history does not know of them.
    pub(crate) unconfirmed: Unconfirmed,
    /// Whether its answers decide what others contradict each other about, and it does nothing else.
    pub(crate) is_arbiter: bool,
    /// The replica that is the same process under another address, and serves.
    twin_of: Option<ReplicaKey>,
    backoff: Backoff,
    strikes: u32,
    /// Sound batches since the last strike, or since one was paid off.
    sound: u32,
    silences: u32,
    /// Its name no longer resolves to it.
    gone: bool,
    retry_at: Option<Micros>,
}

#[derive(Debug)]
pub(crate) struct Roster {
    entries: BTreeMap<ReplicaKey, Entry>,
    by_target: HashMap<Target, ReplicaKey>,
    retries: BTreeSet<(Micros, ReplicaKey)>,
    counts: HashMap<Condition, usize>,
    next_key: u32,
    tuning: Tuning,
    history: LoaderHistory,
    arbiter_serves: bool,
    /// Whether loaders get a token that others on the way can read.
    token_in_clear: bool,
    full_said: bool,
}

impl Roster {
    pub(crate) fn new(tuning: Tuning, history: LoaderHistory) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_target: HashMap::new(),
            retries: BTreeSet::new(),
            counts: HashMap::new(),
            next_key: 0,
            tuning,
            history,
            arbiter_serves: false,
            token_in_clear: false,
            full_said: false,
        }
    }

    /// The same for streams whose token goes unencrypted.
    pub(crate) fn with_token_in_clear(mut self, token_in_clear: bool) -> Self {
        self.token_in_clear = token_in_clear;
        self
    }

    pub(crate) fn get(&self, key: ReplicaKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: ReplicaKey) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (ReplicaKey, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    /// Replicas whose stream is open, but for the arbiter.
    pub(crate) fn serving(&self) -> usize {
        let all = self.counts.get(&Condition::Serving).copied().unwrap_or(0);
        all - usize::from(self.arbiter_serves)
    }

    /// Adds a replica that was found, to be tried at once. Known ones stay as they are.
    pub(crate) fn add(&mut self, now: Micros, position: usize, target: Target) {
        if let Some(key) = self.by_target.get(&target) {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.gone = false;
            }
            return;
        }
        if self.entries.len() >= self.tuning.max_replicas {
            if !std::mem::replace(&mut self.full_said, true) {
                tracing::warn!(max = self.tuning.max_replicas, "more loaders found than are used");
            }
            return;
        }
        if self.token_in_clear && !target.is_local() && self.history.says_that_token_is_in_clear() {
            tracing::warn!(
                loader = %target,
                "the token is sent in clear, and others on the way can read it: use TLS (--tls-ca)"
            );
        }
        let key = ReplicaKey(self.next_key);
        self.next_key += 1;
        let known = self.history.meet(&target.to_string());
        let is_bad = known.conviction.is_some() || !known.quarantine.is_zero();
        self.by_target.insert(target.clone(), key);
        let entry = Entry {
            position: Position(position, target),
            condition: if is_bad { Condition::Quarantined } else { Condition::Connecting },
            running: None,
            answered: is_bad,
            mismatched: false,
            seen: false,
            instance: String::new(),
            unconfirmed: Unconfirmed::default(),
            is_arbiter: false,
            twin_of: None,
            backoff: Backoff::new(self.tuning.retry_cap),
            strikes: known.strikes,
            sound: 0,
            silences: 0,
            gone: false,
            retry_at: None,
            trouble: known.conviction.clone().unwrap_or_default(),
        };
        self.count(entry.condition, 1);
        self.entries.insert(key, entry);
        if known.conviction.is_none() {
            self.retry_after(now, key, known.quarantine);
        }
    }

    /// Adds the replica whose answers decide.
    pub(crate) fn add_arbiter(&mut self, now: Micros, position: usize, target: &Target) {
        self.add(now, position, target.clone());
        if let Some(entry) = self.by_target.get(target).and_then(|key| self.entries.get_mut(key)) {
            entry.is_arbiter = true;
        }
    }

    /// Takes over a fresh look-up of the name at `position`. Replicas that it lacks are forgotten once
    /// they do not serve.
    pub(crate) fn resolved(&mut self, now: Micros, position: usize, targets: Vec<Target>) {
        let mut idle = Vec::new();
        for (key, entry) in &mut self.entries {
            if entry.position.0 == position && !targets.contains(&entry.position.1) {
                entry.gone = true;
                // A quarantine is remembered, or it could be shaken off by a change of name.
                if entry.running.is_none() && entry.condition != Condition::Quarantined {
                    idle.push(*key);
                }
            }
        }
        for key in idle {
            self.forget(key);
        }
        for target in targets {
            self.add(now, position, target);
        }
    }

    fn forget(&mut self, key: ReplicaKey) {
        self.remember(key, None);
        let Some(entry) = self.entries.remove(&key) else { return };
        if let Some(at) = entry.retry_at {
            self.retries.remove(&(at, key));
        }
        self.by_target.remove(&entry.position.1);
        self.count(entry.condition, -1);
        tracing::info!(loader = %entry.position.1, "loader no longer in DNS");
    }

    pub(crate) fn next_retry(&self) -> Option<Micros> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// The next replica whose time to be tried has come.
    pub(crate) fn due(&mut self, now: Micros) -> Option<ReplicaKey> {
        let (at, key) = *self.retries.first()?;
        if at > now {
            return None;
        }
        self.retries.pop_first();
        let entry = self.entries.get_mut(&key)?;
        entry.retry_at = None;
        if entry.gone {
            // Its quarantine is over, and nobody lists it any more.
            self.forget(key);
            return self.due(now);
        }
        Some(key)
    }

    /// How long this replica may be silent: longer after each time that it was, since it may just be slow.
    pub(crate) fn idle_timeout(&self, key: ReplicaKey) -> Duration {
        let silences = self.entries.get(&key).map_or(0, |entry| entry.silences.min(MOST_SILENCES));
        self.tuning.idle_timeout * (1 << silences)
    }

    /// The replica's stream is open.
    pub(crate) fn opened(&mut self, key: ReplicaKey, release: &str, workers: u32) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.answered = true;
        entry.trouble.clear();
        let loader = entry.position.1.clone();
        if std::mem::replace(&mut entry.seen, true) {
            tracing::info!(%loader, release, workers, "loader resumed");
        } else if self.tuning.quiet {
            tracing::debug!(%loader, release, workers, "loader connected");
        } else {
            tracing::info!(%loader, release, workers, "loader connected");
        }
        self.turn(key, Condition::Serving);
    }

    /// The replica's session ended. It will be tried again.
    pub(crate) fn ended(&mut self, now: Micros, key: ReplicaKey, ending: Ending) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.running = None;
        let was_serving = entry.condition == Condition::Serving;
        if entry.gone && !matches!(ending, Ending::Bad(_) | Ending::Refused(_)) {
            return self.forget(key);
        }
        let loader = entry.position.1.clone();
        match ending {
            Ending::Drained => {
                entry.trouble = "it is shutting down".into();
                if was_serving {
                    tracing::info!(%loader, "loader draining");
                }
                self.lose(now, key);
            }
            Ending::Lost(reason) => {
                if was_serving && self.history.is_news_that_lost(&loader.to_string()) {
                    tracing::warn!(%loader, reason, "loader lost");
                } else if !was_serving && !entry.answered {
                    tracing::warn!(%loader, reason, "loader unreachable");
                }
                entry.trouble = reason;
                self.lose(now, key);
            }
            Ending::Silent(timeout) => {
                entry.silences += 1;
                entry.trouble = format!("it sent nothing for {timeout:?}");
                tracing::warn!(%loader, reason = entry.trouble, "loader lost");
                self.lose(now, key);
            }
            Ending::Refused(reason) => self.refuse(now, key, reason),
            Ending::Bad(reason) => self.quarantine(now, key, reason, false),
        }
    }

    fn lose(&mut self, now: Micros, key: ReplicaKey) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.answered = true;
        let pause = entry.backoff.next();
        // One that is refused or was quarantined keeps that name until something else is known of it.
        if matches!(entry.condition, Condition::Connecting | Condition::Serving) {
            self.turn(key, Condition::Lost);
        }
        self.retry_after(now, key, pause);
    }

    fn retry_after(&mut self, now: Micros, key: ReplicaKey, pause: Duration) {
        let at = now.saturating_add(u64::try_from(pause.as_micros()).unwrap_or(u64::MAX));
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Some(old) = entry.retry_at.replace(at) {
            self.retries.remove(&(old, key));
        }
        self.retries.insert((at, key));
    }

    fn turn(&mut self, key: ReplicaKey, condition: Condition) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let old = std::mem::replace(&mut entry.condition, condition);
        if entry.is_arbiter {
            self.arbiter_serves = condition == Condition::Serving;
        }
        if old != condition {
            self.count(old, -1);
            self.count(condition, 1);
        }
    }

    fn count(&mut self, condition: Condition, change: isize) {
        let count = self.counts.entry(condition).or_default();
        *count = count.saturating_add_signed(change);
        // A process may read several streams, so each adds its own.
        metrics::gauge!(stats::REPLICAS, "state" => condition.word()).increment(change as f64);
    }

    /// One line that says what is the matter with each replica.
    pub(crate) fn troubles(&self) -> String {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_by(|a, b| a.position.cmp(&b.position));
        let mut parts: Vec<String> = entries
            .iter()
            .take(NAMED)
            .map(|entry| {
                let trouble =
                    if entry.trouble.is_empty() { entry.condition.word() } else { entry.trouble.as_str() };
                format!("{}: {trouble}", entry.position.1)
            })
            .collect();
        if entries.len() > NAMED {
            parts.push(format!("and {} more", entries.len() - NAMED));
        }
        parts.join("; ")
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        // The replicas of a stream that is over are nobody's any more.
        for (condition, count) in &self.counts {
            metrics::gauge!(stats::REPLICAS, "state" => condition.word()).decrement(*count as f64);
        }
    }
}

fn stop(entry: &mut Entry) {
    if let Some(running) = entry.running.take() {
        running.task.abort();
    }
}
