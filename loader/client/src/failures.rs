//! The log of batches that loaders could not make: each finding once, and no flood of them.
//!
//! The loader's own log has the same; whoever watches a training sees this one.

use crate::scheduler::Micros;
use std::collections::HashSet;
use std::fmt::Display;

/// Findings that are named within a [`PERIOD`].
const NAMED: usize = 20;

/// After this long, what still fails is named again.
const PERIOD: Micros = 600_000_000;

#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    /// What was named, by loader.
    named: HashSet<(String, String)>,
    /// Failures that were not, since the last line that told their number.
    unnamed: u64,
    began: Option<Micros>,
}

impl FailureLog {
    /// Notes that `loader` could not make a batch, and says so if that is news.
    pub(crate) fn report(&mut self, now: Micros, loader: &impl Display, index: u64, message: &str) {
        if self.began.is_none_or(|began| now - began >= PERIOD) {
            self.began = Some(now);
            self.named.clear();
            let batches = std::mem::take(&mut self.unnamed);
            if batches > 0 {
                tracing::warn!(batches, "further batches failed");
            }
        }
        let finding = (loader.to_string(), message.to_owned());
        if self.named.contains(&finding) {
            return;
        }
        if self.named.len() >= NAMED {
            if self.unnamed == 0 {
                tracing::warn!(%loader, "loaders fail many batches: further failures are counted, not logged one by one");
            }
            self.unnamed += 1;
            return;
        }
        tracing::warn!(%loader, index, reason = message, "loader failed to make a batch");
        self.named.insert(finding);
    }
}
