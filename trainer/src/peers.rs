//! The other trainers of a group, and what is said between them.
//!
//! They meet at a store (`meeting.rs`), where rank 0 tells which run it is and each says what it is about to do, so that ranks
//! that would not learn the same are refused before the first step. Then they are connected with one another, and a step adds
//! up what each has come to by recursive doubling (`messages.rs`): the ranks of a pair exchange their sums, then those of pairs
//! of pairs, and so on, the lower rank always on the left. That is the upper part of the tree over virtual shards, whose lower
//! part each rank has summed by itself.
//!
//! Not here: which of a group a process is ([`crate::group`]), and what a message means to a training ([`crate::train`]).

mod meeting;
mod messages;

pub use meeting::{Facts, Meeting};
pub use messages::Peers;

use crate::run::run_folder::RunFolderError;
use mixfeed_ops::exit;
use std::io;
use std::time::Duration;

/// Why a group does not come about, or is no more.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Rank 0 cannot serve the store.
    #[error(
        "cannot serve the group's store at {address}: {source}; choose another port, for all ranks (--group HOST:PORT, \
         MASTER_PORT)"
    )]
    Bind {
        /// Where.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store does not answer, or not everybody comes.
    #[error(
        "the group did not meet at {address} within {}s: {cause}; --group-timeout waits longer",
        timeout.as_secs_f64()
    )]
    NotMet {
        /// Where the store is.
        address: String,
        /// How long was waited.
        timeout: Duration,
        /// Who or what is missing.
        cause: String,
    },
    /// Two processes say that they are one rank.
    #[error("two trainers say that they are rank {0} of the group: each needs a --rank (RANK) of its own")]
    Twice(u32),
    /// The number of trainers does not fit.
    #[error(
        "a group of {world} does not divide --virtual-shards {shards}: start a number of trainers that does (1, 2, 4, …), or \
         begin a run with more virtual shards"
    )]
    World {
        /// Trainers.
        world: u32,
        /// Virtual shards of the run.
        shards: u32,
    },
    /// Two ranks would not do the same.
    #[error("rank {rank} has {what} {theirs}, rank 0 has {ours}: all trainers of a group need the same")]
    Differs {
        /// The other rank.
        rank: u32,
        /// What differs.
        what: String,
        /// The other rank's.
        theirs: String,
        /// Rank 0's.
        ours: String,
    },
    /// Another rank could not begin.
    #[error("rank {rank} ended before training began: {text}")]
    Ended {
        /// The other rank.
        rank: u32,
        /// What it said.
        text: String,
        /// The exit code that it meant.
        code: u8,
    },
    /// What rank 0 found of others.
    #[error("{text}")]
    Refused {
        /// What it said.
        text: String,
        /// The exit code that it meant.
        code: u8,
    },
    /// What another rank tells of the run cannot be read.
    #[error("rank 0 tells of a run that cannot be read: {0}")]
    Run(#[from] RunFolderError),
    /// A trainer is gone, or silent.
    #[error("the group was lost: {0}")]
    Lost(String),
    /// Ranks have other weights, which no step can have made.
    #[error("the group contradicts itself after step {step}: {ranks} has other weights than rank 0")]
    Contradiction {
        /// Steps that were done.
        step: u64,
        /// Who differs.
        ranks: String,
    },
}

impl GroupError {
    /// The exit code that it means.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            GroupError::Bind { .. } | GroupError::Run(_) => exit::FAILURE,
            GroupError::Twice(_) | GroupError::World { .. } | GroupError::Differs { .. } => exit::USAGE,
            GroupError::Ended { code, .. } | GroupError::Refused { code, .. } => *code,
            GroupError::NotMet { .. } | GroupError::Lost(_) => exit::GROUP_LOST,
            GroupError::Contradiction { .. } => exit::CONTRADICTION,
        }
    }
}
