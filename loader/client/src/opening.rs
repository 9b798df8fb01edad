//! How a stream begins: which data set it reads, and which replicas may feed it.
//!
//! The first of the user's endpoints that can be had decides. To keep that from being a race, those that
//! have not answered are given a moment before the choice is made. After it, every replica that joins is
//! compared with the choice; one that differs is refused by name.

use crate::config::{Expected, StreamEnd};
use crate::driver::{Driver, micros};
use crate::error::StreamError;
use crate::geometry::Geometry;
use crate::identity::Identity;
use crate::roster::{Condition, Position, Roster};
use crate::scheduler::{Bounds, Micros, ReplicaKey, Scheduler};
use crate::stream::StreamInfo;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Requests that keep a loader busy, for each batch that it holds: one is being made, one waits.
const CREDITS_PER_BATCH: u64 = 2;

/// What is known of the stream as a whole.
#[derive(Debug)]
pub(crate) struct Opening {
    /// What every replica must serve; given, or chosen.
    expected: Option<Expected>,
    /// Whether it was given by an earlier part of the run.
    given: bool,
    /// Replicas that wait for the choice, in the user's order.
    candidates: BTreeMap<Position, (ReplicaKey, Identity)>,
    /// When the choice is made at the latest.
    decide_at: Option<Micros>,
    /// Names that were not looked up so far, and what went wrong with the others.
    names_unanswered: usize,
    name_troubles: BTreeMap<usize, String>,
    names_answered: std::collections::BTreeSet<usize>,
    /// What accepted replicas said of themselves, until they serve.
    accepted: BTreeMap<ReplicaKey, Identity>,
    /// The shape of the stream, once it is open.
    geometry: Option<Arc<Geometry>>,
    /// What a loader said when it refused the spec.
    refusal: Option<(String, String)>,
}

impl Opening {
    pub(crate) fn new(names: usize, expected: Option<Expected>) -> Self {
        Self {
            given: expected.is_some(),
            expected,
            candidates: BTreeMap::new(),
            decide_at: None,
            names_unanswered: names,
            name_troubles: BTreeMap::new(),
            names_answered: std::collections::BTreeSet::new(),
            accepted: BTreeMap::new(),
            geometry: None,
            refusal: None,
        }
    }

    pub(crate) fn decide_at(&self) -> Option<Micros> {
        self.decide_at
    }

    /// The session of a replica ended, so that it is no candidate any more.
    pub(crate) fn forget(&mut self, replica: ReplicaKey) {
        self.candidates.retain(|_, (key, _)| *key != replica);
        self.accepted.remove(&replica);
    }

    /// A name was looked up. True when its trouble is new.
    pub(crate) fn looked_up(&mut self, position: usize, trouble: Option<String>) -> bool {
        if self.names_answered.insert(position) {
            self.names_unanswered = self.names_unanswered.saturating_sub(1);
        }
        match trouble {
            Some(trouble) => self.name_troubles.insert(position, trouble).is_none(),
            None => self.name_troubles.remove(&position).is_some(),
        }
    }

    /// Whether every endpoint was heard of, well or ill.
    fn all_answered(&self, roster: &Roster) -> bool {
        self.names_unanswered == 0 && roster.entries().all(|(_, entry)| entry.answered)
    }

    /// The refusal of the spec, once nobody is left who could accept it.
    pub(crate) fn refusal(&self, roster: &Roster) -> Option<StreamError> {
        if !self.accepted.is_empty() || !self.candidates.is_empty() || !self.all_answered(roster) {
            return None;
        }
        let hopeful = |condition| matches!(condition, Condition::Connecting | Condition::Serving);
        if roster.entries().any(|(_, entry)| hopeful(entry.condition)) {
            return None;
        }
        if let Some((loader, message)) = &self.refusal {
            return Some(StreamError::Refused { loader: loader.clone(), message: message.clone() });
        }
        let mismatched =
            |entry: &crate::roster::Entry| entry.mismatched && entry.condition == Condition::Refused;
        let all = roster.entries().count() > 0 && roster.entries().all(|(_, entry)| mismatched(entry));
        all.then(|| StreamError::Mismatch { detail: self.troubles(roster) })
    }

    /// The error of a stream that nobody serves.
    pub(crate) fn nobody(&self, roster: &Roster, waited: Duration) -> StreamError {
        let detail = self.troubles(roster);
        if self.given && self.geometry.is_none() && roster.entries().any(|(_, entry)| entry.mismatched) {
            return StreamError::Mismatch { detail };
        }
        StreamError::NoLoader { waited, detail }
    }

    fn troubles(&self, roster: &Roster) -> String {
        let names = self.name_troubles.values().cloned();
        let replicas = Some(roster.troubles()).filter(|text| !text.is_empty());
        names.chain(replicas).collect::<Vec<_>>().join("; ")
    }
}

