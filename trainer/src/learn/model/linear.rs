//! Softmax regression: one linear layer on the raw pixels.
//!
//! It shows how far a classifier comes that sees no shapes. On the synthetic images it has to stay
//! far behind a network, or they would be no test of one.

use super::init::Init;
use super::{Mode, Model, Parameters, Problem};
use tch::Tensor;

/// One linear layer.
pub struct Linear {
    parameters: Parameters,
}

impl Linear {
    /// A fresh layer for `problem`.
    pub(super) fn new(problem: Problem, init: &Init) -> Self {
        let mut parameters = Parameters::default();
        let inputs = problem.height * problem.width * problem.channels;
        init.linear(&mut parameters, "fc", [problem.classes, inputs]);
        Linear { parameters }
    }
}

impl Model for Linear {
    fn forward_in(&self, images: &Tensor, _mode: Mode) -> Tensor {
        let (weight, bias) = self.parameters.layer("fc");
        images.flatten(1, -1).linear(weight, Some(bias))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }
}
