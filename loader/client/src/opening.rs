//! How a stream begins: which dataset it reads, and which replicas may feed it.
//!
//! The first of the user's endpoints that can be had decides. To keep that from being a race, those that
//! have not answered are given a moment before the choice is made. After it, every replica that joins is
//! compared with the choice; one that differs is refused by name.

use crate::config::{Expected, StreamConfig, StreamEnd, Tuning};
use crate::error::StreamError;
use crate::geometry::Geometry;
use crate::history::LoaderHistory;
use crate::identity::Identity;
use crate::roster::{Condition, Position, Roster};
use crate::scheduler::{Bounds, Micros, OVERDRAFT, ReplicaKey, micros};
use mixfeed_proto::limits::MAX_WANTED;
use mixfeed_streamspec::StreamSpec;
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests that keep a loader busy, for each batch that it holds: one is being made, one waits.
const CREDITS_PER_BATCH: u64 = 2;

/// What is known of the stream as a whole.
#[derive(Debug)]
pub(crate) struct Opening {
    spec: StreamSpec,
    choose_within: Micros,
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
    /// The shape of the stream, by what the first replica said that was found to be as expected.
    geometry: Option<Geometry>,
    /// Whether a stream was opened.
    is_open: bool,
    /// What a loader said when it refused the spec.
    refusal: Option<(String, String)>,
    history: LoaderHistory,
}

impl Opening {
    pub(crate) fn new(names: usize, config: &StreamConfig) -> Self {
        Self {
            spec: config.spec,
            choose_within: micros(config.tuning.choose_within),
            given: config.expected.is_some(),
            expected: config.expected,
            candidates: BTreeMap::new(),
            decide_at: None,
            names_unanswered: names,
            name_troubles: BTreeMap::new(),
            names_answered: std::collections::BTreeSet::new(),
            accepted: BTreeMap::new(),
            geometry: None,
            is_open: false,
            refusal: None,
            history: config.history.clone(),
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
        // Loaders that served this run before may be themselves again in a moment.
        let all = !self.history.has_served()
            && roster.entries().count() > 0
            && roster.entries().all(|(_, entry)| mismatched(entry));
        all.then(|| StreamError::Mismatch { detail: self.troubles(roster) })
    }

    /// The error of a stream that nobody serves.
    pub(crate) fn nobody(&self, roster: &Roster, waited: Duration) -> StreamError {
        let detail = self.troubles(roster);
        if self.given && !self.is_open && roster.entries().any(|(_, entry)| entry.mismatched) {
            return StreamError::Mismatch { detail };
        }
        StreamError::NoLoader { waited, detail }
    }

    fn troubles(&self, roster: &Roster) -> String {
        let names = self.name_troubles.values().cloned();
        let replicas = Some(roster.troubles()).filter(|text| !text.is_empty());
        names.chain(replicas).collect::<Vec<_>>().join("; ")
    }

    /// A replica said what it is: it is compared, or waits for the choice.
    pub(crate) fn described(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        identity: Identity,
        roster: &mut Roster,
    ) {
        let Some(entry) = roster.get_mut(replica) else { return };
        entry.answered = true;
        let loader = entry.position.1.to_string();
        // What loaders of other data make of the spec tells nothing.
        let other_data =
            self.expected.is_some_and(|expected| expected.dataset_digest != identity.dataset.digest);
        if !other_data && let Some(reason) = identity.cannot_serve(&self.spec) {
            self.refusal.get_or_insert((loader, reason.clone()));
            return roster.refuse(now, replica, reason);
        }
        if self.expected.is_some() {
            return self.judge(now, replica, identity, roster);
        }
        self.candidates.insert(entry.position.clone(), (replica, identity));
        self.decide_at.get_or_insert(now + self.choose_within);
    }

    /// Chooses what the stream reads, when everybody was heard or the time is up.
    pub(crate) fn decide(&mut self, now: Micros, roster: &mut Roster) {
        if self.expected.is_some() {
            return;
        }
        let late = self.decide_at.is_some_and(|at| at <= now);
        if !late && !self.all_answered(roster) {
            return;
        }
        let candidates = std::mem::take(&mut self.candidates);
        self.decide_at = None;
        let Some((_, (_, first))) = candidates.first_key_value() else { return };
        self.expected = Some(first.expected());
        for (replica, identity) in candidates.into_values() {
            self.judge(now, replica, identity, roster);
        }
    }

    fn judge(&mut self, now: Micros, replica: ReplicaKey, identity: Identity, roster: &mut Roster) {
        let Some(expected) = &self.expected else { return };
        let geometry = identity.geometry(&self.spec).ok();
        let has_another = self.geometry.is_some() && self.geometry != geometry;
        let other_shape =
            has_another.then(|| "its epochs have another shape than those of the first loader".to_owned());
        let difference = identity.differs_from(expected).or(other_shape);
        let Some(entry) = roster.get_mut(replica) else { return };
        entry.mismatched = difference.is_some();
        if let Some(reason) = difference {
            return roster.refuse(now, replica, reason);
        }
        if !roster.recognised(now, replica, &identity.instance) {
            return;
        }
        self.geometry = geometry;
        let Some(entry) = roster.get_mut(replica) else { return };
        if let Some(running) = &entry.running {
            running.mailbox.accept();
        }
        self.accepted.insert(replica, identity);
    }

    /// The loader did not accept the spec.
    pub(crate) fn spec_refused(&mut self, replica: ReplicaKey, message: &str, roster: &Roster) {
        if let Some(entry) = roster.get(replica) {
            let loader = entry.position.1.to_string();
            self.refusal.get_or_insert((loader, message.to_owned()));
        }
    }

    /// A replica's stream is open. Returns what it said of itself, unless it turns out to be a process that is known already.
    pub(crate) fn opened(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        instance: &str,
        roster: &mut Roster,
    ) -> Option<Identity> {
        let identity = self.accepted.remove(&replica)?;
        if !instance.is_empty() && !roster.recognised(now, replica, instance) {
            return None;
        }
        self.is_open = true;
        Some(identity)
    }
}

/// The bounds of a stream of this shape.
pub(crate) fn bounds(config: &StreamConfig, geometry: &Geometry) -> Bounds {
    let tuning = &config.tuning;
    let end = match config.end {
        StreamEnd::Epoch(epoch) => epoch.saturating_mul(geometry.epochs.batches()),
        StreamEnd::Batch(end) => end,
        StreamEnd::Never => u64::MAX,
    };
    Bounds {
        start: config.start,
        end: end.max(config.start),
        window: (tuning.window_bytes / geometry.batch_bytes().max(1)).min(tuning.window_batches).max(2),
        hedge: tuning.hedge,
        audit_every: tuning.audit_every,
        audit_key: config.history.audit_key(),
        changed_for: micros(tuning.changed_for.min(config.loader_timeout)),
    }
}

/// Indices that a replica may owe at a time, whose window has so many batches.
pub(crate) fn max_owed(tuning: &Tuning, geometry: &Geometry, max_wanted: u32, window_batches: u32) -> usize {
    let max = u64::from(max_wanted.min(MAX_WANTED)).saturating_sub(OVERDRAFT as u64);
    let limit = (u64::from(window_batches) * CREDITS_PER_BATCH)
        .min(tuning.replica_bytes / geometry.batch_bytes().max(1))
        .min(max)
        .max(1);
    limit as usize
}
