//! Asking a second replica when the first is late and the line is about to wait for it.

use super::Scheduler;
use super::words::{Micros, ReplicaKey};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The part of the window in which a late index is asked for again: one in this many. What is behind it
/// has time. Replicas owe about half of the window, so that a second answer takes about as long as the line
/// through this part.
pub(super) const NEAR_PART: u64 = 2;

/// One in this many indices in flight may be asked for twice, so that a slow network is not answered with
/// twice the load.
const BUDGET_PART: usize = 8;

/// Hedges that are always allowed.
const LEAST_BUDGET: usize = 4;

/// Replicas that owe one index, at most, as long as each has other work.
const MOST_OWNERS: usize = 3;

/// The same when the further ones have nothing else to do. A replica that has stopped without a sign looks
/// idle and quick, so that several of them may be met in a row.
const MOST_IDLE_OWNERS: usize = 8;

/// Batches at the head that are looked at for relief, and how much sooner they would have to come.
const RELIEVED: usize = 8;
const WELL_BEFORE: Micros = 20_000;

/// Pause before looking again at an index that could not be asked of anyone else.
const RETRY: Micros = 20_000;

/// The longest such pause.
const LONGEST_RETRY: Micros = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Hedging {
    /// When each index that is owed is late, as far as was known when it was asked for.
    late: BinaryHeap<Reverse<(Micros, u64)>>,
    /// Indices that were asked for once more, and are not settled.
    hedged: BTreeSet<u64>,
}

impl Hedging {
    /// When something may be late.
    pub(super) fn check_at(&self) -> Option<Micros> {
        self.late.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn asked(&mut self, index: u64, late_at: Micros) {
        self.late.push(Reverse((late_at, index)));
    }

    pub(super) fn settled(&mut self, index: u64) {
        self.hedged.remove(&index);
    }
}

impl<T> Scheduler<T> {
    /// Asks again for what is overdue, of a replica that has nothing to do; and for what is late near the head
    /// of the line, of the one expected to deliver first.
    pub(super) fn hedge(&mut self, now: Micros) {
        let near = ((self.window_end() - self.next_due) / NEAR_PART).max(1);
        while let Some(Reverse((at, index))) = self.hedging.late.peek().copied() {
            let due = self.last_due(index);
            if at > now && due.is_some() {
                return;
            }
            self.hedging.late.pop();
            // A settled index is dropped here.
            let Some((overdue_at, late_at)) = due else { continue };
            if overdue_at > now {
                self.hedging.late.push(Reverse((overdue_at, index)));
                continue;
            }
            let offset = index - self.next_due;
            let asked =
                self.ask_idle(now, index) || (late_at <= now && offset < near && self.ask_busy(now, index));
            // An index that was asked for has a new time in the queue already.
            if !asked {
                let until_near = offset.saturating_sub(near) as f64 / self.fleet.line_rate().max(1e-9);
                let pause = (until_near as Micros).clamp(RETRY, LONGEST_RETRY);
                self.hedging.late.push(Reverse((now + pause, index)));
            }
        }
    }

    /// Asks replicas that have nothing else to do for batches near the head that they would deliver well before those who
    /// owe them: a slow replica that was there first must not hold up a short stream.
    pub(super) fn relieve(&mut self, now: Micros) {
        if self.frontier < self.window_end() || !self.needs.is_empty() || !self.fleet.has_idle() {
            return;
        }
        for offset in 0..RELIEVED.min(self.slots.len()) {
            let slot = &self.slots[offset];
            let index = self.next_due + offset as u64;
            let asked = slot.owners.iter().filter_map(|owner| self.fleet.asked(*owner, index));
            let Some(expected) = asked.map(|asked| asked.expected_at()).min() else { continue };
            let Some(replica) = self.fleet.first_idle(|key| slot.can_ask(key)) else { continue };
            let sooner =
                self.fleet.takes(replica).is_some_and(|takes| now + 2 * takes + WELL_BEFORE < expected);
            if sooner {
                self.ask_again(now, replica, index);
            }
        }
    }

    /// When the last of the replicas that owe `index` is overdue and late with it; `None` when that does not
    /// matter.
    fn last_due(&self, index: u64) -> Option<(Micros, Micros)> {
        let offset = index.checked_sub(self.next_due)?;
        let slot = self.slots.get(offset as usize)?;
        let asked = slot.owners.iter().filter_map(|owner| self.fleet.asked(*owner, index));
        asked.map(|asked| (asked.overdue_at, asked.late_at)).max()
    }

    /// Asks a replica that has nothing to do. It costs nobody anything but work that may be wasted.
    fn ask_idle(&mut self, now: Micros, index: u64) -> bool {
        let slot = &self.slots[(index - self.next_due) as usize];
        if slot.owners.len() >= MOST_IDLE_OWNERS {
            return false;
        }
        let Some(replica) = self.fleet.first_idle(|key| slot.can_ask(key)) else { return false };
        self.ask_again(now, replica, index);
        true
    }

    /// Asks the replica that is expected to deliver first, within the budget.
    fn ask_busy(&mut self, now: Micros, index: u64) -> bool {
        let slot = &self.slots[(index - self.next_due) as usize];
        let budget = LEAST_BUDGET.max(self.fleet.in_flight() / BUDGET_PART);
        if slot.owners.len() >= MOST_OWNERS || self.hedging.hedged.len() >= budget {
            return false;
        }
        let Some(replica) = self.fleet.in_order(now).take(2 * MOST_OWNERS).find(|key| slot.can_ask(*key))
        else {
            return false;
        };
        self.ask_again(now, replica, index);
        true
    }

    fn ask_again(&mut self, now: Micros, replica: ReplicaKey, index: u64) {
        self.ask(now, replica, index);
        self.hedging.hedged.insert(index);
        self.tally.hedged += 1;
    }
}
