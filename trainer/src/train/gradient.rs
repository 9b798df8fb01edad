//! The gradient of a step: of the whole batch at once, or as the sum over its virtual shards.
//!
//! Shards are cut as the spec cuts rows among several readers, each is scored by itself (batch normalisation sees no other
//! rows, dropout draws from a key of its own), and what comes of them is summed in one tree ([`ShardSum`]). The loss of a
//! shard counts by its share of the rows, so that the sum is the mean over the whole batch whatever its size; shards of a
//! short last batch may be empty. One shard is no shard: then the step is what it is without them, bit for bit.

use super::{Run, noise};
use crate::error::TrainError;
use crate::learn::loss::smooth;
use crate::learn::shard_sum::{Before, ShardSum, Tree};
use mixfeed_client::{Batch, Epochs, RowShard, StreamSpec};
use std::ops::Range;
use tch::Tensor;

impl Run<'_> {
    /// Collects the gradient of the mean loss over the global batch in the parameters, and brings the buffers up to date;
    /// gives that loss, a scalar on the device.
    ///
    /// # Errors
    /// When the trainers of a group lose each other; weights and buffers are then what they were before.
    pub(super) fn gradient(&mut self, batch: &Batch) -> Result<Tensor, TrainError> {
        let shards = self.job.config.training.virtual_shards;
        if shards == 1 {
            let loss = self.mean_loss(batch, 0..batch.rows, None);
            self.optimizer.backward(&loss);
            return Ok(loss);
        }
        let all = self.global_rows(batch.index) as f64;
        let own = self.own_shards();
        let first = self.rows_of(batch.index, own.start, shards).start;
        let before = Before::of(self.model.parameters());
        let mut tree = Tree::default();
        for shard in own {
            let Range { start, end } = self.rows_of(batch.index, shard, shards);
            if start == end {
                tree.add(None);
                continue;
            }
            before.restore(self.model.parameters());
            let weight = (end - start) as f64 / all;
            let rows = (start - first) as usize..(end - first) as usize;
            let loss = self.mean_loss(batch, rows, Some(shard)) * weight;
            self.optimizer.backward(&loss);
            tree.add(Some(ShardSum::of_shard(self.model.parameters(), &before, &loss, weight)));
        }
        let sum = tree.sum().expect("every trainer has a row of each batch");
        let sum = self.over_all(sum).inspect_err(|_| before.restore(self.model.parameters()))?;
        Ok(sum.take_effect(self.model.parameters(), &before))
    }

    /// Rows of the global batch at `index`.
    pub(super) fn global_rows(&self, index: u64) -> u64 {
        Epochs::new(&self.job.config.training.stream, self.info.samples_per_epoch).global_rows(index)
    }

    /// The rows of the global batch at `index` that are shard `rank` of `world`.
    fn rows_of(&self, index: u64, rank: u32, world: u32) -> Range<u64> {
        let spec = StreamSpec { shard: Some(RowShard { rank, world }), ..self.job.config.training.stream };
        Epochs::new(&spec, self.info.samples_per_epoch).shard_rows(index)
    }

    /// The mean loss of some rows, to learn from.
    fn mean_loss(&mut self, batch: &Batch, rows: Range<usize>, shard: Option<u32>) -> Tensor {
        let training = &self.job.config.training;
        let staged = self.stager.stage_rows(batch, rows);
        self.model.parameters_mut().zero_grad();
        tch::manual_seed(noise::seed(training.stream.seed, batch.index, shard));
        let precision = training.recipe.precision.on(self.job.device);
        let scores = precision.scores(&*self.model, &staged.images);
        training.recipe.loss.of(&scores, &smooth(staged.targets, training.recipe.label_smoothing))
    }
}
