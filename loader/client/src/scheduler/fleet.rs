//! The replicas that may be asked: what each owes, how much it may owe, how fast it is.

mod facts;

use super::pace::{Pace, PendingRequest, WARM};
use super::ranks::{Rank, Ranks};
use super::words::{FailureKind, Micros, Progress, ReplicaKey};
use std::collections::{BTreeMap, BTreeSet};

/// Indices a replica may owe before it delivered anything. Doubled by each delivery, so that a
/// newcomer of unknown speed cannot hold up much.
const FIRST_CREDITS: usize = 2;

/// The share of the window that one replica's debt may span, in the time that the line takes through
/// it. Below 1, so that a steady replica is not late.
const WINDOW_SHARE: f64 = 0.75;

/// A replica is slow when it takes this many times the mean.
const SLOW: f64 = 3.0;

/// Indices beyond its limit that a replica can be asked for when it matters.
pub(crate) const OVERDRAFT: usize = 2;

/// Withdrawn indices remembered of one replica: what may still come from it unasked.
const WITHDRAWN: usize = 4096;

/// Weight of one delivery in the mean over all replicas, and how far one may stand out.
const TYPICAL_WEIGHT: f64 = 1.0 / 64.0;
const TYPICAL_OUTLIER: f64 = 4.0;

/// Pause after a failure; doubled by each further one in a row.
const FAILURE_PAUSE: Micros = 100_000;

/// The pause of a replica that cannot read its data is doubled at most this often: 3.2 s, which is how late it is
/// noticed at most that it can again.
const LONGEST_ABSENCE: u32 = 5;

/// Failures in a row after which a replica is not used any more.
const MOST_FAILURES: u32 = 8;

#[derive(Debug)]
struct Replica {
    owed: BTreeMap<u64, PendingRequest>,
    withdrawn: BTreeSet<u64>,
    /// Withdrawn indices below it may be forgotten.
    forgotten: u64,
    limit: usize,
    pace: Pace,
    /// Batches a second, in thousandths; an integer, so that the sum over all never drifts.
    rate: u64,
    /// Faults of its own in a row.
    failures: u32,
    /// Pauses in a row because it cannot read its data.
    absences: u32,
    paused_until: Option<Micros>,
    set_aside: bool,
    /// Asked for nothing but what others contradict each other about.
    is_arbiter: bool,
}

/// What noting a failure came to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Failed {
    Noted,
    TooOften,
    Unasked,
}

#[derive(Debug, Default)]
pub(super) struct Fleet {
    replicas: BTreeMap<ReplicaKey, Replica>,
    ranks: Ranks,
    /// When paused replicas may be asked again.
    pauses: BTreeSet<(Micros, ReplicaKey)>,
    total_limit: u64,
    total_rate: u64,
    /// Replicas of known rate.
    rated: u64,
    window: u64,
    /// Batches a microsecond that leave the window, when it need not wait.
    taken_rate: f64,
    in_flight: usize,
    /// What a delivery takes from its request on, over all replicas: a running mean.
    typical: f64,
}

impl Fleet {
    pub(super) fn join(&mut self, now: Micros, key: ReplicaKey, limit: usize, known: Option<Micros>) {
        let replica = Replica {
            owed: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            forgotten: 0,
            limit,
            pace: Pace::new(now, known.map_or(self.typical, |known| known as f64)),
            rate: known.map_or(0, |known| 1_000_000_000 / known.max(1)),
            failures: 0,
            absences: 0,
            paused_until: None,
            set_aside: false,
            is_arbiter: false,
        };
        self.total_limit += limit as u64;
        self.total_rate += replica.rate;
        self.rated += u64::from(replica.rate > 0);
        self.replicas.insert(key, replica);
        self.rank(now, key);
    }

    /// One that is asked for what others contradict each other about, and for nothing else.
    pub(super) fn join_arbiter(&mut self, now: Micros, key: ReplicaKey) {
        self.join(now, key, 0, None);
        if let Some(replica) = self.replicas.get_mut(&key) {
            replica.is_arbiter = true;
        }
        self.rank(now, key);
    }

    /// Takes the replica out and returns what it owed, lowest first.
    pub(super) fn leave(&mut self, key: ReplicaKey) -> Vec<u64> {
        let Some(replica) = self.replicas.remove(&key) else { return Vec::new() };
        self.ranks.place(key, None);
        if let Some(until) = replica.paused_until {
            self.pauses.remove(&(until, key));
        }
        self.total_limit -= replica.limit as u64;
        self.total_rate -= replica.rate;
        self.rated -= u64::from(replica.rate > 0);
        self.in_flight -= replica.owed.len();
        replica.owed.into_keys().collect()
    }

    pub(super) fn contains(&self, key: ReplicaKey) -> bool {
        self.replicas.contains_key(&key)
    }

