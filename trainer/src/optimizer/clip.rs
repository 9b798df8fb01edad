//! Keeping steps short: gradients that are too long in all are made shorter.

use crate::model::Parameters;
use tch::{Kind, Tensor, no_grad};

/// Keeps the divisor above zero; PyTorch's constant.
const EPSILON: f64 = 1e-6;

/// Scales all gradients so that their length (the 2-norm over all parameters together) is `max_norm`
/// at most, as `torch.nn.utils.clip_grad_norm_` does. The device is not waited for.
pub fn clip_gradients(parameters: &Parameters, max_norm: f64) {
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
        let factor = factor.to_kind(Kind::Float);
        for mut gradient in gradients {
            let _ = gradient.g_mul_(&factor);
        }
    });
}
