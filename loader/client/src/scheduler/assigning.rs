//! Which replica is asked for which index.

use super::Scheduler;
use super::hedging::NEAR_PART;
use super::slot::Slot;
use super::words::{Action, Micros, ReplicaKey};

/// The window is this many times what all replicas together may owe: one part on the way, one part that
/// waits for its turn behind a slower one.
const WINDOW_PER_CREDIT: u64 = 2;

/// Replicas tried in one round for an index that suits them, before the round ends.
const TRIES: usize = 8;

impl<T> Scheduler<T> {
    /// First index that may not be asked for yet.
    pub(super) fn window_end(&self) -> u64 {
        let window = (self.fleet.total_limit() * WINDOW_PER_CREDIT).max(2).min(self.bounds.window.max(1));
        self.next_due.saturating_add(window).min(self.bounds.end)
    }

    /// Gives replicas with room what is wanted, while there is both.
    pub(super) fn assign(&mut self, now: Micros) {
        let window_end = self.window_end();
        let window = window_end - self.next_due;
        self.fleet.set_window(window, self.consumer.rate());
        let mut passed = Vec::new();
        while passed.len() < TRIES && (!self.needs.is_empty() || self.frontier < window_end) {
            let Some((replica, eta)) = self.fleet.first_free(now) else { break };
            match self.choose(replica, eta.saturating_sub(now), window_end) {
                Some(index) => self.ask(now, replica, index),
                None => {
                    self.fleet.set_aside(replica);
                    passed.push(replica);
                }
            }
        }
        for replica in passed {
            self.fleet.put_back(now, replica);
        }
        self.assign_head(now, window_end);
    }

    /// The index that suits `replica`, which would deliver it in `takes` microseconds.
    fn choose(&mut self, replica: ReplicaKey, takes: Micros, window_end: u64) -> Option<u64> {
        let lowest = self.needs.first().copied().unwrap_or(self.frontier);
        let reaches = self.next_due.saturating_add((takes as f64 * self.fleet.line_rate()) as u64);
        let ahead = lowest - self.next_due;
        if !self.fleet.is_slow(replica) || reaches - self.next_due <= 2 * ahead {
            return self.first_open(replica, lowest, window_end);
        }
        if let Some(index) = self.first_open(replica, reaches, window_end) {
            return Some(index);
        }
        // Nothing in the window is due late enough. The last one does least harm, and keeps the replica's
        // pace known; at the end of the stream, others have it sooner.
        let idle = self.fleet.owes(replica) == 0;
        (idle && self.frontier < window_end && window_end < self.bounds.end).then(|| window_end - 1)
    }

    /// The first index from `from` on that `replica` can be asked for.
    fn first_open(&self, replica: ReplicaKey, from: u64, window_end: u64) -> Option<u64> {
        let near = (window_end - self.next_due) / NEAR_PART;
        let open = |index: &&u64| {
            let offset = **index - self.next_due;
            self.slots.get(offset as usize).is_some_and(|slot| slot.suits(replica, offset <= near))
        };
        let needed = self.needs.range(from..).take(TRIES).find(open).copied();
        let fresh = from.max(self.frontier);
        needed.or((fresh < window_end).then_some(fresh))
    }

    pub(super) fn ask(&mut self, now: Micros, replica: ReplicaKey, index: u64) {
        while self.frontier <= index {
            self.slots.push_back(Slot::new(self.required(self.frontier)));
            self.needs.insert(self.frontier);
            self.frontier += 1;
        }
        let overdue_at = self.fleet.ask(now, replica, index);
        let partner = if self.audits(index) { self.partner(replica) } else { None };
        if let Some(slot) = self.slot(index) {
            if slot.owners.is_empty() && slot.votes.is_empty() {
                slot.partner = partner;
            }
            slot.owners.push(replica);
            if !slot.wants_owner() {
                self.needs.remove(&index);
            }
        }
        if self.bounds.hedge {
            self.hedging.asked(index, overdue_at);
        }
        self.actions.push_back(Action::Ask { replica, index });
    }

    /// The head of the line never waits for room: it is asked for at once if anyone can be asked.
    fn assign_head(&mut self, now: Micros, window_end: u64) {
        let head = self.next_due;
        if head >= window_end {
            return;
        }
        if let Some(slot) = self.slots.front_mut() {
            if !slot.wants_owner() || !slot.owners.is_empty() {
                return;
            }
            // When every replica said that it cannot, each may try again; a pause keeps this slow.
            // A second opinion is no reason to.
            if !slot.is_held() && !slot.unable.is_empty() && !self.fleet.keys().any(|key| slot.can_ask(key)) {
                slot.unable.clear();
            }
        }
        let slot = self.slots.front();
        let found = self.fleet.in_order(now).find(|key| slot.is_none_or(|slot| slot.can_ask(*key)));
        if let Some(replica) = found {
            self.ask(now, replica, head);
        }
    }
}
