//! When the model of a training is evaluated, and on what.

use super::{Run, TrainingJob};
use crate::error::TrainError;
use crate::evaluate::{Evaluation, TestImages, evaluate};
use crate::learn::ema::Ema;
use crate::learn::model::Model;
use crate::run::observer::{Evaluating, Observer};

impl Run<'_> {
    pub(super) fn evaluate(&self, observer: &mut dyn Observer) -> Result<Evaluation, TrainError> {
        let TrainingJob { loaders, stop, config, .. } = *self.job;
        let training_rows = config.training.stream.batch_size;
        let (stream, output, limit) = (&self.info, config.training.stream.output, config.test_limit);
        let images = TestImages { loaders, stream, output, training_rows, limit };
        let loss = config.training.recipe.loss;
        let stop = stop.of_signals_only();
        loop {
            let known = loaders.history().convicted().len();
            let mut tell = |evaluating: &Evaluating| observer.evaluating(evaluating);
            let score = evaluate(self.judged(), &self.stager, images, loss, &stop, &mut tell)?;
            if loaders.history().convicted().len() == known {
                return Ok(score);
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
