//! What a stream has been through, for whoever reports it, and the names of its metrics.

use crate::scheduler::Tally;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What happened on a stream so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct StreamStats {
    /// Replicas that served this stream at any time.
    pub replicas_seen: u64,
    /// Replicas that serve it now.
    pub replicas_serving: u64,
    /// Batches handed out, and those that lie in front of the reader: as many as its queue holds, at most.
    pub batches: u64,
    /// Batches asked of another replica because the first was lost.
    pub reassigned: u64,
    /// Batches asked of a second replica because the first was late.
    pub hedged: u64,
    /// Batches that came twice and were equal.
    pub duplicate: u64,
    /// Batches that were refused: damaged, misshapen, not asked for, or unlike those of others.
    pub corrupt: u64,
    /// Batches that two replicas were asked for, and agreed on.
    pub audited: u64,
    /// Batches that should have been audited while there was no second replica, or none that answered in time.
    pub unaudited: u64,
    /// Batches about which replicas contradict each other, with nobody to decide.
    pub undecided: u64,
    /// Batches that were thrown away because they came from a replica that was found to be wrong.
    pub discarded: u64,
}

/// The shared numbers behind [`StreamStats`]; the driver writes, anyone reads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) replicas_seen: AtomicU64,
    pub(crate) replicas_serving: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) corrupt: AtomicU64,
    /// Turns of the driver's loop: few when there is nothing to do.
    pub(crate) turns: AtomicU64,
    /// Whether the stream came to an end that its driver meant.
    pub(crate) ended: AtomicBool,
    reassigned: AtomicU64,
    hedged: AtomicU64,
    duplicate: AtomicU64,
    audited: AtomicU64,
    unaudited: AtomicU64,
    undecided: AtomicU64,
    discarded: AtomicU64,
}

impl Counters {
    /// Takes over what the scheduler counted, and passes the growth on to the metrics.
    pub(crate) fn publish(&self, tally: &Tally) {
        for (counter, value, name) in [
            (&self.reassigned, tally.reassigned, Some(REASSIGNED)),
            (&self.hedged, tally.hedged, Some(HEDGED)),
            (&self.duplicate, tally.duplicate, Some(DUPLICATE)),
            (&self.audited, tally.audited, None),
            (&self.unaudited, tally.unaudited, None),
            (&self.undecided, tally.undecided, None),
            (&self.discarded, tally.discarded, None),
        ] {
            let growth = value - counter.swap(value, Ordering::Relaxed);
            if let Some(name) = name
                && growth > 0
            {
                metrics::counter!(name).increment(growth);
            }
        }
    }

    pub(crate) fn count_corrupt(&self) {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(CORRUPT).increment(1);
    }

    pub(crate) fn read(&self) -> StreamStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StreamStats {
            replicas_seen: load(&self.replicas_seen),
            replicas_serving: load(&self.replicas_serving),
            batches: load(&self.batches),
            reassigned: load(&self.reassigned),
            hedged: load(&self.hedged),
            duplicate: load(&self.duplicate),
            corrupt: load(&self.corrupt),
            audited: load(&self.audited),
            unaudited: load(&self.unaudited),
            undecided: load(&self.undecided),
            discarded: load(&self.discarded),
        }
    }
}

// The names of all metrics of the client.

/// Replicas, by state.
pub(crate) const REPLICAS: &str = "mixfeed_client_replicas";
const REASSIGNED: &str = "mixfeed_client_reassigned_batches_total";
const HEDGED: &str = "mixfeed_client_hedged_batches_total";
const DUPLICATE: &str = "mixfeed_client_duplicate_batches_total";
const CORRUPT: &str = "mixfeed_client_corrupt_batches_total";

/// Describes the metrics to the recorder and sets the counters to zero, so that they exist before anything happens.
pub(crate) fn describe() {
    metrics::describe_gauge!(REPLICAS, "Loader replicas known to the client, by state.");
    for (name, text) in [
        (REASSIGNED, "Batches asked of another replica because the first was lost."),
        (HEDGED, "Batches asked of a second replica because the first was late."),
        (DUPLICATE, "Batches that came twice and were equal."),
        (CORRUPT, "Batches refused as damaged, misshapen, not asked for or unlike those of others."),
    ] {
        metrics::describe_counter!(name, text);
        metrics::counter!(name).increment(0);
    }
}
