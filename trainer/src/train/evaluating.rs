//! When the model of a training is evaluated, and on what.

use super::{Run, TrainingJob};
use crate::error::TrainError;
use crate::evaluate::{Evaluation, Scores, TestImages, WHOLE, evaluate};
use crate::learn::ema::Ema;
use crate::learn::model::Model;
use crate::peers::{GroupError, Peers};
use crate::run::observer::{Evaluating, Observer};

/// The scores of all parts, each of which one trainer of a group has, and the loaders that were convicted meanwhile. Numbers
/// travel as their bits, and are added up as by one trainer.
fn joined(peers: &Peers, own: &Scores, convicted: usize) -> Result<(Scores, usize), GroupError> {
    let mut row = vec![0; own.of as usize * 2];
    for (place, score) in (own.first as usize * 2..).zip(own.batches.as_flattened()) {
        row[place] = score.to_bits().cast_signed();
    }
    row.extend([own.images.cast_signed(), convicted as i64]);
    let row = peers.join(&row)?;
    let (scores, counts) = row.split_at(row.len() - 2);
    let score = |bits: &[i64]| [bits[0], bits[1]].map(|bits| f64::from_bits(bits.cast_unsigned()));
    let batches = scores.chunks_exact(2).map(score).collect();
    Ok((Scores { first: 0, of: own.of, batches, images: counts[0].cast_unsigned() }, counts[1] as usize))
}

impl Run<'_> {
    pub(super) fn evaluate(&self, observer: &mut dyn Observer) -> Result<Evaluation, TrainError> {
        let TrainingJob { loaders, stop, config, .. } = *self.job;
        let training_rows = config.training.stream.batch_size;
        let (stream, output, limit) = (&self.info, config.training.stream.output, config.test_limit);
        let peers = self.job.peers;
        let part = peers.map_or(WHOLE, |peers| (peers.rank(), peers.world()));
        let images = TestImages { loaders, stream, output, training_rows, limit, part };
        let loss = config.training.recipe.loss;
        let stop = stop.of_signals_only();
        loop {
            let known = loaders.history().convicted().len();
            let mut tell = |evaluating: &Evaluating| observer.evaluating(evaluating);
            let scores = evaluate(self.judged(), &self.stager, images, loss, &stop, &mut tell)?;
            let convicted = loaders.history().convicted().len() - known;
            let (scores, convicted) = match peers {
                Some(peers) => joined(peers, &scores, convicted)?,
                None => (scores, convicted),
            };
            if convicted == 0 {
                return Ok(scores.total());
            }
            tracing::warn!(
                "a loader was found to be wrong during the evaluation, which is done again without it"
            );
        }
    }

    /// Whether the model is evaluated after so many steps, which end an epoch or training.
    pub(super) fn evaluates_at(&self, steps: u64) -> bool {
        let every = self.job.config.evaluate_every.saturating_mul(self.info.batches_per_epoch);
        steps.is_multiple_of(every) || steps == self.end
    }

    /// Evaluations from the first to the last step, and those of them after so many steps.
    pub(super) fn evaluations(&self) -> (u64, u64) {
        let every = self.job.config.evaluate_every.saturating_mul(self.info.batches_per_epoch);
        let all = self.end.div_ceil(every);
        // That of an epoch which nobody has written down yet is to be done, again or at last.
        let is_pending = self.is_epoch_over() && self.position.is_multiple_of(every);
        (all, all.saturating_sub(self.position / every - u64::from(is_pending)))
    }

    /// The model that is evaluated and kept: the average where there is one.
    pub(super) fn judged(&self) -> &dyn Model {
        self.ema.as_ref().map_or(&*self.model, Ema::model)
    }
}