impl Driver {
    /// A replica said what it is: it is compared, or waits for the choice.
    pub(crate) fn described(&mut self, now: Micros, replica: ReplicaKey, identity: Identity) {
        let Some(entry) = self.roster.get_mut(replica) else { return };
        entry.answered = true;
        if let Some(reason) = identity.cannot_serve(&self.config.spec) {
            let loader = entry.position.1.to_string();
            self.opening.refusal.get_or_insert((loader, reason.clone()));
            return self.roster.refuse(now, replica, reason);
        }
        if self.opening.expected.is_some() {
            return self.judge(now, replica, identity);
        }
        self.opening.candidates.insert(entry.position.clone(), (replica, identity));
        let latest = now + u64::try_from(self.config.tuning.choose_within.as_micros()).unwrap_or(u64::MAX);
        self.opening.decide_at.get_or_insert(latest);
    }

    /// Chooses what the stream reads, when everybody was heard or the time is up.
    pub(crate) fn decide(&mut self, now: Micros) {
        if self.opening.expected.is_some() {
            return;
        }
        let late = self.opening.decide_at.is_some_and(|at| at <= now);
        if !late && !self.opening.all_answered(&self.roster) {
            return;
        }
        let candidates = std::mem::take(&mut self.opening.candidates);
        self.opening.decide_at = None;
        let Some((_, (_, first))) = candidates.first_key_value() else { return };
        self.opening.expected = Some(first.expected());
        for (replica, identity) in candidates.into_values() {
            self.judge(now, replica, identity);
        }
    }

    fn judge(&mut self, now: Micros, replica: ReplicaKey, identity: Identity) {
        let Some(expected) = &self.opening.expected else { return };
        let difference = identity.differs_from(expected);
        let Some(entry) = self.roster.get_mut(replica) else { return };
        entry.mismatched = difference.is_some();
        if let Some(reason) = difference {
            return self.roster.refuse(now, replica, reason);
        }
        if let Some(running) = &entry.running {
            running.mailbox.accept();
        }
        self.opening.accepted.insert(replica, identity);
    }

    /// The loader did not accept the spec.
    pub(crate) fn spec_refused(&mut self, replica: ReplicaKey, message: &str) {
        if let Some(entry) = self.roster.get(replica) {
            let loader = entry.position.1.to_string();
            self.opening.refusal.get_or_insert((loader, message.to_owned()));
        }
    }

    /// A replica's stream is open: it gets work.
    pub(crate) fn opened(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        geometry: &Arc<Geometry>,
        window_batches: u32,
    ) {
        let Some(identity) = self.opening.accepted.remove(&replica) else { return };
        if let Some(reference) = &self.opening.geometry
            && reference != geometry
        {
            let reason = "its epochs have another shape than those of the first loader".to_owned();
            return self.roster.refuse(now, replica, reason);
        }
        if self.roster.get(replica).is_some_and(|entry| !entry.seen) {
            self.counters.replicas_seen.fetch_add(1, Relaxed);
        }
        self.roster.opened(replica, &identity.release, identity.workers);
        self.counters.replicas_serving.store(self.roster.serving() as u64, Relaxed);
        let tuning = &self.config.tuning;
        let batch_bytes = geometry.batch_bytes().max(1);
        let scheduler = self.scheduler.get_or_insert_with(|| {
            let end = match self.config.end {
                StreamEnd::Epoch(epoch) => epoch.saturating_mul(geometry.epochs.batches()),
                StreamEnd::Batch(end) => end,
                StreamEnd::Never => u64::MAX,
            };
            Scheduler::new(Bounds {
                start: self.config.start,
                end: end.max(self.config.start),
                window: (tuning.window_bytes / batch_bytes).min(tuning.window_batches).max(2),
                hedge: tuning.hedge,
                audit_every: tuning.audit_every,
                changed_for: micros(tuning.changed_for.min(self.config.loader_timeout)),
            })
        });
        // The scheduler may go a little beyond its limit when the head of the line depends on it.
        let most = u64::from(identity.max_wanted.min(mixfeed_proto::limits::MAX_WANTED)).saturating_sub(2);
        let limit = (u64::from(window_batches) * CREDITS_PER_BATCH)
            .min(tuning.replica_bytes / batch_bytes)
            .min(most)
            .max(1);
        scheduler.join(now, replica, limit as usize);
        self.grant_time(now);
        self.opening.geometry.get_or_insert_with(|| geometry.clone());
        if let Some(reply) = self.reply.take() {
            let info = StreamInfo {
                image: geometry.image,
                samples_per_epoch: geometry.epochs.samples(),
                batches_per_epoch: geometry.epochs.batches(),
                algorithm_version: identity.algorithm_version,
                algorithm_fingerprint: identity.algorithm_fingerprint,
                dataset: identity.dataset,
            };
            let _ = reply.send(Ok(info));
        }
    }
}
