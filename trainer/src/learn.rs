//! What learns: models, losses, optimizers, schedules, and batches as tensors on the device. Nothing here knows
//! loaders, files of a run or people.

pub mod ema;
pub mod loss;
pub mod model;
pub mod optimizer;
pub mod precision;
#[cfg(test)]
mod reference;
pub mod rows;
pub mod schedule;
pub(crate) mod shard_sum;
pub mod staging;
pub mod tally;
pub mod weights;
