//! What goes into the scheduler and what comes out.

use crate::audit::AuditKey;
use std::time::Duration;

/// Time in microseconds since the stream was opened.
pub(crate) type Micros = u64;

pub(crate) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// One replica, whether connected or not.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ReplicaKey(pub(crate) u32);

/// The bounds that the scheduler keeps.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// First index.
    pub(crate) start: u64,
    /// First index that is not wanted.
    pub(crate) end: u64,
    /// Indices that may be asked for or wait for their turn, at most.
    pub(crate) window: u64,
    /// Whether late batches are asked of a second replica.
    pub(crate) hedge: bool,
    /// One in so many batches is asked of two replicas; 0 for none.
    pub(crate) audit_every: u64,
    /// From which these are drawn.
    pub(crate) audit_key: AuditKey,
    /// How long every replica must find the data of a batch changed before it is given up.
    pub(crate) changed_for: Micros,
}

/// How far a replica is with the lowest of the batches that it is building.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) index: u64,
    /// Of `rows`, at most.
    pub(crate) rows_done: u32,
    pub(crate) rows: u32,
}

/// What the driver is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Ask the replica for the index.
    Ask { replica: ReplicaKey, index: u64 },
    /// Tell the replica that the index is no longer wanted.
    Withdraw { replica: ReplicaKey, index: u64 },
    /// Stop using the replica, and call `leave`.
    Distrust { replica: ReplicaKey, index: u64, why: Distrust },
    /// Two replicas contradict each other about the index; a third will be asked. For the log.
    Disputed { index: u64, replicas: Vec<ReplicaKey> },
    /// They do, and nobody is there to decide: the answer of `used` is handed out, or was.
    Undecided { index: u64, replicas: Vec<ReplicaKey>, used: ReplicaKey },
}

/// Why a replica is not to be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Distrust {
    /// It sent what it was not asked for.
    Unasked,
    /// Its valid-looking answer differs from that of two others, or of the arbiter.
    Differs,
    /// It failed again and again.
    Failing,
}

/// Why a replica could not make a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FailureKind {
    /// The data is damaged; others with the same data fail alike.
    DataLoss,
    /// The replica's data is not what it was when it started; others may still have it.
    Changed,
    /// The replica cannot read the data now; later it may, and others may at once.
    Unavailable,
    /// A fault of the replica.
    Internal,
}

/// A batch that cannot be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lost {
    pub(crate) index: u64,
    pub(crate) message: String,
    /// Whether the data has changed everywhere since the loaders started, rather than being damaged.
    pub(crate) changed: bool,
    /// Who says so.
    pub(crate) found_by: Vec<ReplicaKey>,
}

/// A batch that is handed out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Taken<T> {
    pub(crate) index: u64,
    pub(crate) payload: T,
    /// The replica that it came from, unless another one has vouched for it.
    pub(crate) unconfirmed: Option<ReplicaKey>,
}

/// What became of a batch that was delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Delivered {
    /// It is the one that will be handed out, or helps to decide which.
    Used,
    /// The same batch was there already.
    Duplicate,
    /// It must not be used.
    Rejected,
}

/// What happened so far, in batches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    pub(crate) reassigned: u64,
    pub(crate) hedged: u64,
    pub(crate) duplicate: u64,
    pub(crate) audited: u64,
    /// Batches that should have been audited while there was no second replica, or none in time.
    pub(crate) unaudited: u64,
    /// Batches about which replicas contradict each other, with nobody to decide.
    pub(crate) undecided: u64,
    /// Batches that were thrown away because the replica that they came from was found to be wrong.
    pub(crate) discarded: u64,
}

/// What two answers are compared by: the CRC-32 that came with the batch, or for an audited one the first half of its BLAKE3.
pub(crate) type Checksum = u128;
