//! What audits of the loaders came to, at the end of a training.

use crate::feed::Feed;
use crate::feed::loaders::Loaders;
use crate::report::table::count;
use mixfeed_client::{LoaderRecord, StreamStats, chance_to_find};
use serde::Serialize;

/// What audits of the loaders came to. Of a resumed run, by the last process.
#[derive(Clone, Debug, Serialize)]
pub struct AuditReport {
    /// Batches that two loaders made, and on which they agreed.
    pub audited: u64,
    /// Batches that should have been audited while there was no second loader, or none that answered in time.
    pub unaudited: u64,
    /// Batches about which loaders contradict each other, with nobody to decide.
    pub undecided: u64,
    /// Batches that were thrown away because they came from a loader that was found to be wrong.
    pub discarded: u64,
    /// The chance, 0 to 1, that a loader which makes 1 % of its batches wrong would have been found.
    pub chance_to_find_1_percent: f64,
    /// The same for 10 %.
    pub chance_to_find_10_percent: f64,
    /// Loaders that were found to be wrong, by this process or an earlier one.
    pub convicted: Vec<Convicted>,
}

/// A loader that was found to be wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Convicted {
    /// Its address.
    pub loader: String,
    /// What it did.
    pub reason: String,
    /// Batches from it alone that were trained on before it was found out.
    pub batches: u64,
    /// Index of the first of them.
    pub first: u64,
    /// Index of the last.
    pub last: u64,
}

impl AuditReport {
    /// None where no audit was asked for and nothing was found.
    pub(super) fn of(loaders: &Loaders, feed: &Feed) -> Option<Self> {
        let StreamStats { audited, unaudited, undecided, discarded, replicas_seen, .. } = feed.stats();
        let convicted = loaders.history().convicted();
        if loaders.audits_every() == 0 && undecided == 0 && convicted.is_empty() {
            return None;
        }
        // Each audit is one of two loaders.
        let each = 2 * audited / replicas_seen.max(1);
        Some(AuditReport {
            audited,
            unaudited,
            undecided,
            discarded,
            chance_to_find_1_percent: chance_to_find(0.01, each),
            chance_to_find_10_percent: chance_to_find(0.1, each),
            convicted: convicted.into_iter().map(Convicted::from).collect(),
        })
    }

    /// Says so in the log.
    pub(super) fn log(&self) {
        let AuditReport { audited, unaudited, undecided, discarded, .. } = self;
        if *audited == 0 && *undecided == 0 && self.convicted.is_empty() {
            tracing::warn!(
                unaudited,
                "audit compared nothing: no second loader answered in time, or there was none"
            );
            return;
        }
        let (one, ten) = (self.chance_to_find_1_percent, self.chance_to_find_10_percent);
        tracing::info!(
            audited,
            unaudited,
            undecided,
            discarded,
            chance_to_find_1_percent = one,
            chance_to_find_10_percent = ten,
            "audit: a loader that makes 1 % of its batches wrong would have been found with a chance of {:.0} %, one with 10 % of {:.0} %",
            100.0 * one,
            100.0 * ten
        );
        if *undecided > 0 {
            tracing::warn!(
                undecided,
                "loaders contradict each other: the answer of the one that --loaders names first was trained on"
            );
        }
        for Convicted { loader, reason, batches, first, last } in &self.convicted {
            if *batches == 0 {
                tracing::warn!(
                    loader,
                    reason,
                    "a loader was found to be wrong; nothing from it alone was trained on"
                );
            } else {
                tracing::warn!(
                    loader,
                    reason,
                    batches,
                    first,
                    last,
                    "a loader was found to be wrong: batches from it alone were trained on before"
                );
            }
        }
    }

    /// The same in a few words, for a table.
    #[must_use]
    pub fn summary(&self) -> String {
        let AuditReport { audited, undecided, convicted, .. } = self;
        let mut text = format!(
            "{} batches compared; a loader with 1 % wrong batches found with {:.0} %, with 10 % with {:.0} %",
            count(*audited),
            100.0 * self.chance_to_find_1_percent,
            100.0 * self.chance_to_find_10_percent
        );
        if *undecided > 0 {
            text += &format!("; {undecided} undecided");
        }
        for Convicted { loader, batches, first, last, .. } in convicted {
            text += &format!("; {loader} was wrong");
            if *batches > 0 {
                text += &format!(", {batches} of its batches trained on ({first} to {last})");
            }
        }
        text
    }
}

impl From<LoaderRecord> for Convicted {
    fn from(record: LoaderRecord) -> Self {
        let (batches, first, last) =
            (record.unconfirmed.batches, record.unconfirmed.first, record.unconfirmed.last);
        Convicted { loader: record.loader, reason: record.conviction, batches, first, last }
    }
}
