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
