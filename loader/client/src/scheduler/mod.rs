//! Who is asked for which batch, and which batch is handed out next.
//!
//! The heart of the client, and a pure state machine: it reads no clock (the time is passed in, as
//! microseconds), holds no socket and starts no task, so that a test or a simulation can drive a
//! thousand replicas through a million batches. The driver feeds it what happened (a replica
//! joined, left, delivered, failed; the consumer took a batch) and carries out the [`Action`]s
//! that it queues.
//!
//! Batches may be asked for within a window that starts at the next one due. In that window
//! - an index goes to the replica expected to deliver it soonest; a replica much slower than the others
//!   is given one that is due later, so that it does its share and never holds up the line;
//! - a replica owes no more than it delivers while the line moves through the window, nor more than its
//!   limit;
//! - what a lost replica owed is asked of others first, lowest index first;
//! - near the head of the line, a late index is also asked of a second replica: the first valid
//!   answer wins and the other is withdrawn;
//! - answers that contradict each other are settled by a third.
//!
//! Deliberately not here: whether an answer is valid (`checks.rs`), and how long a replica stays
//! away (`roster.rs`).

mod assigning;
mod fleet;
mod hedging;
mod pace;
mod ranks;
mod slot;
mod words;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use fleet::Fleet;
use pace::Consumer;
use slot::{Outcome, Slot, Verdict};
use std::collections::{BTreeSet, VecDeque};
pub(crate) use words::{
    Action, Bounds, Delivered, Distrust, FailureKind, Lost, Micros, Progress, ReplicaKey, Tally, micros,
};

/// A batch that is handed out keeps its checksum for this many more, to be compared with duplicates.
const REMEMBERED: usize = 4096;

/// The state machine; `T` is what is handed out.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    bounds: Bounds,
    /// The slots of the indices from `next_due` to `frontier`.
    slots: VecDeque<Slot<T>>,
    next_due: u64,
    /// Indices below it have a slot.
    frontier: u64,
    /// Indices with a slot that one more replica should be asked for.
    needs: BTreeSet<u64>,
    /// Checksums of the last batches that were handed out.
    remembered: VecDeque<u64>,
    fleet: Fleet,
    consumer: Consumer,
    /// Since when the head can be handed out.
    ready_at: Option<Micros>,
    hedging: hedging::Hedging,
    actions: VecDeque<Action>,
    tally: Tally,
}

