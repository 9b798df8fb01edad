//! Why a stream cannot go on.
//!
//! A lost, late or lying replica is no error here: the stream goes on with the others. What is
//! here ends the stream.

use crate::history::Unconfirmed;
use std::time::Duration;

/// Why a stream could not be opened, or ended before its end.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// No loader delivered anything in time. Trying again later could help.
    #[error("no loader delivered anything for {}: {detail}", seconds(.waited))]
    NoLoader {
        /// How long the stream waited.
        waited: Duration,
        /// The last that was heard of each loader.
        detail: String,
    },
    /// The loaders do not accept the spec. Trying again does not help.
    #[error("loader {loader} refuses the stream: {message}")]
    Refused {
        /// The loader that refused.
        loader: String,
        /// What the loader says is wrong.
        message: String,
    },
    /// Every loader serves other data, or computes otherwise, than what was expected.
    #[error("no loader serves what is expected: {detail}")]
    Mismatch {
        /// What differs, for each loader.
        detail: String,
    },
    /// A batch cannot be made because a record is damaged.
    #[error("batch {index} cannot be made: {message}; found by {}", some(.loaders))]
    DataLoss {
        /// The batch.
        index: u64,
        /// What and where, as the first of the loaders says.
        message: String,
        /// Who found it so, each of them twice.
        loaders: Vec<String>,
    },
    /// A batch cannot be made because no loader has the data any more that it started with.
    #[error("batch {index} cannot be made, as every loader has said for a time: {message}; found by {}", some(.loaders))]
    DataChanged {
        /// The batch.
        index: u64,
        /// What and where, as the first of the loaders says.
        message: String,
        /// Who found it so, each of them twice.
        loaders: Vec<String>,
    },
    /// A loader was found to be wrong, and the stream was to end then.
    #[error("loader {loader} was found to be wrong: {reason}{}", from_it(.unconfirmed))]
    Convicted {
        /// Where it was met.
        loader: String,
        /// What it did.
        reason: String,
        /// Batches for training from it alone that were handed out before.
        unconfirmed: Unconfirmed,
    },
    /// Loaders contradict each other, nobody can decide, and the stream was to end then.
    #[error("loaders contradict each other about batch {index}, and no further one is there to decide: {}", .loaders.join(", "))]
    Undecided {
        /// The batch.
        index: u64,
        /// Who contradicts whom.
        loaders: Vec<String>,
    },
    /// The stream was ended by an [`Interrupt`](crate::Interrupt).
    #[error("the stream was interrupted")]
    Interrupted,
    /// The settings of the stream make no sense.
    #[error("{0}")]
    Config(String),
    /// The client itself failed; this is a fault of this program.
    #[error("the loader client stopped unexpectedly: {0}")]
    Internal(String),
}

impl StreamError {
    /// Whether opening the stream again, with nothing changed, could help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoLoader { .. })
    }
}

fn from_it(unconfirmed: &Unconfirmed) -> String {
    let Unconfirmed { batches, first, last } = unconfirmed;
    match batches {
        0 => String::new(),
        _ => format!("; {batches} batches from it alone were handed out before, {first} to {last}"),
    }
}

/// A line has room for two.
fn some(loaders: &[String]) -> String {
    match loaders {
        [one, two, rest @ ..] if !rest.is_empty() => format!("{one}, {two} and {} more", rest.len()),
        few => few.join(" and "),
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Returns `error` with its causes in one line, each text once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
