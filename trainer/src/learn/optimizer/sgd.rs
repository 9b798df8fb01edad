//! Stochastic gradient descent with momentum, as `torch.optim.SGD` computes it.
//!
//! With Nesterov's momentum (Sutskever et al., ICML 2013) a step looks ahead along the velocity.

use super::state::take_over;
use super::{Optimizer, StateError, WeightDecay};
use crate::learn::model::Parameters;
use tch::{Tensor, no_grad};

/// The constants of SGD.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SgdConfig {
    /// Share of the velocity that is kept from step to step, 0 to below 1.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Pulls towards zero, as part of the gradient.
    pub weight_decay: WeightDecay,
}

/// SGD and all it remembers.
pub struct Sgd {
    config: SgdConfig,
    /// For each parameter: its name and its velocity, in the order of the parameters. None without
    /// momentum.
    velocities: Vec<(String, Tensor)>,
}

impl Sgd {
    /// Starts standing still.
    #[must_use]
    pub fn new(config: SgdConfig, parameters: &Parameters) -> Self {
        // PyTorch begins with the first gradient as the velocity, which from zero it becomes.
        let velocities = parameters.iter().filter(|_| config.momentum > 0.0);
        let velocities =
            velocities.map(|(name, tensor)| (name.to_owned(), tensor.detach().zeros_like())).collect();
        Sgd { config, velocities }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) {
        let SgdConfig { momentum, nesterov, weight_decay } = self.config;
        no_grad(|| {
            for (index, parameter) in parameters.iter_mut().enumerate() {
                let mut gradient = parameter.grad();
                if !gradient.defined() {
                    continue;
                }
                let decay = weight_decay.of(parameter);
                if decay > 0.0 {
                    gradient = &gradient + &*parameter * decay;
                }
                if let Some((_, velocity)) = self.velocities.get_mut(index) {
                    let _ = velocity.g_mul_scalar_(momentum).g_add_(&gradient);
                    gradient =
                        if nesterov { gradient + &*velocity * momentum } else { velocity.shallow_clone() };
                }
                let _ = parameter.g_sub_(&(gradient * learning_rate));
            }
        });
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let named = |(name, velocity): &(String, Tensor)| {
            (format!("momentum_buffer.{name}"), velocity.shallow_clone())
        };
        self.velocities.iter().map(named).collect()
    }

    fn load(&mut self, saved: Vec<(String, Tensor)>) -> Result<(), StateError> {
        take_over(&self.state(), &saved)
    }
}
