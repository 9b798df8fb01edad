//! An exponential moving average of a model's weights, which judges better than the weights themselves.
//!
//! Evaluation and checkpoints use the average, and training goes on with the weights. It is what
//! `torch.optim.swa_utils.AveragedModel` keeps with `get_ema_multi_avg_fn` and `use_buffers`: begun as
//! a copy after the first step, then moved a little towards the weights after each. Buffers are
//! averaged as parameters are, whole numbers among them copied.

use crate::learn::model::Model;
use tch::{Kind, no_grad};

/// The average, as a model of its own.
pub struct Ema {
    decay: f64,
    model: Box<dyn Model>,
}

impl Ema {
    /// Keeps the average in `model`, which is of the same kind as the one that is trained. At each step
    /// the average keeps the share `decay` of itself; 0 to below 1.
    #[must_use]
    pub fn new(decay: f64, model: Box<dyn Model>) -> Self {
        Ema { decay, model }
    }

    /// Takes the weights after the step with index `step` into the average.
    pub fn update(&mut self, model: &dyn Model, step: u64) {
        no_grad(|| {
            let own = self.model.parameters().all();
            for ((_, average), (_, value)) in own.zip(model.parameters().all()) {
                let mut average = average.shallow_clone();
                if average.kind() == Kind::Int64 || step == 0 {
                    average.copy_(value);
                } else {
                    let _ = average.lerp_(value, 1.0 - self.decay);
                }
            }
        });
    }

    /// The averaged model.
    #[must_use]
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The averaged model, to take over a saved one.
    pub(crate) fn model_mut(&mut self) -> &mut dyn Model {
        &mut *self.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::model::Parameters;
    use crate::learn::reference::{assert_close, floats, training, values, wave};
    use tch::{Device, Tensor};

    /// A model of nothing but tensors.
    struct Tensors(Parameters);

    impl Model for Tensors {
        fn forward_in(&self, images: &Tensor, _mode: crate::learn::model::Mode) -> Tensor {
            images.shallow_clone()
        }

        fn parameters(&self) -> &Parameters {
            &self.0
        }

        fn parameters_mut(&mut self) -> &mut Parameters {
            &mut self.0
        }
    }

    fn model() -> Box<Tensors> {
        let options = (Kind::Float, Device::Cpu);
        let buffers = vec![
            ("running_mean".to_owned(), Tensor::zeros([3], options)),
            ("num_batches_tracked".to_owned(), Tensor::from(0i64)),
        ];
        let weight = [("weight".to_owned(), Tensor::ones([3], options))];
        Box::new(Tensors(Parameters::of(&weight, buffers)))
    }

    #[test]
    fn the_average_of_twenty_five_steps_is_that_of_pytorch() {
        let reference = &training()["ema"];
        let trained = model();
        let mut ema = Ema::new(reference["decay"].as_f64().unwrap(), model());
        let tensor = |model: &dyn Model, name: &str| {
            model.parameters().all().find(|(own, _)| *own == name).unwrap().1.shallow_clone()
        };
        for step in 0..25 {
            no_grad(|| {
                tensor(&*trained, "weight").copy_(&wave(3, step as f64));
                tensor(&*trained, "running_mean").copy_(&wave(3, step as f64 + 0.5));
                let _ = tensor(&*trained, "num_batches_tracked").g_add_scalar_(1);
            });
            ema.update(&*trained, step);
        }
        for name in ["weight", "running_mean"] {
            let got = values(&tensor(ema.model(), name));
            assert_close(name, &got, &floats(&reference[name]), 1e-6);
        }
        assert_eq!(tensor(ema.model(), "num_batches_tracked").int64_value(&[]), 25);
    }
}
