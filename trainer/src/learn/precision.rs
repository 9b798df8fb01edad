//! In which numbers training computes.
//!
//! Weights, statistics, losses and optimisers stay in 32 bits; with 16, libtorch's autocast computes in
//! them what gains from it: convolutions and products of matrices. Models are judged in 32 bits,
//! so that a checkpoint evaluates alike wherever it is taken.

use crate::learn::model::{Mode, Model};
use crate::machine::shim::{Autocast, Half};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Which numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// bf16 on a GPU, fp32 on the CPU
    Auto,
    /// 32 bits throughout
    #[default]
    Fp32,
    /// bfloat16: as wide in range as 32 bits
    Bf16,
    /// Half precision; losses are scaled so that small gradients survive
    Fp16,
}

impl Precision {
    /// What it means on `device`: never [`Precision::Auto`].
    #[must_use]
    pub fn on(self, device: Device) -> Precision {
        match self {
            Precision::Auto if device.is_cuda() => Precision::Bf16,
            Precision::Auto => Precision::Fp32,
            fixed => fixed,
        }
    }

    /// Scores images to learn from them, as 32 bits whatever was computed in; `self` is not
    /// [`Precision::Auto`].
    pub(crate) fn scores(self, model: &dyn Model, images: &Tensor) -> Tensor {
        let half = match self {
            Precision::Auto | Precision::Fp32 => None,
            Precision::Bf16 => Some(Half::Bf16),
            Precision::Fp16 => Some(Half::Fp16),
        };
        let autocast = half.map(|half| Autocast::begin(images.device(), half));
        let scores = model.forward_in(images, Mode::Training);
        drop(autocast);
        scores.to_kind(Kind::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::model::{ModelKind, Problem, build};
    use crate::learn::reference::{values, wave};

    #[test]
    fn sixteen_bits_come_close_and_stay_inside() {
        let problem = Problem { height: 32, width: 32, channels: 3, classes: 10 };
        let images = wave(4 * 3 * 32 * 32, 5.0).reshape([4, 3, 32, 32]);
        let model = build(ModelKind::ArticleCnn, problem, 1, Device::Cpu).unwrap();
        let exact = values(&Precision::Fp32.scores(&*model, &images));
        for (precision, tolerance) in [(Precision::Bf16, 0.02), (Precision::Fp16, 0.002)] {
            let scores = precision.scores(&*model, &images);
            assert_eq!(scores.kind(), Kind::Float);
            let scores = values(&scores);
            assert_ne!(scores, exact, "{precision:?} is another number");
            crate::learn::reference::assert_close("scores", &scores, &exact, tolerance);
            scores_of_32_bits_follow(&*model, &images, &exact);
        }
    }

    /// What was switched on for one forward pass is off after it.
    fn scores_of_32_bits_follow(model: &dyn Model, images: &Tensor, exact: &[f64]) {
        assert_eq!(values(&Precision::Fp32.scores(model, images)), exact);
        assert_eq!(values(&model.forward(images)), exact);
    }

    #[test]
    fn what_is_left_open_is_decided_by_the_device() {
        assert_eq!(Precision::Auto.on(Device::Cpu), Precision::Fp32);
        assert_eq!(Precision::Auto.on(Device::Cuda(0)), Precision::Bf16);
        assert_eq!(Precision::Fp16.on(Device::Cpu), Precision::Fp16);
    }
}
