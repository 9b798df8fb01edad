//! How gradients change parameters.
//!
//! These are our own over plain tensors, step for step PyTorch's formulas: libtorch's optimisers hide
//! their state, and without it no run can be resumed exactly. They are told the learning rate of each
//! step; where it comes from is [`crate::learn::schedule`].

mod adam;
mod clip;
mod loss_scale;
mod sgd;
mod state;
mod weight_decay;

pub use adam::{Adam, AdamConfig};
pub use sgd::{Sgd, SgdConfig};
pub use state::StateError;
pub use weight_decay::WeightDecay;

use crate::learn::model::Parameters;
use crate::learn::precision::Precision;
use clap::ValueEnum;
use clip::Clipped;
use loss_scale::Scaled;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// A rule by which gradients change parameters.
pub trait Optimizer {
    /// Collects the gradients of a loss in the parameters, for [`Optimizer::step`] to use.
    fn backward(&self, loss: &Tensor) {
        loss.backward();
    }

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
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd(SgdConfig),
    /// Adam and AdamW.
    Adam(AdamConfig),
}

/// A rule, and what is done to gradients before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerConfig {
    /// How gradients change parameters.
    pub rule: Rule,
    /// The greatest length of all gradients together; above 0.
    pub clip_norm: Option<f64>,
}

impl OptimizerConfig {
    /// An optimiser of these parameters that remembers nothing yet, for gradients that were computed in
    /// `precision`.
    #[must_use]
    pub fn build(self, parameters: &Parameters, precision: Precision) -> Box<dyn Optimizer> {
        let mut optimizer: Box<dyn Optimizer> = match self.rule {
            Rule::Sgd(config) => Box::new(Sgd::new(config, parameters)),
            Rule::Adam(config) => Box::new(Adam::new(config, parameters)),
        };
        if let Some(max_norm) = self.clip_norm {
            optimizer = Box::new(Clipped::new(optimizer, max_norm));
        }
        if precision == Precision::Fp16 {
            optimizer = Box::new(Scaled::new(optimizer));
        }
        optimizer
    }
}

#[cfg(test)]
mod tests;
