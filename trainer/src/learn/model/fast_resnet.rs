//! A small residual network that learns CIFAR-10 quickly: nine layers, 6.6 million parameters.
//!
//! ```text
//! 3×32×32 ─prep─ 64×32×32 ─layer1─pool─ 128×16×16 ─residual1─ 128×16×16
//!         ─layer2─pool─ 256×8×8 ─layer3─pool─ 512×4×4 ─residual3─ 512×4×4
//!         ─maximum─ 512 ─linear─ classes, × 0.125
//! ```
//!
//! The maximum is over all that is left of an image, so that images may have any size from 8 × 8 on.
//! Each of these is a convolution of 3 × 3 without biases, a batch normalisation and ReLU; a residual
//! is two of them around which the image goes unchanged, too. Pools take the maximum of 2 × 2. The
//! scores are an eighth of what the last layer gives, which keeps early steps at a high learning rate
//! in bounds. The design is D. Page's ("How to Train Your ResNet", Myrtle.ai, 2018). Initial weights
//! are PyTorch's defaults.

use super::batch_norm::batch_norm;
use super::init::Init;
use super::{Mode, Model, Parameters};
use tch::Tensor;

/// What the scores of the last layer are multiplied by.
const SCORE_SCALE: f64 = 0.125;

/// The convolutions: name, channels that come in, channels that go out.
const CONVOLUTIONS: [(&str, i64, i64); 8] = [
    ("prep", 3, 64),
    ("layer1", 64, 128),
    ("residual1.0", 128, 128),
    ("residual1.1", 128, 128),
    ("layer2", 128, 256),
    ("layer3", 256, 512),
    ("residual3.0", 512, 512),
    ("residual3.1", 512, 512),
];

/// A small and quick residual network.
pub struct FastResNet {
    parameters: Parameters,
}

impl FastResNet {
    /// A fresh network for `classes` classes.
    pub(super) fn new(classes: i64, init: &Init) -> Self {
        let mut parameters = Parameters::default();
        for (name, inputs, outputs) in CONVOLUTIONS {
            init.conv_without_bias(&mut parameters, &format!("{name}.conv"), [outputs, inputs, 3, 3]);
            init.batch_norm(&mut parameters, &format!("{name}.bn"), outputs);
        }
        init.linear(&mut parameters, "linear", [classes, 512]);
        FastResNet { parameters }
    }
}

impl Model for FastResNet {
    fn forward_in(&self, images: &Tensor, mode: Mode) -> Tensor {
        let layer = |x: &Tensor, name: &str| {
            let weight = self.parameters.part(&format!("{name}.conv"), "weight");
            let x = x.conv2d(weight, None::<&Tensor>, 1, 1, 1, 1);
            batch_norm(&self.parameters, &format!("{name}.bn"), &x, mode).relu_()
        };
        let pool = |x: &Tensor| x.max_pool2d(2, 2, 0, 1, false);
        let residual = |x: Tensor, name: &str| {
            let inner = layer(&layer(&x, &format!("{name}.0")), &format!("{name}.1"));
            x + inner
        };

        let x = layer(images, "prep");
        let x = residual(pool(&layer(&x, "layer1")), "residual1");
        let x = pool(&layer(&x, "layer2"));
        let x = residual(pool(&layer(&x, "layer3")), "residual3");
        let x = x.amax([2i64, 3], false);
        let (weight, bias) = self.parameters.layer("linear");
        x.linear(weight, Some(bias)) * SCORE_SCALE
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }
}
