//! Batches that replicas say they cannot make.
//!
//! What is the matter with one replica, or for a moment, ends nothing: others are asked, and later the same ones again. Data
//! ends the stream only when every replica that can be asked has found it amiss twice, some time apart.

use super::slot::{Finding, Outcome};
use super::words::{Distrust, FailureKind, Lost, Micros, ReplicaKey};
use super::{Scheduler, fleet};

/// Damage must still be there after this long: what was read in a bad moment is right when it is read again.
const DAMAGED_FOR: Micros = 1_000_000;

impl<T> Scheduler<T> {
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
        let found_before =
            |finding: &Finding| finding.found_by.contains(&replica) && kind == FailureKind::DataLoss;
        let again = self.slot(index).and_then(|slot| slot.finding.as_ref()).is_some_and(found_before);
        match self.fleet.fail(now, replica, index, kind, again) {
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
            // Whoever can read it again delivers; until then the head of the line is asked for again and again.
            if matches!(kind, FailureKind::DataLoss | FailureKind::Changed) {
                let finding = slot.finding.get_or_insert_with(|| Finding {
                    changed: false,
                    message,
                    since: now,
                    found_by: Vec::new(),
                    still_found_by: Vec::new(),
                });
                finding.changed |= kind == FailureKind::Changed;
                if !finding.found_by.contains(&replica) {
                    finding.found_by.push(replica);
                }
                // What has changed may be put back, or be as it was elsewhere.
                let must_last = if finding.changed { changed_for } else { DAMAGED_FOR };
                if now - finding.since >= must_last {
                    finding.still_found_by.push(replica);
                }
                if slot.votes.is_empty() && all.iter().all(|key| finding.still_found_by.contains(key)) {
                    let Finding { changed, message, still_found_by: found_by, .. } = std::mem::take(finding);
                    slot.outcome = Outcome::Lost(Lost { index, message, changed, found_by });
                }
            }
            if slot.is_settled() {
                self.close(now, index);
            } else if slot.wants_owner() {
                self.needs.insert(index);
            }
        }
        self.update(now);
    }
}
