//! What is known of the replicas, for those who choose among them.

use super::Fleet;
use crate::scheduler::words::{Micros, ReplicaKey};

impl Fleet {
    /// What the replica takes from one delivery to the next: as measured, or as long as the first has been waited for.
    pub(in crate::scheduler) fn pace(&self, now: Micros, key: ReplicaKey) -> Option<Micros> {
        let replica = self.replicas.get(&key)?;
        let oldest = replica.owed.values().map(|asked| asked.at).min();
        let waited = oldest.map_or(0, |at| replica.pace.waited(now, at));
        let measured = replica.pace.measured();
        (measured.is_some() || waited > replica.pace.service()).then(|| waited.max(measured.unwrap_or(0)))
    }

    /// What a delivery takes from its request on, over all replicas, in microseconds; 0 while unknown.
    pub(in crate::scheduler) fn typical(&self) -> f64 {
        self.typical
    }

    pub(in crate::scheduler) fn is_paused(&self, key: ReplicaKey) -> bool {
        self.replicas.get(&key).is_some_and(|replica| replica.paused_until.is_some())
    }

    pub(in crate::scheduler) fn has_idle(&self) -> bool {
        self.ranks.idle().next().is_some()
    }

    /// What an idle replica takes for an answer, if that is known, of this stream or an earlier one.
    pub(in crate::scheduler) fn takes(&self, key: ReplicaKey) -> Option<Micros> {
        self.replicas.get(&key).filter(|replica| replica.rate > 0).map(|replica| replica.pace.service())
    }
}
