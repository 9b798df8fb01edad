//! How gradients change parameters.
//!
//! These are our own over plain tensors, step for step PyTorch's formulas: libtorch's optimisers hide
//! their state, and without it no run can be resumed exactly.

mod adam;

pub use adam::{Adam, AdamConfig};

use crate::model::Parameters;
use tch::Tensor;

/// A rule by which gradients change parameters.
pub trait Optimizer {
    /// Changes `parameters` by the gradients they hold, at this learning rate.
    fn step(&mut self, parameters: &mut Parameters, learning_rate: f64);

    /// All it remembers, for a checkpoint: tensors by name, the number of steps among them.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Takes over what [`Optimizer::state`] gave.
    ///
    /// # Errors
    /// When `saved` is not the state of this optimiser for these parameters.
    fn load(&mut self, saved: Vec<(String, Tensor)>) -> Result<(), StateError>;
}

/// A saved state does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("optimizer state {name}: {problem}")]
pub struct StateError {
    name: String,
    problem: &'static str,
}
