//! What the scheduler asks for, and what follows when it no longer trusts a replica.

use super::Driver;
use crate::audit::AuditPolicy;
use crate::error::StreamError;
use crate::mailbox::Mailbox;
use crate::scheduler::{Action, Distrust, Micros, ReplicaKey, Scheduler};

/// Lines about contradictions that are logged one by one.
const LOGGED: u64 = 10;

impl Driver {
    /// Carries out what the scheduler wants.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.scheduler.as_mut().and_then(Scheduler::next_action) {
            match action {
                Action::Ask { replica, index } => self.post(replica, |mailbox| mailbox.want(index)),
                Action::Withdraw { replica, index } => self.post(replica, |mailbox| mailbox.withdraw(index)),
                Action::Disputed { index, replicas } => self.disputed(index, &replicas),
                Action::Undecided { index, replicas, used } => self.undecided(index, &replicas, used),
                Action::Distrust { replica, index, why } => self.distrust(replica, index, why),
            }
        }
        if let Some(scheduler) = &self.scheduler {
            self.counters.publish(&scheduler.tally());
        }
    }

    fn post(&self, replica: ReplicaKey, order: impl FnOnce(&Mailbox)) {
        if let Some(running) = self.roster.get(replica).and_then(|entry| entry.running.as_ref()) {
            order(&running.mailbox);
        }
    }

    pub(super) fn names(&self, replicas: &[ReplicaKey]) -> Vec<String> {
        let name = |key: &ReplicaKey| self.roster.get(*key).map(|entry| entry.position.1.to_string());
        replicas.iter().filter_map(name).collect()
    }

    /// Loaders contradict each other and no other one can tell who is wrong.
    fn undecided(&mut self, index: u64, replicas: &[ReplicaKey], used: ReplicaKey) {
        let loaders = self.names(replicas);
        if self.config.tuning.audit_policy == AuditPolicy::Stop {
            self.verdict.get_or_insert(StreamError::Undecided { index, loaders });
            return;
        }
        if self.is_to_be_said() {
            let used = self.names(&[used]).concat();
            tracing::error!(index, ?loaders, used, "no further loader is there to decide");
        }
    }

    fn disputed(&mut self, index: u64, replicas: &[ReplicaKey]) {
        if self.is_to_be_said() {
            tracing::error!(index, loaders = ?self.names(replicas), "loaders contradict each other about a batch");
        }
    }

    /// Whether one more line about contradictions is logged; the last one says that no more are.
    fn is_to_be_said(&mut self) -> bool {
        self.contradictions += 1;
        if self.contradictions == LOGGED + 1 {
            tracing::error!("loaders contradict each other again and again: counted, not logged any more");
        }
        self.contradictions <= LOGGED
    }

    fn distrust(&mut self, replica: ReplicaKey, index: u64, why: Distrust) {
        let now = self.now();
        let reason = match why {
            Distrust::Unasked => format!("it sent batch {index}, which it was not asked for"),
            Distrust::Differs => format!("its batch {index} differs from that of other loaders"),
            Distrust::Failing => {
                let trouble = self.roster.get(replica).map_or("", |entry| &entry.trouble);
                format!("it fails to make batches: {trouble}")
            }
        };
        if why != Distrust::Failing {
            self.counters.count_corrupt();
        }
        // Wrong bytes under a right checksum are no accident on the way: that loader computes wrongly.
        let convicted = why == Distrust::Differs;
        self.roster.quarantine(now, replica, reason.clone(), convicted);
        self.left(now, replica);
        if convicted {
            self.convicted(now, replica, reason);
        }
    }

    /// What came from that replica alone is thrown away, or told where it was handed out.
    fn convicted(&mut self, now: Micros, replica: ReplicaKey, reason: String) {
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.discard(now, replica);
        }
        let Some(loader) = self.roster.get(replica).map(|entry| entry.position.1.to_string()) else { return };
        let unconfirmed = self.config.history.unconfirmed(&loader);
        if unconfirmed.batches > 0 {
            let (batches, first, last) = (unconfirmed.batches, unconfirmed.first, unconfirmed.last);
            tracing::error!(%loader, batches, first, last, "batches from this loader alone were handed out before");
        }
        if self.config.tuning.audit_policy == AuditPolicy::Stop {
            self.verdict.get_or_insert(StreamError::Convicted { loader, reason, unconfirmed });
        }
    }
}
