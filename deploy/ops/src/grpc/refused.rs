//! How many connections were not taken, and why: one counter, whose label names the reason.

use super::greeting::Refusal;
use metrics::{Counter, counter, describe_counter};

/// Why a connection was not taken, in as few words as somebody who watches needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// All places are taken.
    Full,
    /// No HTTP/2 preface came before the deadline.
    Late,
    /// It closed before it said anything, as probes of ports do.
    Silent,
    /// It speaks something else.
    Protocol,
    /// The TLS handshake failed.
    Tls,
    /// It broke while it greeted.
    Lost,
    /// The process has no descriptors or memory for it. It waits and is taken later, or gives up.
    Accept,
}

/// Each reason's name, in the order of [`Reason`].
const NAMES: [&str; 7] = ["full", "late", "silent", "protocol", "tls", "lost", "accept"];

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Silent => Self::Silent,
            Refusal::Late => Self::Late,
            Refusal::Tls | Refusal::Foreign => Self::Protocol,
            Refusal::Handshake(_) => Self::Tls,
            Refusal::Lost(_) => Self::Lost,
        }
    }
}

/// Counts connections that were not taken. By default it counts for nobody.
#[derive(Clone, Debug)]
pub struct RefusedConnections([Counter; NAMES.len()]);

impl RefusedConnections {
    /// Counts in the counter `name`, whose label `reason` is one of `full`, `late`, `silent`, `protocol`,
    /// `tls`, `lost` and `accept`. All of them are there from now on. A recorder has to be installed before.
    #[must_use]
    pub fn counted_as(name: &'static str) -> Self {
        describe_counter!(name, "Connections that were not taken, by reason.");
        Self(NAMES.map(|reason| {
            let counter = counter!(name, "reason" => reason);
            counter.increment(0);
            counter
        }))
    }

    pub(super) fn count(&self, reason: Reason) {
        self.0[reason as usize].increment(1);
    }
}

impl Default for RefusedConnections {
    fn default() -> Self {
        Self(NAMES.map(|_| Counter::noop()))
    }
}
