//! Scaling losses up, so that gradients in half precision do not vanish: what `torch.amp.GradScaler`
//! does.
//!
//! The scale is halved when a gradient is no finite number, and that step is left out; it is doubled
//! after two thousand good steps. To know, the device is waited for once in a step, which bfloat16
//! does not need.

use super::{Optimizer, StateError};
use crate::learn::model::Parameters;
use tch::{Device, Kind, Tensor, no_grad};

/// The first scale; PyTorch's.
const FIRST: f64 = 65_536.0;

/// Good steps after which the scale is doubled; PyTorch's.
const PATIENCE: i64 = 2000;

/// The name of what is remembered here, beside what the optimiser inside remembers.
const NAME: &str = "loss_scale";

/// An optimiser behind scaled losses.
pub(super) struct Scaled {
    inner: Box<dyn Optimizer>,
    scale: f64,
    good_steps: i64,
}

impl Scaled {
    pub(super) fn new(inner: Box<dyn Optimizer>) -> Self {
        Scaled { inner, scale: FIRST, good_steps: 0 }
    }
}

impl Optimizer for Scaled {
    fn backward(&self, loss: &Tensor) {
        (loss * self.scale).backward();
    }

    fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) {
        let options = (Kind::Float, parameters.device());
        let mut bad = Tensor::zeros([1], options);
        let inverse = Tensor::full([1], 1.0 / self.scale, options);
        no_grad(|| {
            for mut gradient in parameters.iter().map(|(_, tensor)| tensor.grad()).filter(Tensor::defined) {
                gradient.internal_amp_non_finite_check_and_unscale(&mut bad, &inverse);
            }
        });
        if bad.to_device(Device::Cpu).double_value(&[0]) > 0.0 {
            self.scale /= 2.0;
            self.good_steps = 0;
            return;
        }
        self.inner.step(parameters, learning_rate);
        self.good_steps += 1;
        if self.good_steps == PATIENCE {
            self.scale *= 2.0;
            self.good_steps = 0;
        }
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let own = Tensor::from_slice(&[self.scale, self.good_steps as f64]);
        self.inner.state().into_iter().chain([(NAME.to_owned(), own)]).collect()
    }

    fn load(&mut self, mut saved: Vec<(String, Tensor)>) -> Result<(), StateError> {
        let place = saved.iter().position(|(name, _)| name == NAME);
        let (_, own) = saved.remove(place.ok_or_else(|| StateError::new(NAME, "is missing"))?);
        if (own.kind(), own.size()) != (Kind::Double, vec![2]) {
            return Err(StateError::new(NAME, "has another shape or kind of number"));
        }
        self.inner.load(saved)?;
        (self.scale, self.good_steps) = (own.double_value(&[0]), own.double_value(&[1]) as i64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::optimizer::{Sgd, SgdConfig};

    fn parameters() -> Parameters {
        Parameters::of(&[("w".to_owned(), Tensor::from_slice(&[1f32, 2.0]))], Vec::new())
    }

    fn scaled(parameters: &Parameters) -> Scaled {
        Scaled::new(Box::new(Sgd::new(SgdConfig { momentum: 0.9, ..SgdConfig::default() }, parameters)))
    }

    fn step(optimizer: &mut Scaled, parameters: &mut Parameters, factor: f64) {
        parameters.zero_grad();
        let loss = parameters.iter().map(|(_, tensor)| tensor.sum(Kind::Float)).sum::<Tensor>() * factor;
        optimizer.backward(&loss);
        optimizer.step(parameters, 0.5);
    }

    fn weight(parameters: &Parameters) -> Vec<f32> {
        let (_, tensor) = parameters.iter().next().unwrap();
        tensor.detach().try_into().unwrap()
    }

    #[test]
    fn a_step_is_that_of_the_loss_itself() {
        let mut parameters = parameters();
        let mut optimizer = scaled(&parameters);
        step(&mut optimizer, &mut parameters, 0.25);
        assert_eq!(weight(&parameters), [0.875, 1.875]);
    }

    #[test]
    fn a_step_with_an_endless_gradient_is_left_out_and_halves_the_scale() {
        let mut parameters = parameters();
        let mut optimizer = scaled(&parameters);
        step(&mut optimizer, &mut parameters, 1e36);
        assert_eq!((weight(&parameters), optimizer.scale), (vec![1.0, 2.0], FIRST / 2.0));
        for _ in 0..PATIENCE {
            step(&mut optimizer, &mut parameters, 0.0);
        }
        assert_eq!((optimizer.scale, optimizer.good_steps), (FIRST, 0), "doubled again");
    }

    #[test]
    fn scale_and_patience_are_saved_with_the_rest() {
        let mut parameters = parameters();
        let mut optimizer = scaled(&parameters);
        step(&mut optimizer, &mut parameters, 1e36);
        step(&mut optimizer, &mut parameters, 1.0);
        let mut again = scaled(&parameters);
        again.load(optimizer.state()).unwrap();
        assert_eq!((again.scale, again.good_steps), (FIRST / 2.0, 1));
        assert_eq!(again.state().len(), 2);
        let error = again.load(optimizer.inner.state()).unwrap_err().to_string();
        assert!(error.contains("loss_scale: is missing"), "{error}");
    }
}
