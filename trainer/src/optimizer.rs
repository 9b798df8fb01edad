//! How gradients change parameters.
//!
//! These are our own over plain tensors, step for step PyTorch's formulas: libtorch's optimisers hide
//! their state, and without it no run can be resumed exactly. They are told the learning rate of each
//! step; where it comes from is [`crate::schedule`].

mod adam;
mod clip;
mod sgd;
mod state;
mod weight_decay;

pub use adam::{Adam, AdamConfig};
pub use clip::clip_gradients;
pub use sgd::{Sgd, SgdConfig};
pub use state::StateError;
pub use weight_decay::WeightDecay;

use crate::model::Parameters;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// A rule by which gradients change parameters.
pub trait Optimizer {
    /// Changes `parameters` by the gradients they hold, at this learning rate. A parameter without a
    /// gradient stays as it is.
    fn step(&mut self, parameters: &mut Parameters, learning_rate: f64);

    /// All it remembers, for a checkpoint: tensors by name, the number of steps among them.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes over what [`Optimizer::state`] gave.
    ///
    /// # Errors
    /// When `saved` is not the state of this optimiser for these parameters.
    fn load(&mut self, saved: Vec<(String, Tensor)>) -> Result<(), StateError>;
}

/// Which rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam; weight decay is part of the gradient
    #[default]
    Adam,
    /// Adam with decoupled weight decay
    #[value(name = "adamw")]
    #[serde(rename = "adamw")]
    AdamW,
}

/// Which rule, with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent.
    Sgd(SgdConfig),
    /// Adam and AdamW.
    Adam(AdamConfig),
}

impl OptimizerConfig {
    /// An optimiser of these parameters that remembers nothing yet.
    #[must_use]
    pub fn build(self, parameters: &Parameters) -> Box<dyn Optimizer> {
        match self {
            OptimizerConfig::Sgd(config) => Box::new(Sgd::new(config, parameters)),
            OptimizerConfig::Adam(config) => Box::new(Adam::new(config, parameters)),
        }
    }
}

#[cfg(test)]
mod tests;
