//! Watching and ending a training from another process: `TrainerService` of `trainer.proto`.
//!
//! The training tells a [`Served`] how it goes, as it tells every [`Observer`](crate::run::observer::Observer); a
//! thread of its own answers whoever asks. `mixfeed-trainer watch` and `stop` are at the other end
//! ([`Trainer`]). Callers prove themselves by a token or a certificate, where [`Access`] asks for one; a trainer that
//! listens beyond its own machine and asks for neither refuses to be stopped.

mod broadcast;
mod call;
mod serve;

pub(crate) use broadcast::Broadcast;
pub use call::Trainer;
pub use mixfeed_proto::v1::{
    EvaluationProgress, FinishedEpoch, TrainerState as State, TrainerStatus as Status,
};
pub use serve::Served;

use mixfeed_ops::address::BindError;
#[cfg(doc)]
use mixfeed_ops::grpc::Access;
use mixfeed_ops::grpc::SecurityError;

/// Why progress cannot be served or read.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A certificate, key or token cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The address is taken or not ours.
    #[error("--listen: {0}")]
    Bind(#[from] BindError),
    /// Nobody answers.
    #[error("no trainer answers at {address} ({problem}); was it started with --listen")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What went wrong.
        problem: String,
    },
    /// The trainer went away before it said how training ended.
    #[error("the connection to the trainer at {address} was lost: {problem}")]
    Lost {
        /// Who was asked.
        address: String,
        /// What went wrong.
        problem: String,
    },
    /// The trainer refuses.
    #[error("the trainer at {address} refuses: {reason}")]
    Refused {
        /// Who was asked.
        address: String,
        /// What it said.
        reason: String,
    },
}

impl RemoteError {
    /// Whether asking otherwise is the way out.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, RemoteError::Security(_) | RemoteError::Refused { .. })
    }
}
