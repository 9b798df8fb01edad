//! Which replica is expected to deliver next, found without looking at all of them.
//!
//! The expectation of an idle replica moves with the clock, that of a busy one stands still until
//! it is overdue. Idle ones are therefore ordered by what an answer takes them, busy ones by when
//! they are expected, and an overdue one is put back with a later expectation when it is met.

use super::words::{Micros, ReplicaKey};
use std::collections::{BTreeMap, BTreeSet};

/// Where one replica stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rank {
    /// Owes nothing; answers within this time.
    Idle(Micros),
    /// Owes something and may be asked for more; expected at this time.
    Busy(Micros),
    /// Owes as much as it may; would be expected at this time.
    Full(Micros),
}

#[derive(Debug, Default)]
pub(super) struct Ranks {
    idle: BTreeSet<(Micros, ReplicaKey)>,
    busy: BTreeSet<(Micros, ReplicaKey)>,
    full: BTreeSet<(Micros, ReplicaKey)>,
    places: BTreeMap<ReplicaKey, Rank>,
}

impl Ranks {
    /// Puts `replica` in its place; `None` takes it out.
    pub(super) fn place(&mut self, replica: ReplicaKey, rank: Option<Rank>) {
        let old = match rank {
            Some(rank) => self.places.insert(replica, rank),
            None => self.places.remove(&replica),
        };
        if old == rank {
            return;
        }
        for (rank, insert) in [(old, false), (rank, true)] {
            let (set, key) = match rank {
                Some(Rank::Idle(key)) => (&mut self.idle, key),
                Some(Rank::Busy(key)) => (&mut self.busy, key),
                Some(Rank::Full(key)) => (&mut self.full, key),
                None => continue,
            };
            if insert {
                set.insert((key, replica));
            } else {
                set.remove(&(key, replica));
            }
        }
    }

    /// The idle or busy replica that would deliver first, by what was noted of it.
    pub(super) fn first_free(&self, now: Micros) -> Option<(Micros, ReplicaKey)> {
        let idle = self.idle.first().map(|(service, replica)| (now + service, *replica));
        earlier(idle, self.busy.first().copied())
    }

    /// A replica whose noted time has passed, if there is one.
    pub(super) fn first_overdue(&self, now: Micros) -> Option<ReplicaKey> {
        let overdue = |set: &BTreeSet<(Micros, ReplicaKey)>| {
            set.first().filter(|(at, _)| *at < now).map(|(_, key)| *key)
        };
        overdue(&self.busy).or_else(|| overdue(&self.full))
    }

    /// Replicas that owe nothing, the fastest first.
    pub(super) fn idle(&self) -> impl Iterator<Item = ReplicaKey> + '_ {
        self.idle.iter().map(|(_, replica)| *replica)
    }

    /// The replicas in the order in which they would deliver, full ones too, by what was noted.
    pub(super) fn in_order(&self, now: Micros) -> impl Iterator<Item = ReplicaKey> + '_ {
        let mut idle = self.idle.iter().map(move |(service, replica)| (now + service, *replica)).peekable();
        let mut busy = self.busy.iter().copied().peekable();
        let mut full = self.full.iter().copied().peekable();
        std::iter::from_fn(move || {
            let best = earlier(earlier(idle.peek().copied(), busy.peek().copied()), full.peek().copied())?;
            if idle.peek() == Some(&best) {
                idle.next()
            } else if busy.peek() == Some(&best) {
                busy.next()
            } else {
                full.next()
            }
            .map(|(_, replica)| replica)
        })
    }
}

fn earlier(a: Option<(Micros, ReplicaKey)>, b: Option<(Micros, ReplicaKey)>) -> Option<(Micros, ReplicaKey)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
