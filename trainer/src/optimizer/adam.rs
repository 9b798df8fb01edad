//! Adam (Kingma and Ba, arXiv:1412.6980), as `torch.optim.Adam` computes it.

use super::{Optimizer, StateError};
use crate::model::Parameters;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

/// The constants of Adam; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AdamConfig {
    /// Decay of the running mean of gradients, 0 to 1.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, 0 to 1.
    pub beta2: f64,
    /// Added to the divisor.
    pub epsilon: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
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
        let AdamConfig { beta1, beta2, epsilon } = self.config;
        self.steps += 1;
        let step_size = learning_rate / (1.0 - beta1.powi(self.steps));
        let square_correction = (1.0 - beta2.powi(self.steps)).sqrt();
        no_grad(|| {
            for (parameter, Moments { mean, square, .. }) in parameters.iter_mut().zip(&mut self.moments) {
                let gradient = parameter.grad();
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
        let error = |name: &str, problem| StateError { name: name.to_owned(), problem };
        let expected = self.state();
        if let Some((name, _)) = saved.iter().find(|(name, _)| expected.iter().all(|(own, _)| own != name)) {
            return Err(error(name, "is not part of Adam's"));
        }
        let mut pairs = Vec::with_capacity(expected.len());
        for (name, own) in &expected {
            let (_, value) =
                saved.iter().find(|(other, _)| other == name).ok_or_else(|| error(name, "is missing"))?;
            if (own.size(), own.kind()) != (value.size(), value.kind()) {
                return Err(error(name, "has another shape or kind of number"));
            }
            pairs.push((own.shallow_clone(), value));
        }
        let (_, steps) = &pairs[0];
        self.steps =
            i32::try_from(steps.int64_value(&[0])).ok().ok_or_else(|| error("steps", "is out of range"))?;
        no_grad(|| pairs.iter_mut().for_each(|(own, value)| own.copy_(value)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{self, Model, ModelKind, Problem};
    use tch::{Device, Kind};

    fn model() -> Box<dyn Model> {
        let problem = Problem { height: 1, width: 1, channels: 3, classes: 2 };
        model::build(ModelKind::Linear, problem, 0, Device::Cpu).unwrap()
    }

    fn start() -> Vec<(String, Tensor)> {
        vec![
            (
                "fc.weight".to_owned(),
                Tensor::from_slice(&[0.5f32, -0.25, 1.0, 0.0, 2.0, -1.0]).reshape([2, 3]),
            ),
            ("fc.bias".to_owned(), Tensor::from_slice(&[0.1f32, -0.1])),
        ]
    }

    /// A loss whose gradients change from step to step: Σ w⁴/4 · (step + 1) + Σ b · step.
    fn step(model: &mut dyn Model, adam: &mut Adam, step: u32) {
        let parameters = model.parameters_mut();
        parameters.zero_grad();
        let sums: Vec<_> = parameters.iter().map(|(_, t)| t.shallow_clone()).collect();
        let loss = sums[0].pow_tensor_scalar(4).sum(Kind::Float) * 0.25 * f64::from(step + 1)
            + sums[1].sum(Kind::Float) * f64::from(step);
        loss.backward();
        adam.step(parameters, 1e-2);
    }

    #[test]
    fn the_first_step_moves_every_weight_by_the_learning_rate_against_its_gradient() {
        let mut model = model();
        model.parameters_mut().load(&start()).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), model.parameters());
        step(&mut *model, &mut adam, 0);
        let weight: Vec<f32> = model.parameters().iter().next().unwrap().1.flatten(0, -1).try_into().unwrap();
        // A gradient of zero moves nothing.
        for (got, expected) in weight.iter().zip([0.49f32, -0.24, 0.99, 0.0, 1.99, -0.99]) {
            assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
        }
    }

    /// The algorithm as PyTorch's documentation states it, for one number in double precision.
    fn reference(mut weight: f64, gradient: impl Fn(f64, u32) -> f64, steps: u32) -> f64 {
        let (beta1, beta2, epsilon, rate) = (0.9_f64, 0.999_f64, 1e-8, 1e-2);
        let (mut mean, mut square) = (0.0, 0.0);
        for step in 0..steps {
            let gradient = gradient(weight, step);
            mean = beta1 * mean + (1.0 - beta1) * gradient;
            square = beta2 * square + (1.0 - beta2) * gradient * gradient;
            let power = f64::from(step + 1);
            let unbiased = (mean / (1.0 - beta1.powf(power)), square / (1.0 - beta2.powf(power)));
            weight -= rate * unbiased.0 / (unbiased.1.sqrt() + epsilon);
        }
        weight
    }

    #[test]
    fn thirty_steps_follow_the_published_algorithm() {
        let mut model = model();
        model.parameters_mut().load(&start()).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), model.parameters());
        (0..30).for_each(|i| step(&mut *model, &mut adam, i));
        for ((_, got), (name, first)) in model.parameters().iter().zip(start()) {
            let got: Vec<f32> = got.flatten(0, -1).try_into().unwrap();
            let first: Vec<f32> = first.flatten(0, -1).try_into().unwrap();
            for (got, first) in got.into_iter().zip(first) {
                let gradient = |weight: f64, step: u32| match name.as_str() {
                    "fc.weight" => weight.powi(3) * f64::from(step + 1),
                    _ => f64::from(step),
                };
                let expected = reference(f64::from(first), gradient, 30);
                assert!((f64::from(got) - expected).abs() < 1e-5, "{name}: {got} is not {expected}");
            }
        }
    }

    #[test]
    fn a_restored_optimizer_goes_on_bit_for_bit() {
        let mut model = model();
        model.parameters_mut().load(&start()).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), model.parameters());
        (0..3).for_each(|i| step(&mut *model, &mut adam, i));
        let weights: Vec<_> =
            model.parameters().iter().map(|(n, t)| (n.to_owned(), t.detach().copy())).collect();
        let state: Vec<_> = adam.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
        (3..6).for_each(|i| step(&mut *model, &mut adam, i));
        let expected = crate::weights::digest(model.parameters().all());

        let mut again = self::model();
        again.parameters_mut().load(&weights).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), again.parameters());
        adam.load(state).unwrap();
        (3..6).for_each(|i| step(&mut *again, &mut adam, i));
        assert_eq!(crate::weights::digest(again.parameters().all()), expected);
    }

    #[test]
    fn a_state_that_does_not_fit_is_refused_by_name() {
        let mut adam = Adam::new(AdamConfig::default(), model().parameters());
        let mut state = adam.state();
        state.pop();
        assert!(adam.load(state).unwrap_err().to_string().contains("exp_avg_sq.fc.bias: is missing"));
        let mut state = adam.state();
        state.push(("momentum".to_owned(), Tensor::from_slice(&[0f32])));
        assert!(adam.load(state).unwrap_err().to_string().contains("momentum"));
    }
}
