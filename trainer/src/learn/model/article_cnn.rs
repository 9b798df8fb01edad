//! The article's network: four convolutions, two linear layers, 1.1 million parameters.
//!
//! ```text
//! 3×32×32 ─conv1─ 64×30×30 ─conv2─ 64×28×28 ─pool─ 64×14×14
//!         ─conv3─ 128×12×12 ─conv4─ 128×10×10 ─pool─ 128×5×5 = 3200 ─fc1─ 256 ─fc2─ classes
//! ```
//!
//! Convolutions are 3 × 3 without padding; ReLU follows every layer but the last; pools take the
//! maximum of 2 × 2, and leave out a last odd row or column. Images of another size than the article's make
//! `fc1` larger or smaller: at 224 × 224 it has 92 million weights.

use super::init::Init;
use super::{Mode, Model, Parameters, Problem};
use tch::Tensor;

/// Sides of an image, in pixels. The least leaves one pixel for `fc1`; with the most it has half a billion weights, 2 GiB.
pub(super) const SIDES: std::ops::RangeInclusive<i64> = 16..=512;

/// Channels of the last convolution, and outputs of `fc1`.
const CHANNELS: i64 = 128;
const HIDDEN: i64 = 256;

/// The article's network.
pub struct ArticleCnn {
    parameters: Parameters,
}

/// The shape of the weights of `fc1`, outputs × inputs: what is left of an image goes in.
pub(super) fn fc1_shape(problem: Problem) -> [i64; 2] {
    // Twice, two convolutions take a pixel from each border, and a pool halves.
    let left = |side: i64| ((side - 4) / 2 - 4) / 2;
    [HIDDEN, CHANNELS * left(problem.height) * left(problem.width)]
}

impl ArticleCnn {
    /// A fresh network for `problem`, whose images have [`SIDES`].
    pub(super) fn new(problem: Problem, init: &Init) -> Self {
        let mut parameters = Parameters::default();
        init.conv(&mut parameters, "conv1", [64, 3, 3, 3]);
        init.conv(&mut parameters, "conv2", [64, 64, 3, 3]);
        init.conv(&mut parameters, "conv3", [CHANNELS, 64, 3, 3]);
        init.conv(&mut parameters, "conv4", [CHANNELS, CHANNELS, 3, 3]);
        init.linear(&mut parameters, "fc1", fc1_shape(problem));
        init.linear(&mut parameters, "fc2", [problem.classes, HIDDEN]);
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
