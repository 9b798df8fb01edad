//! What replicas have done to be trusted or not: strikes, quarantine, convictions, and names of one process.

use super::{Condition, Entry, REFUSED_PAUSE, Roster, stop};
use crate::scheduler::{Micros, ReplicaKey, micros};
use std::time::Duration;

/// A quarantine is no longer than this, but where more is asked for from the first.
const LONGEST_QUARANTINE: Duration = Duration::from_secs(3600);

/// How long a replica stays in quarantine when no other one serves.
const LAST_HOPE: Duration = Duration::from_secs(1);

/// Sound batches that pay off one strike.
const PAYS_A_STRIKE: u32 = 100;

/// Why a process that says who it is must not be used.
#[derive(Debug)]
enum Recognised {
    /// It was found to be wrong.
    Convicted(String),
    /// It serves already, under another address.
    Twin(String),
}

impl Roster {
    /// The replica delivered: what it did wrong before is over.
    pub(crate) fn delivered(&mut self, key: ReplicaKey) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.backoff.reset();
        entry.silences = 0;
        entry.sound += 1;
        if entry.strikes > 0 && entry.sound >= PAYS_A_STRIKE {
            (entry.strikes, entry.sound) = (entry.strikes - 1, 0);
            self.history.strike(&entry.position.1.to_string(), entry.strikes, Duration::ZERO);
        }
    }

    /// Takes what this stream has learnt of the replica into the history, and how long it takes for a byte.
    pub(crate) fn remember(&mut self, key: ReplicaKey, nanoseconds_per_byte: Option<f64>) {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| !entry.is_arbiter) else { return };
        let unconfirmed = std::mem::take(&mut entry.unconfirmed);
        if nanoseconds_per_byte.is_some() || unconfirmed.batches > 0 {
            self.history.learn(&entry.position.1.to_string(), nanoseconds_per_byte, unconfirmed);
        }
    }

    /// Says why the process behind this replica must not be used beside the others: it was found to be wrong, or it serves
    /// already, under another address.
    fn recognise(&mut self, key: ReplicaKey, instance: &str) -> Option<Recognised> {
        let twin = self.entries.iter().find_map(|(other, entry)| {
            let same = *other != key && !instance.is_empty() && entry.instance == instance;
            (same && entry.running.is_some() && !entry.is_arbiter).then_some(*other)
        });
        let entry = self.entries.get_mut(&key)?;
        if entry.is_arbiter {
            return None;
        }
        instance.clone_into(&mut entry.instance);
        if let Some(reason) = self.history.conviction_of(instance) {
            return Some(Recognised::Convicted(reason));
        }
        entry.twin_of = twin;
        let twin = twin.and_then(|twin| self.entries.get(&twin))?;
        Some(Recognised::Twin(format!("it is the loader {} under another address", twin.position.1)))
    }

    /// Whether the process behind this replica may be used beside the others; if not, the replica is left alone.
    pub(crate) fn recognised(&mut self, now: Micros, key: ReplicaKey, instance: &str) -> bool {
        match self.recognise(key, instance) {
            None => true,
            Some(Recognised::Convicted(reason)) => {
                self.quarantine(now, key, reason, true);
                false
            }
            Some(Recognised::Twin(reason)) => {
                self.pass_over(now, key, reason);
                false
            }
        }
    }

    /// A replica no longer serves: those that are the same process under other addresses are tried at once.
    pub(crate) fn release_twins(&mut self, now: Micros, of: ReplicaKey) {
        let twins: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.twin_of == Some(of)).map(|(key, _)| *key).collect();
        for key in twins {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.twin_of = None;
            }
            self.retry_after(now, key, Duration::ZERO);
        }
    }

    /// Whether a replica may still come that could decide what others contradict each other about: one that was not heard of so
    /// far, or the arbiter.
    pub(crate) fn awaits_more(&self) -> bool {
        self.entries.values().any(|entry| match entry.condition {
            Condition::Connecting => !entry.seen,
            Condition::Lost => entry.is_arbiter,
            _ => false,
        })
    }

    /// When nobody serves, those in quarantine are the last hope: they are tried again soon.
    pub(crate) fn hurry(&mut self, now: Micros) {
        if self.serving() > 0 {
            return;
        }
        let soon = now.saturating_add(micros(LAST_HOPE));
        let waiting = |entry: &Entry| {
            entry.condition == Condition::Quarantined && entry.retry_at.is_some_and(|at| at > soon)
        };
        let keys: Vec<_> =
            self.entries.iter().filter(|(_, entry)| waiting(entry)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(entry) = self.get(key) {
                tracing::info!(loader = %entry.position.1, "loader tried again before its pause is over: no other one serves");
            }
            self.retry_after(now, key, LAST_HOPE);
        }
    }

    /// The replica sent something that must not be used.
    pub(crate) fn quarantine(&mut self, now: Micros, key: ReplicaKey, reason: String, for_good: bool) {
        // Where another one claims the same id, it tells nothing: who lies may have taken it from an honest loader.
        let instance = self.get(key).map_or_else(String::new, |entry| entry.instance.clone());
        let is_shared = self.entries().any(|(other, entry)| other != key && entry.instance == instance);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        stop(entry);
        let pause = self
            .tuning
            .quarantine
            .saturating_mul(4_u32.saturating_pow(entry.strikes))
            .min(LONGEST_QUARANTINE);
        entry.strikes = entry.strikes.saturating_add(1);
        entry.sound = 0;
        let loader = entry.position.1.clone();
        if for_good {
            self.history.convict(&loader.to_string(), if is_shared { "" } else { &instance }, &reason);
            tracing::error!(%loader, reason, "loader quarantined for the rest of the run");
        } else {
            self.history.strike(&loader.to_string(), entry.strikes, pause);
            tracing::error!(%loader, reason, pause_seconds = pause.as_secs_f64(), "loader quarantined");
        }
        entry.trouble = reason;
        entry.answered = true;
        self.turn(key, Condition::Quarantined);
        if !for_good {
            self.retry_after(now, key, pause);
        }
    }

    /// The replica must not, or does not want to, serve this stream.
    pub(crate) fn refuse(&mut self, now: Micros, key: ReplicaKey, reason: String) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        stop(entry);
        let said = entry.condition == Condition::Refused && entry.trouble == reason;
        if said || self.tuning.quiet {
            tracing::debug!(loader = %entry.position.1, reason, "loader refused");
        } else {
            tracing::error!(loader = %entry.position.1, reason, "loader refused");
        }
        entry.trouble = reason;
        entry.answered = true;
        self.turn(key, Condition::Refused);
        self.retry_after(now, key, REFUSED_PAUSE);
    }

    /// The replica is another name of one that serves: no fault, and nothing that a second stream to it would help.
    fn pass_over(&mut self, now: Micros, key: ReplicaKey, reason: String) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        stop(entry);
        if entry.trouble != reason {
            tracing::info!(loader = %entry.position.1, reason, "loader not used twice");
        }
        entry.trouble = reason;
        entry.answered = true;
        self.turn(key, Condition::Refused);
        self.retry_after(now, key, REFUSED_PAUSE);
    }
}