impl<T> Scheduler<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            slots: VecDeque::new(),
            next_due: bounds.start,
            frontier: bounds.start,
            needs: BTreeSet::new(),
            remembered: VecDeque::new(),
            fleet: Fleet::default(),
            consumer: Consumer::default(),
            ready_at: None,
            hedging: hedging::Hedging::default(),
            actions: VecDeque::new(),
            tally: Tally::default(),
            bounds,
        }
    }

    /// A replica is ready to be asked; it may owe `limit` indices at a time.
    pub(crate) fn join(&mut self, now: Micros, replica: ReplicaKey, limit: usize) {
        self.leave(now, replica);
        self.fleet.join(now, replica, limit.max(1));
        self.update(now);
    }

    /// A replica is gone; what it owed is asked of others. Answers of it that come later are ignored.
    pub(crate) fn leave(&mut self, now: Micros, replica: ReplicaKey) {
        for index in self.fleet.leave(replica) {
            let Some(slot) = self.slot(index) else { continue };
            slot.owners.retain(|owner| *owner != replica);
            if slot.wants_owner() {
                self.needs.insert(index);
                self.tally.reassigned += 1;
            }
        }
        self.update(now);
    }

    /// A replica delivered a valid batch.
    pub(crate) fn deliver(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        index: u64,
        checksum: u64,
        payload: T,
    ) -> Delivered {
        if !self.fleet.contains(replica) {
            return Delivered::Rejected;
        }
        if !self.fleet.deliver(now, replica, index) {
            self.distrust(replica, index, Distrust::Unasked);
            return Delivered::Rejected;
        }
        let delivered = if index < self.next_due {
            self.compare_with_remembered(replica, index, checksum)
        } else {
            self.count_vote(now, replica, index, checksum, payload)
        };
        self.update(now);
        delivered
    }

    fn compare_with_remembered(&mut self, replica: ReplicaKey, index: u64, checksum: u64) -> Delivered {
        let age = (self.next_due - 1 - index) as usize;
        self.tally.duplicate += 1;
        if self.remembered.get(age).is_some_and(|accepted| *accepted != checksum) {
            self.distrust(replica, index, Distrust::Differs);
            return Delivered::Rejected;
        }
        Delivered::Duplicate
    }

    fn count_vote(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        index: u64,
        checksum: u64,
        payload: T,
    ) -> Delivered {
        let Some(slot) = self.slot(index) else { return Delivered::Rejected };
        let audited = slot.required > 1;
        match slot.vote(replica, checksum, payload) {
            Verdict::Waiting => {
                if slot.wants_owner() {
                    self.needs.insert(index);
                }
                Delivered::Used
            }
            Verdict::Repeated => {
                if slot.wants_owner() {
                    self.needs.insert(index);
                }
                self.tally.duplicate += 1;
                Delivered::Duplicate
            }
            Verdict::Settled { wrong } => {
                self.tally.audited += u64::from(audited);
                self.close(now, index);
                let rejected = wrong.contains(&replica);
                for replica in wrong {
                    self.distrust(replica, index, Distrust::Differs);
                }
                if rejected { Delivered::Rejected } else { Delivered::Used }
            }
            Verdict::Wrong => {
                if slot.wants_owner() {
                    self.needs.insert(index);
                }
                self.distrust(replica, index, Distrust::Differs);
                Delivered::Rejected
            }
            Verdict::Disputed => {
                let replicas = slot.votes.iter().map(|(voter, _)| *voter).collect();
                if slot.wants_owner() {
                    self.needs.insert(index);
                }
                self.actions.push_back(Action::Disputed { index, replicas });
                Delivered::Used
            }
        }
    }

    /// The slot of `index` is settled: whoever still owes it need not deliver.
    fn close(&mut self, now: Micros, index: u64) {
        let Some(slot) = self.slot(index) else { return };
        let owners = std::mem::take(&mut slot.owners);
        self.needs.remove(&index);
        self.hedging.settled(index);
        for owner in owners {
            self.fleet.withdraw(now, owner, index);
            self.actions.push_back(Action::Withdraw { replica: owner, index });
        }
    }

    fn distrust(&mut self, replica: ReplicaKey, index: u64, why: Distrust) {
        self.actions.push_back(Action::Distrust { replica, index, why });
    }

    /// A replica says how far it is with a batch that it owes. True when it has got on since it last said so.
    pub(crate) fn progress(&mut self, now: Micros, replica: ReplicaKey, progress: Progress) -> bool {
        self.fleet.progress(now, replica, progress)
    }

    /// A replica says that it cannot make a batch.
    pub(crate) fn fail(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        index: u64,
        kind: FailureKind,
        message: String,
    ) {
        if !self.fleet.contains(replica) {
            return;
        }
        match self.fleet.fail(now, replica, index, kind) {
            fleet::Failed::Unasked => return self.distrust(replica, index, Distrust::Unasked),
            fleet::Failed::TooOften => self.distrust(replica, index, Distrust::Failing),
            fleet::Failed::Noted => {}
        }
        let all = self.fleet.keys().collect::<Vec<_>>();
        let changed_for = self.bounds.changed_for;
        if let Some(slot) = self.slot(index)
            && !slot.is_settled()
        {
            slot.owners.retain(|owner| *owner != replica);
            slot.unable.push(replica);
            match kind {
                FailureKind::DataLoss => {
                    // A second opinion is asked for once; the same finding, or nobody to ask, is the end of it.
                    let first = slot.damage.is_none();
                    let message = slot.damage.get_or_insert(message).clone();
                    let can_ask = !slot.owners.is_empty() || all.iter().any(|other| slot.can_ask(*other));
                    if slot.votes.is_empty() && (!first || !can_ask) {
                        slot.outcome = Outcome::Lost(Lost { index, message, changed: false });
                    }
                }
                FailureKind::Changed => {
                    // It may be put back, or be as it was elsewhere: only what everybody finds, and still finds
                    // after a time, is the end of it.
                    if now - *slot.changed_at.get_or_insert(now) >= changed_for {
                        slot.still_changed.push(replica);
                    }
                    if slot.votes.is_empty() && all.iter().all(|key| slot.still_changed.contains(key)) {
                        slot.outcome = Outcome::Lost(Lost { index, message, changed: true });
                    }
                }
                // Whoever can read it again delivers; until then the head of the line is asked for again and again.
                FailureKind::Unavailable | FailureKind::Internal => {}
            }
            if slot.is_settled() {
                self.close(now, index);
            } else if slot.wants_owner() {
                self.needs.insert(index);
            }
        }
        self.update(now);
    }

    /// Hands out the next batch, if it is there.
    pub(crate) fn take(&mut self, now: Micros) -> Option<Result<(u64, T), Lost>> {
        if !self.is_ready() {
            return None;
        }
        let slot = self.slots.pop_front()?;
        let index = self.next_due;
        let taken = match slot.outcome {
            Outcome::Done { checksum, payload } => {
                self.remembered.push_front(checksum);
                self.remembered.truncate(REMEMBERED);
                Ok((index, payload))
            }
            Outcome::Lost(lost) => Err(lost),
            Outcome::Open | Outcome::Held { .. } => unreachable!("a ready slot is settled"),
        };
        self.next_due += 1;
        self.consumer.take(now, self.ready_at.take().unwrap_or(now));
        self.update(now);
        Some(taken)
    }

    /// Whether `take` would hand out a batch.
    pub(crate) fn is_ready(&self) -> bool {
        self.slots.front().is_some_and(Slot::is_settled)
    }

    /// Whether every wanted batch was handed out.
    pub(crate) fn is_finished(&self) -> bool {
        self.next_due >= self.bounds.end
    }

    /// What is to be done now.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// When `poll` should be called at the latest.
    pub(crate) fn next_wakeup(&self) -> Option<Micros> {
        let hedge = self.bounds.hedge.then_some(self.hedging.check_at()).flatten();
        [hedge, self.fleet.next_resume()].into_iter().flatten().min()
    }

    /// The time has passed.
    pub(crate) fn poll(&mut self, now: Micros) {
        self.fleet.resume(now);
        self.update(now);
    }

    fn update(&mut self, now: Micros) {
        self.settle_head();
        if self.ready_at.is_none() && self.is_ready() {
            self.ready_at = Some(now);
        }
        self.assign(now);
        if self.bounds.hedge {
            self.hedge(now);
        }
    }

    /// Lets the head pass on one opinion, when no further replica can be asked for a second.
    fn settle_head(&mut self) {
        let Some(slot) = self.slots.front_mut() else { return };
        if !matches!(slot.outcome, Outcome::Held { .. }) || !slot.owners.is_empty() {
            return;
        }
        if self.fleet.keys().any(|key| slot.can_ask(key)) {
            return;
        }
        if slot.settle_alone() {
            self.tally.unaudited += 1;
            self.needs.remove(&self.next_due);
        }
    }

    fn slot(&mut self, index: u64) -> Option<&mut Slot<T>> {
        let offset = index.checked_sub(self.next_due)?;
        self.slots.get_mut(usize::try_from(offset).ok()?)
    }
}
