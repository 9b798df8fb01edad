//! Keeping steps short: gradients that are too long in all are made shorter first.

use super::{Optimizer, StateError};
use crate::learn::model::Parameters;
use tch::{Tensor, no_grad};

/// Keeps the divisor above zero; PyTorch's constant.
const EPSILON: f64 = 1e-6;

/// An optimiser behind clipped gradients.
pub(super) struct Clipped {
    inner: Box<dyn Optimizer>,
    max_norm: f64,
}

impl Clipped {
    pub(super) fn new(inner: Box<dyn Optimizer>, max_norm: f64) -> Self {
        Clipped { inner, max_norm }
    }
}

impl Optimizer for Clipped {
    fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) {
        clip(parameters, self.max_norm);
        self.inner.step(parameters, learning_rate);
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.inner.state()
    }

    fn load(&mut self, saved: Vec<(String, Tensor)>) -> Result<(), StateError> {
        self.inner.load(saved)
    }
}

/// Scales all gradients so that their length (the 2-norm over all parameters together) is `max_norm`
/// at most, as `torch.nn.utils.clip_grad_norm_` does. The device is not waited for.
fn clip(parameters: &Parameters, max_norm: f64) {
    no_grad(|| {
        let gradients: Vec<_> =
            parameters.iter().map(|(_, tensor)| tensor.grad()).filter(Tensor::defined).collect();
        if gradients.is_empty() {
            return;
        }
        let norms: Vec<_> = gradients.iter().map(Tensor::norm).collect();
        let norm = Tensor::stack(&norms, 0).norm();
        // max_norm / (norm + ε), and never above one.
        let factor = (norm + EPSILON).reciprocal().g_mul_scalar_(max_norm).clamp_max(1.0);
        for mut gradient in gradients {
            let _ = gradient.g_mul_(&factor);
        }
    });
}
