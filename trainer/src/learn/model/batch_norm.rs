//! Batch normalisation (Ioffe and Szegedy, arXiv:1502.03167), as `torch.nn.BatchNorm2d` computes it.
//!
//! In training each channel is normalised by mean and variance of the batch, and running averages of
//! both are kept up, with the unbiased variance; in evaluation these averages are used and nothing
//! changes. They are buffers of the model.

use super::{Mode, Parameters};
use tch::{Tensor, no_grad};

/// Weight of the newest batch in the running averages; PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// Added to the variance; PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Normalises `images` (n × channels × height × width) by the layer `name`.
pub(super) fn batch_norm(parameters: &Parameters, name: &str, images: &Tensor, mode: Mode) -> Tensor {
    let (weight, bias) = parameters.layer(name);
    let [mean, variance] = ["running_mean", "running_var"].map(|part| parameters.part(name, part));
    let training = mode == Mode::Training;
    if training {
        // A second handle to the same number: the model's own is only lent.
        let mut batches = parameters.part(name, "num_batches_tracked").shallow_clone();
        let _ = no_grad(|| batches.g_add_scalar_(1));
    }
    images.batch_norm(Some(weight), Some(bias), Some(mean), Some(variance), training, MOMENTUM, EPSILON, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::model::init::Init;
    use crate::learn::reference::{assert_close, floats, training, values, wave};
    use tch::Device;

    #[test]
    fn outputs_and_running_statistics_are_those_of_pytorch() {
        let reference = &training()["batch_norm"];
        let mut parameters = Parameters::default();
        Init::new(0, Device::Cpu).batch_norm(&mut parameters, "bn", 3);
        no_grad(|| {
            let part = |part: &str| parameters.part("bn", part).shallow_clone();
            part("weight").copy_(&(wave(3, 1.0) * 0.5 + 1.0));
            part("bias").copy_(&(wave(3, 2.0) * 0.5));
        });
        for (batch, expected) in reference["outputs"].as_array().unwrap().iter().enumerate() {
            let images = (wave(72, batch as f64) * 2.0 + 1.0).reshape([4, 3, 2, 3]);
            let mode = if batch < 2 { Mode::Training } else { Mode::Evaluation };
            let output = batch_norm(&parameters, "bn", &images, mode);
            assert_close("output", &values(&output), &floats(expected), 1e-6);
        }
        for part in ["running_mean", "running_var"] {
            assert_close(part, &values(parameters.part("bn", part)), &floats(&reference[part]), 1e-6);
        }
        let batches = parameters.part("bn", "num_batches_tracked").int64_value(&[]);
        assert_eq!(Some(batches), reference["num_batches_tracked"].as_i64());
    }
}
