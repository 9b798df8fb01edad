//! Batches that two replicas are asked for, and contradictions between replicas.
//!
//! An audit never makes the line stand still: a second opinion that does not come in time is done without, and where
//! nobody can decide a contradiction that is said at once.

use super::Scheduler;
use super::slot::{Alone, Slot};
use super::words::{Action, Checksum, Micros, ReplicaKey};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A batch that is handed out keeps its checksum for this many more, to be compared with duplicates.
const REMEMBERED: usize = 4096;

/// How long the head of the line waits for a second opinion, and how many times what a batch usually takes. A replica
/// that is stopped is found silent a little later.
const HELD: Micros = 2_000_000;
const HELD_TIMES: f64 = 8.0;

/// Times that the line waits for the opinion of one replica in vain.
const MOST_WAITS: u32 = 3;

/// What audits need to know beyond the slots.
#[derive(Debug, Default)]
pub(super) struct Audits {
    /// How often each two replicas were compared; the lower key first.
    meetings: BTreeMap<(ReplicaKey, ReplicaKey), u32>,
    /// How often each replica let the line wait for its opinion, and whether it has delivered nothing since. One that has not, or
    /// that did so [`MOST_WAITS`] times, is not waited for.
    waits: BTreeMap<ReplicaKey, (u32, bool)>,
    /// Replicas that were found to be wrong.
    convicted: BTreeSet<ReplicaKey>,
    /// Whether replicas may still come that could decide.
    awaits_more: bool,
    /// Since when the batch at the head waits for a second opinion.
    held: Option<(u64, Micros)>,
    /// A replica whose answer decides, and that is asked for nothing else.
    arbiter: Option<ReplicaKey>,
    /// Checksums of the last batches that were handed out, the last one first, and the replica that alone vouches for each.
    remembered: VecDeque<(Checksum, Option<ReplicaKey>)>,
}

impl Audits {
    pub(super) fn remember(&mut self, checksum: Checksum, unconfirmed: Option<ReplicaKey>) {
        self.remembered.push_front((checksum, unconfirmed));
        self.remembered.truncate(REMEMBERED);
    }

    /// What was handed out so many batches ago.
    pub(super) fn remembered(&self, age: usize) -> Option<(Checksum, Option<ReplicaKey>)> {
        self.remembered.get(age).copied()
    }

    pub(super) fn is_arbiter(&self, replica: ReplicaKey) -> bool {
        self.arbiter == Some(replica)
    }

    pub(super) fn delivered(&mut self, replica: ReplicaKey) {
        // What is counted stays counted; one that has delivered has its chance again.
        if let Some((_, is_owing)) = self.waits.get_mut(&replica) {
            *is_owing = false;
        }
    }

    pub(super) fn leave(&mut self, replica: ReplicaKey) {
        self.arbiter = self.arbiter.filter(|arbiter| *arbiter != replica);
    }

    fn waited_in_vain(&mut self, replica: ReplicaKey) {
        let (times, is_owing) = self.waits.entry(replica).or_default();
        (*times, *is_owing) = (*times + 1, true);
    }

    fn is_tardy(&self, replica: ReplicaKey) -> bool {
        self.waits.get(&replica).is_some_and(|(times, is_owing)| *is_owing || *times >= MOST_WAITS)
    }

    fn times_met(&self, one: ReplicaKey, other: ReplicaKey) -> u32 {
        self.meetings.get(&(one.min(other), one.max(other))).copied().unwrap_or(0)
    }

    /// Notes who was compared with whom.
    pub(super) fn met(&mut self, voters: &[(ReplicaKey, Checksum)]) {
        if let [others @ .., (last, _)] = voters {
            for (other, _) in others {
                *self.meetings.entry((*last.min(other), *last.max(other))).or_default() += 1;
            }
        }
    }
}

impl<T> Scheduler<T> {
    /// Whether two replicas are asked for this batch. Its checksum then is part of a BLAKE3.
    pub(crate) fn audits(&self, index: u64) -> bool {
        self.bounds.audit_key.draws(self.bounds.audit_every, index)
    }

    /// Answers that an index must have.
    pub(super) fn required(&self, index: u64) -> usize {
        if self.audits(index) { 2 } else { 1 }
    }

    /// A trusted replica, which is asked only to decide what others contradict each other about, and for a second opinion where
    /// nobody else can give one.
    pub(crate) fn join_arbiter(&mut self, now: Micros, replica: ReplicaKey) {
        self.leave(now, replica);
        self.fleet.join_arbiter(now, replica);
        self.audits.arbiter = Some(replica);
        for offset in 0..self.slots.len() as u64 {
            self.ask_arbiter(now, self.next_due + offset);
        }
        self.update(now);
    }

    /// Asks the arbiter about a batch that is disputed, or that nobody else has a second opinion of.
    pub(super) fn ask_arbiter(&mut self, now: Micros, index: u64) {
        let Some(arbiter) = self.audits.arbiter else { return };
        let Some(offset) = index.checked_sub(self.next_due) else { return };
        let Some(slot) = self.slots.get(offset as usize) else { return };
        let prompt =
            |key: ReplicaKey| self.is_prompt(key) && (slot.can_ask(key) || slot.owners.contains(&key));
        let needs_one = match slot.is_disputed() {
            true => slot.wants_owner(),
            false => slot.is_held() && !self.fleet.keys().any(prompt),
        };
        if needs_one && slot.can_ask(arbiter) {
            self.ask(now, arbiter, index);
        }
    }

