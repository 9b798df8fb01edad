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
mod audits;
mod failing;
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
pub(crate) use fleet::OVERDRAFT;
use pace::Consumer;
use slot::{Outcome, Slot, Verdict};
use std::collections::{BTreeSet, VecDeque};
pub(crate) use words::{
    Action, Bounds, Checksum, Delivered, Distrust, FailureKind, Lost, Micros, Progress, ReplicaKey, Taken,
    Tally, micros,
};

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
    audits: audits::Audits,
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
            audits: audits::Audits::default(),
            fleet: Fleet::default(),
            consumer: Consumer::default(),
            ready_at: None,
            hedging: hedging::Hedging::default(),
            actions: VecDeque::new(),
            tally: Tally::default(),
            bounds,
        }
    }

    /// A replica is ready to be asked; it may owe `limit` indices at a time, and is `known` to take so long for one, if
    /// it was met before.
    pub(crate) fn join(&mut self, now: Micros, replica: ReplicaKey, limit: usize, known: Option<Micros>) {
        self.leave(now, replica);
        self.fleet.join(now, replica, limit.max(1), known);
        self.update(now);
    }

    /// What a replica takes for one batch, as far as it is known.
    pub(crate) fn pace(&self, now: Micros, replica: ReplicaKey) -> Option<Micros> {
        self.fleet.pace(now, replica)
    }

    /// A replica is gone; what it owed is asked of others. Answers of it that come later are ignored.
    pub(crate) fn leave(&mut self, now: Micros, replica: ReplicaKey) {
        self.audits.leave(replica);
        for slot in &mut self.slots {
            slot.partner = slot.partner.filter(|partner| *partner != replica);
            slot.released.retain(|released| *released != replica);
        }
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
        checksum: Checksum,
        payload: T,
    ) -> Delivered {
        if !self.fleet.contains(replica) {
            return Delivered::Rejected;
        }
        if !self.fleet.deliver(now, replica, index) {
            self.distrust(replica, index, Distrust::Unasked);
            return Delivered::Rejected;
        }
        self.audits.delivered(replica);
        let delivered = if index < self.next_due {
            self.compare_with_remembered(replica, index, checksum)
        } else {
            self.count_vote(now, replica, index, checksum, payload)
        };
        self.update(now);
        delivered
    }

    fn compare_with_remembered(&mut self, replica: ReplicaKey, index: u64, checksum: Checksum) -> Delivered {
        let age = (self.next_due - 1 - index) as usize;
        self.tally.duplicate += 1;
        match self.audits.remembered(age) {
            Some((accepted, unconfirmed)) if accepted != checksum => {
                match unconfirmed {
                    Some(accepted) => self.contradicted_late(index, replica, accepted),
                    None => self.distrust(replica, index, Distrust::Differs),
                }
                Delivered::Rejected
            }
            Some(_) => {
                // A second opinion that was not waited for.
                self.tally.audited += u64::from(self.audits(index));
                Delivered::Duplicate
            }
            None => Delivered::Duplicate,
        }
    }

    fn count_vote(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        index: u64,
        checksum: Checksum,
        payload: T,
    ) -> Delivered {
        let (is_arbiter, audited) = (self.audits.is_arbiter(replica), self.audits(index));
        let Some(slot) = self.slot(index) else { return Delivered::Rejected };
        let verdict = slot.vote(replica, checksum, payload, is_arbiter);
        let votes = if slot.votes.len() > 1 { slot.votes.clone() } else { Vec::new() };
        self.audits.met(&votes);
        let Some(slot) = self.slot(index) else { return Delivered::Rejected };
        match verdict {
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
                let replicas = votes.into_iter().map(|(voter, _)| voter).collect();
                self.reopen(now, index);
                self.actions.push_back(Action::Disputed { index, replicas });
                self.ready_at = self.ready_at.filter(|_| self.is_ready());
                self.ask_arbiter(now, index);
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

    /// Hands out the next batch, if it is there.
    pub(crate) fn take(&mut self, now: Micros) -> Option<Result<Taken<T>, Lost>> {
        if !self.is_ready() {
            return None;
        }
        let slot = self.slots.pop_front()?;
        let index = self.next_due;
        let unconfirmed = slot.unconfirmed();
        let taken = match slot.outcome {
            Outcome::Done { checksum, payload } => {
                self.audits.remember(checksum, unconfirmed);
                Ok(Taken { index, payload, unconfirmed })
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
        [hedge, self.fleet.next_resume(), self.held_until()].into_iter().flatten().min()
    }

    /// The time has passed.
    pub(crate) fn poll(&mut self, now: Micros) {
        self.fleet.resume(now);
        self.update(now);
    }

    fn update(&mut self, now: Micros) {
        self.settle_head(now);
        if self.ready_at.is_none() && self.is_ready() {
            self.ready_at = Some(now);
        }
        self.assign(now);
        if self.bounds.hedge {
            self.relieve(now);
            self.hedge(now);
        }
    }

    fn slot(&mut self, index: u64) -> Option<&mut Slot<T>> {
        let offset = index.checked_sub(self.next_due)?;
        self.slots.get_mut(usize::try_from(offset).ok()?)
    }
}
