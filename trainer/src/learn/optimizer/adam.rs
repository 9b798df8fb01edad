//! Adam (Kingma and Ba, arXiv:1412.6980) and AdamW (Loshchilov and Hutter, arXiv:1711.05101), as
//! `torch.optim.Adam` and `torch.optim.AdamW` compute them.
//!
//! The two differ in weight decay alone: Adam's is part of the gradient, and scaled with it; AdamW's
//! shrinks the parameters by itself.

use super::state::take_over;
use super::{Optimizer, StateError, WeightDecay};
use crate::learn::model::Parameters;
use tch::{Tensor, no_grad};

/// The constants of Adam; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Decay of the running mean of gradients, 0 to 1.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, 0 to 1.
    pub beta2: f64,
    /// Added to the divisor.
    pub epsilon: f64,
    /// Pulls towards zero.
    pub weight_decay: WeightDecay,
    /// Whether weight decay is apart from the gradient, as in AdamW.
    pub decoupled: bool,
}

impl Default for AdamConfig {
    fn default() -> Self {
        let weight_decay = WeightDecay::default();
        AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, decoupled: false }
    }
}

/// Adam and all it remembers.
pub struct Adam {
    config: AdamConfig,
    /// Steps done; 2^31 suffice for any training.
    steps: i32,
    moments: Vec<Moments>,
}

struct Moments {
    parameter: String,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// Starts with nothing remembered.
    #[must_use]
    pub fn new(config: AdamConfig, parameters: &Parameters) -> Self {
        // zeros_like keeps the memory layout, so that no step has to rearrange anything.
        let moments = parameters.iter().map(|(name, tensor)| Moments {
            parameter: name.to_owned(),
            mean: tensor.detach().zeros_like(),
            square: tensor.detach().zeros_like(),
        });
        Adam { config, steps: 0, moments: moments.collect() }
    }
}

impl Optimizer for Adam {
    fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) {
        let AdamConfig { beta1, beta2, epsilon, weight_decay, decoupled } = self.config;
        self.steps += 1;
        let step_size = learning_rate / (1.0 - beta1.powi(self.steps));
        let square_correction = (1.0 - beta2.powi(self.steps)).sqrt();
        no_grad(|| {
            for (parameter, Moments { mean, square, .. }) in parameters.iter_mut().zip(&mut self.moments) {
                let mut gradient = parameter.grad();
                if !gradient.defined() {
                    continue;
                }
                let decay = weight_decay.of(parameter);
                if decay > 0.0 && decoupled {
                    let _ = parameter.g_mul_scalar_(1.0 - learning_rate * decay);
                } else if decay > 0.0 {
                    gradient = &gradient + &*parameter * decay;
                }
                let _ = mean.lerp_(&gradient, 1.0 - beta1);
                let _ = square.g_mul_scalar_(beta2);
                let _ = square.g_add_(&(&gradient * &gradient).g_mul_scalar_(1.0 - beta2));
                let divisor = square.sqrt().g_div_scalar_(square_correction).g_add_scalar_(epsilon);
                let _ = parameter.g_sub_(&(&*mean / divisor).g_mul_scalar_(step_size));
            }
        });
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let steps = [("steps".to_owned(), Tensor::from_slice(&[i64::from(self.steps)]))];
        let moments = self.moments.iter().flat_map(|Moments { parameter, mean, square }| {
            [
                (format!("exp_avg.{parameter}"), mean.shallow_clone()),
                (format!("exp_avg_sq.{parameter}"), square.shallow_clone()),
            ]
        });
        steps.into_iter().chain(moments).collect()
    }

    fn load(&mut self, saved: Vec<(String, Tensor)>) -> Result<(), StateError> {
        let own = self.state();
        take_over(&own, &saved)?;
        let (_, steps) = &own[0];
        let steps = i32::try_from(steps.int64_value(&[0]));
        self.steps = steps.ok().ok_or_else(|| StateError::new("steps", "is out of range"))?;
        Ok(())
    }
}
