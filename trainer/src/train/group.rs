//! What a training in a group does beside its own steps: shards shared out, sums over all, and looks at whether all trainers
//! still have the same weights. Alone, none of it happens.

use super::{Run, problem};
use crate::error::TrainError;
use crate::learn::shard_sum::ShardSum;
use crate::learn::weights;
use crate::machine::stop::StopCause;
use crate::peers::GroupError;
use std::ops::Range;

/// Steps between two comparisons of weights. A digest of a million weights takes two milliseconds.
const COMPARED_EVERY: u64 = 50;

impl Run<'_> {
    /// The virtual shards that this trainer computes.
    pub(super) fn own_shards(&self) -> Range<u32> {
        let shards = self.job.config.training.virtual_shards;
        let (rank, world) = self.job.peers.map_or((0, 1), |peers| (peers.rank(), peers.world()));
        shards / world * rank..shards / world * (rank + 1)
    }

    /// The sum over the shards of all trainers. What a caller wishes of one of them, all hear of here.
    ///
    /// # Errors
    /// When a trainer is lost.
    pub(super) fn over_all(&mut self, own: ShardSum) -> Result<ShardSum, TrainError> {
        let Some(peers) = self.job.peers else { return Ok(own) };
        let wish = i64::from(self.job.stop.requested() == Some(StopCause::Call));
        let (sum, wish) = peers.sum(own, wish)?;
        self.is_called_off = wish != 0;
        Ok(sum)
    }

    /// Makes sure, now and then, that all trainers have the same weights.
    ///
    /// # Errors
    /// When they have not, or one is lost.
    pub(super) fn compare_weights(&self) -> Result<(), TrainError> {
        match self.job.peers {
            Some(peers) if self.position.is_multiple_of(COMPARED_EVERY) || self.position == self.end => {
                let digest = weights::digest(self.model.parameters().all());
                match peers.contradicting(digest.bytes())? {
                    Some(ranks) => Err(GroupError::Contradiction { step: self.position, ranks }.into()),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that all trainers begin with the same weights, on the same data.
    ///
    /// # Errors
    /// When they do not, or one is lost.
    pub(super) fn is_alike(&self) -> Result<(), TrainError> {
        let Some(peers) = self.job.peers else { return Ok(()) };
        let text = |text: String| *blake3::hash(text.as_bytes()).as_bytes();
        for (what, digest) in [
            ("dataset (its digest)", self.info.dataset.digest),
            ("list of classes", self.info.dataset.classes_digest()),
            ("algorithm of the loaders (its fingerprint)", self.info.algorithm_fingerprint),
            (
                "size of images or of an epoch",
                text(format!("{:?} {}", problem(&self.info), self.info.batches_per_epoch)),
            ),
            ("position", text(format!("{} {}", self.position, self.end))),
            (
                "weights to begin with (--model, --init-from)",
                weights::digest(self.model.parameters().all()).bytes(),
            ),
        ] {
            if let Some(ranks) = peers.contradicting(digest)? {
                let text =
                    format!("{ranks} and rank 0 differ in the {what}: all trainers of a group need the same");
                let code = mixfeed_ops::exit::USAGE;
                return Err(GroupError::Refused { text, code }.into());
            }
        }
        Ok(())
    }
}