    /// Whether replicas may still come that could give a second opinion, or decide a contradiction.
    pub(crate) fn awaits_more(&mut self, now: Micros, awaits_more: bool) {
        if std::mem::replace(&mut self.audits.awaits_more, awaits_more) && !awaits_more {
            self.update(now);
        }
    }

    /// The replica that is to give the second answer beside `first`: the one that it was compared with least often, so
    /// that each two meet, of those that can be waited for.
    pub(super) fn partner(&self, first: ReplicaKey) -> Option<ReplicaKey> {
        let others = self.fleet.keys().filter(|key| *key != first);
        let fit = others.filter(|key| self.is_prompt(*key));
        fit.min_by_key(|key| self.audits.times_met(first, *key))
    }

    /// Whether the line can wait for an opinion of this replica.
    fn is_prompt(&self, replica: ReplicaKey) -> bool {
        !self.audits.is_tardy(replica) && !self.fleet.is_slow(replica) && !self.fleet.is_paused(replica)
    }

    /// Whether the answer at the head is one of several that should be there.
    pub(crate) fn is_head_held(&self) -> bool {
        self.slots.front().is_some_and(Slot::is_held)
    }

    /// Until when the head waits for a further opinion. The arbiter is waited for: it is nearby, and it decides.
    pub(super) fn held_until(&self) -> Option<Micros> {
        let (_, since) = self.audits.held?;
        let asked_arbiter = |slot: &Slot<T>| slot.owners.iter().any(|owner| self.audits.is_arbiter(*owner));
        if self.slots.front().is_some_and(asked_arbiter) {
            return None;
        }
        Some(since + HELD.max((HELD_TIMES * self.fleet.typical()) as Micros))
    }

    /// Lets the head pass on what there is, when no further opinion can be had, or none comes in time.
    pub(super) fn settle_head(&mut self, now: Micros) {
        let head = self.next_due;
        if !self.is_head_held() {
            self.audits.held = None;
            return;
        }
        if self.audits.held.is_none_or(|(index, _)| index != head) {
            self.audits.held = Some((head, now));
        }
        self.ask_arbiter(now, head);
        let late = self.held_until().is_some_and(|until| until <= now);
        let Some(slot) = self.slots.front() else { return };
        let disputed = slot.is_disputed();
        let prompt = |key: ReplicaKey| self.audits.is_arbiter(key) || self.is_prompt(key);
        let owed = slot.owners.iter().any(|owner| disputed || prompt(*owner));
        let may_be_asked = self.fleet.keys().any(|key| slot.can_ask(key) && prompt(key));
        let may_come = self.audits.awaits_more;
        if !late && (owed || may_be_asked || may_come) {
            return;
        }
        if let Some(arbiter) = self.audits.arbiter
            && slot.can_ask(arbiter)
        {
            // Nearby, and worth more than an opinion that does not come.
            return self.ask(now, arbiter, head);
        }
        let Some(slot) = self.slots.front_mut() else { return };
        // What they still send is compared with what was handed out.
        let owners = std::mem::take(&mut slot.owners);
        if late {
            owners.iter().for_each(|owner| self.audits.waited_in_vain(*owner));
        }
        for owner in &owners {
            self.fleet.withdraw(now, *owner, head);
        }
        let Some(slot) = self.slots.front_mut() else { return };
        slot.released = owners;
        let voters: Vec<_> = slot.votes.iter().map(|(voter, _)| *voter).collect();
        match slot.settle_alone() {
            Some(Alone::Unaudited) => self.tally.unaudited += 1,
            Some(Alone::Undecided) => {
                if let Some(used) = slot.unconfirmed() {
                    self.undecided(head, voters, used);
                }
            }
            None => {}
        }
        self.close(now, head);
    }

    fn undecided(&mut self, index: u64, replicas: Vec<ReplicaKey>, used: ReplicaKey) {
        self.tally.undecided += 1;
        self.actions.push_back(Action::Undecided { index, replicas, used });
    }

    /// A replica's answer differs from what was handed out, for which `accepted` alone vouches.
    pub(super) fn contradicted_late(&mut self, index: u64, replica: ReplicaKey, accepted: ReplicaKey) {
        if self.audits.convicted.contains(&accepted) {
            return; // What came from that one alone was told when it was found out.
        }
        self.undecided(index, vec![accepted, replica], accepted);
    }

    /// Throws away what came from `replica` alone and was not handed out: it was found to be wrong.
    pub(crate) fn discard(&mut self, now: Micros, replica: ReplicaKey) {
        self.audits.convicted.insert(replica);
        for offset in 0..self.slots.len() {
            let index = self.next_due + offset as u64;
            let required = self.required(index);
            let slot = &mut self.slots[offset];
            if slot.discard(replica, required) {
                self.tally.discarded += 1;
                self.reopen(now, index);
            }
        }
        self.ready_at = self.ready_at.filter(|_| self.is_ready());
        self.update(now);
    }

    /// What was settled is open again: whoever was asked and has not answered is waited for anew, and not asked twice.
    pub(super) fn reopen(&mut self, now: Micros, index: u64) {
        self.audits.held = self.audits.held.filter(|(held, _)| *held != index);
        let Some(slot) = self.slot(index) else { return };
        let mut released = std::mem::take(&mut slot.released);
        released.retain(|replica| slot.can_ask(*replica));
        slot.owners.extend(&released);
        if slot.wants_owner() {
            self.needs.insert(index);
        }
        for replica in released {
            self.fleet.ask(now, replica, index);
        }
    }
}