    /// All but the arbiter.
    pub(super) fn keys(&self) -> impl Iterator<Item = ReplicaKey> + '_ {
        self.replicas.iter().filter(|(_, replica)| !replica.is_arbiter).map(|(key, _)| *key)
    }

    pub(super) fn owes(&self, key: ReplicaKey) -> usize {
        self.replicas.get(&key).map_or(0, |replica| replica.owed.len())
    }

    /// Indices that are owed, by all together.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What all replicas together may owe.
    pub(super) fn total_limit(&self) -> u64 {
        self.total_limit
    }

    /// What is expected of `key` for `index`, if it owes it.
    pub(super) fn asked(&self, key: ReplicaKey, index: u64) -> Option<&PendingRequest> {
        self.replicas.get(&key)?.owed.get(&index)
    }

    /// The fastest replica with nothing to do that `fits`.
    pub(super) fn first_idle(&self, fits: impl Fn(ReplicaKey) -> bool) -> Option<ReplicaKey> {
        self.ranks.idle().find(|key| fits(*key))
    }

    /// Notes the window and how fast batches leave it.
    pub(super) fn set_window(&mut self, window: u64, taken_rate: f64) {
        self.window = window;
        self.taken_rate = taken_rate;
    }

    /// Batches a microsecond with which the line moves: what the replicas can do, or what the consumer takes
    /// when that is less.
    pub(super) fn line_rate(&self) -> f64 {
        (self.total_rate as f64 / 1e9).min(self.taken_rate)
    }

    /// Whether the replica is much slower than the others.
    pub(super) fn is_slow(&self, key: ReplicaKey) -> bool {
        let Some(replica) = self.replicas.get(&key) else { return false };
        self.rated > 1
            && replica.rate > 0
            && replica.rate as f64 * SLOW * (self.rated as f64) < self.total_rate as f64
    }

    pub(super) fn ask(&mut self, now: Micros, key: ReplicaKey, index: u64) -> Micros {
        let Some(replica) = self.replicas.get_mut(&key) else { return Micros::MAX };
        let asked = replica.pace.ask(now, replica.owed.len(), self.typical);
        replica.owed.insert(index, asked);
        self.in_flight += 1;
        self.rank(now, key);
        asked.overdue_at
    }

    /// Notes a delivery. False when the replica was not asked for it.
    pub(super) fn deliver(&mut self, now: Micros, key: ReplicaKey, index: u64) -> bool {
        let Some(replica) = self.replicas.get_mut(&key) else { return false };
        let asked = replica.owed.remove(&index);
        if let Some(asked) = &asked {
            self.in_flight -= 1;
            let took = (now - asked.at) as f64;
            let took = if replica.is_arbiter && self.typical > 0.0 { self.typical } else { took };
            self.typical += if self.typical > 0.0 {
                TYPICAL_WEIGHT * (took.min(TYPICAL_OUTLIER * self.typical) - self.typical)
            } else {
                took
            };
        } else if !replica.withdrawn.remove(&index) && index >= replica.forgotten {
            return false;
        }
        (replica.failures, replica.absences) = (0, 0);
        replica.pace.deliver(now, asked, replica.owed.len());
        if replica.pace.is_known() && !replica.is_arbiter {
            let rate = (1e9 / replica.pace.interval()).max(1.0) as u64;
            self.rated += u64::from(replica.rate == 0);
            self.total_rate = self.total_rate - replica.rate + rate;
            replica.rate = rate;
        }
        self.rank(now, key);
        true
    }

    /// Notes how far the replica is. True when it has got on with what it owes since it last said so.
    pub(super) fn progress(&mut self, now: Micros, key: ReplicaKey, progress: Progress) -> bool {
        let Some(replica) = self.replicas.get_mut(&key) else { return false };
        let Some(asked) = replica.owed.get_mut(&progress.index) else { return false };
        if !asked.has_got_on(progress.rows_done) {
            return false;
        }
        if self.typical == 0.0 {
            let share_done = f64::from(progress.rows_done) / f64::from(progress.rows);
            let owed = replica.owed.range_mut(progress.index..).map(|(_, asked)| asked);
            replica.pace.project(now, share_done, owed);
        }
        true
    }

    /// Notes that the replica no longer needs to deliver `index`, though it still may.
    pub(super) fn withdraw(&mut self, now: Micros, key: ReplicaKey, index: u64) {
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        if replica.owed.remove(&index).is_none() {
            return;
        }
        self.in_flight -= 1;
        replica.withdrawn.insert(index);
        if replica.withdrawn.len() > WITHDRAWN
            && let Some(lowest) = replica.withdrawn.pop_first()
        {
            replica.forgotten = lowest + 1;
        }
        replica.pace.forgive(now, replica.owed.len());
        self.rank(now, key);
    }

    /// Notes a failure; `again` if the replica has found that before, and tells it once more.
    pub(super) fn fail(
        &mut self,
        now: Micros,
        key: ReplicaKey,
        index: u64,
        kind: FailureKind,
        again: bool,
    ) -> Failed {
        let Some(replica) = self.replicas.get_mut(&key) else { return Failed::Noted };
        if replica.owed.remove(&index).is_some() {
            self.in_flight -= 1;
        } else if !replica.withdrawn.remove(&index) && index >= replica.forgotten {
            return Failed::Unasked;
        }
        replica.pace.forgive(now, replica.owed.len());
        let mut failed = Failed::Noted;
        let pause = match kind {
            FailureKind::DataLoss if !again => None,
            FailureKind::Internal => {
                replica.failures += 1;
                if replica.failures >= MOST_FAILURES {
                    failed = Failed::TooOften;
                }
                Some(FAILURE_PAUSE << (replica.failures - 1).min(6))
            }
            // What it was asked before the pause tells nothing new.
            _ if replica.paused_until.is_some() => None,
            FailureKind::DataLoss | FailureKind::Changed | FailureKind::Unavailable => {
                replica.absences += 1;
                Some(FAILURE_PAUSE << (replica.absences - 1).min(LONGEST_ABSENCE))
            }
        };
        if let Some(pause) = pause {
            let until = now + pause;
            if let Some(old) = replica.paused_until.replace(until) {
                self.pauses.remove(&(old, key));
            }
            self.pauses.insert((until, key));
        }
        self.rank(now, key);
        failed
    }

    pub(super) fn next_resume(&self) -> Option<Micros> {
        self.pauses.first().map(|(until, _)| *until)
    }

    /// Ends the pauses that are over.
    pub(super) fn resume(&mut self, now: Micros) {
        while let Some((until, key)) = self.pauses.first().copied()
            && until <= now
        {
            self.pauses.pop_first();
            if let Some(replica) = self.replicas.get_mut(&key) {
                replica.paused_until = None;
            }
            self.rank(now, key);
        }
    }

    /// The replica with room that is expected to deliver first, and when.
    pub(super) fn first_free(&mut self, now: Micros) -> Option<(ReplicaKey, Micros)> {
        loop {
            let (noted, key) = self.ranks.first_free(now)?;
            if noted >= now {
                return Some((key, self.replicas.get(&key)?.pace.eta(now)));
            }
            // It is overdue: it is put back with what is expected of it now, which is not before now.
            self.rank(now, key);
        }
    }

    /// All replicas that may be asked, the one expected to deliver first in front; those that owe too much are
    /// left out.
    pub(super) fn in_order(&mut self, now: Micros) -> impl Iterator<Item = ReplicaKey> + '_ {
        while let Some(key) = self.ranks.first_overdue(now) {
            self.rank(now, key);
        }
        self.ranks.in_order(now).filter(|key| {
            self.replicas.get(key).is_some_and(|replica| replica.owed.len() < replica.limit + OVERDRAFT)
        })
    }

    /// Leaves the replica out of `first_free` until it is put back.
    pub(super) fn set_aside(&mut self, key: ReplicaKey) {
        if let Some(replica) = self.replicas.get_mut(&key) {
            replica.set_aside = true;
        }
        self.ranks.place(key, None);
    }

    pub(super) fn put_back(&mut self, now: Micros, key: ReplicaKey) {
        if let Some(replica) = self.replicas.get_mut(&key) {
            replica.set_aside = false;
        }
        self.rank(now, key);
    }

    /// Indices that the replica may owe: what it delivers while the line moves through its share of the window.
    fn credits(&self, replica: &Replica) -> usize {
        if !replica.pace.is_known() {
            return (FIRST_CREDITS << replica.pace.deliveries().min(WARM)).min(replica.limit);
        }
        let line_rate = self.line_rate();
        if line_rate <= 0.0 {
            return replica.limit;
        }
        let line_time = WINDOW_SHARE * self.window as f64 / line_rate;
        ((line_time / replica.pace.interval()) as usize).clamp(1, replica.limit)
    }

    fn rank(&mut self, now: Micros, key: ReplicaKey) {
        let Some(replica) = self.replicas.get(&key) else { return };
        let rank = if replica.paused_until.is_some() || replica.set_aside || replica.is_arbiter {
            None
        } else if replica.owed.is_empty() {
            Some(Rank::Idle(replica.pace.service()))
        } else if replica.owed.len() < self.credits(replica) {
            Some(Rank::Busy(replica.pace.eta(now)))
        } else {
            Some(Rank::Full(replica.pace.eta(now)))
        };
        self.ranks.place(key, rank);
    }
}
