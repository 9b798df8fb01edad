//! The article's network: four convolutions, two linear layers, 1.1 million parameters.
//!
//! ```text
//! 3×32×32 ─conv1─ 64×30×30 ─conv2─ 64×28×28 ─pool─ 64×14×14
//!         ─conv3─ 128×12×12 ─conv4─ 128×10×10 ─pool─ 128×5×5 = 3200 ─fc1─ 256 ─fc2─ classes
//! ```
//!
//! Convolutions are 3 × 3 without padding; ReLU follows every layer but the last; pools take the
//! maximum of 2 × 2.

use super::init::Init;
use super::{Mode, Model, Parameters};
use tch::Tensor;

/// The article's network, for images of 32 × 32 × 3.
pub struct ArticleCnn {
    parameters: Parameters,
}

impl ArticleCnn {
    /// A fresh network for `classes` classes.
    pub(super) fn new(classes: i64, init: &Init) -> Self {
        let mut parameters = Parameters::default();
        init.conv(&mut parameters, "conv1", [64, 3, 3, 3]);
        init.conv(&mut parameters, "conv2", [64, 64, 3, 3]);
        init.conv(&mut parameters, "conv3", [128, 64, 3, 3]);
        init.conv(&mut parameters, "conv4", [128, 128, 3, 3]);
        init.linear(&mut parameters, "fc1", [256, 3200]);
        init.linear(&mut parameters, "fc2", [classes, 256]);
        ArticleCnn { parameters }
    }
}

impl Model for ArticleCnn {
    fn forward_in(&self, images: &Tensor, _mode: Mode) -> Tensor {
        let conv = |x: &Tensor, name: &str| {
            let (weight, bias) = self.parameters.layer(name);
            x.conv2d(weight, Some(bias), 1, 0, 1, 1).relu_()
        };
        let linear = |x: &Tensor, name: &str| {
            let (weight, bias) = self.parameters.layer(name);
            x.linear(weight, Some(bias))
        };
        let pool = |x: Tensor| x.max_pool2d(2, 2, 0, 1, false);

        let x = conv(images, "conv1");
        let x = pool(conv(&x, "conv2"));
        let x = conv(&x, "conv3");
        let x = pool(conv(&x, "conv4"));
        let x = linear(&x.flatten(1, -1), "fc1").relu_();
        linear(&x, "fc2")
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }
}
