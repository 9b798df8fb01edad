//! The networks, and what all of them have in common.
//!
//! A model turns normalised images into one raw score (logit) per class and owns its parameters.
//! Each network has a file of its own that reads like its picture. Losses, optimisers and the loop
//! know a model only through this trait.
//!
//! Not here: anything about data; mixing is orthogonal to the network.

mod article_cnn;
mod init;
mod linear;
mod parameters;

pub use article_cnn::ArticleCnn;
pub use linear::Linear;
pub use parameters::{Parameters, ParametersError};

use clap::ValueEnum;
use init::Init;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// A network that is trained.
pub trait Model {
    /// Scores `images` (n × channels × height × width, f32, normalised): n × classes raw scores.
    fn forward(&self, images: &Tensor) -> Tensor;

    /// All that is learnt.
    fn parameters(&self) -> &Parameters;

    /// All that is learnt, to be changed.
    fn parameters_mut(&mut self) -> &mut Parameters;
}

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Four convolutions and two linear layers, for images of 32 × 32.
    ArticleCnn,
    /// Softmax regression on the raw pixels: the yardstick that a network has to beat.
    Linear,
}

impl ModelKind {
    /// The name by which it is asked for and reported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::ArticleCnn => "article-cnn",
            ModelKind::Linear => "linear",
        }
    }
}

/// The size of a classification problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Pixels.
    pub height: i64,
    /// Pixels.
    pub width: i64,
    /// Colour channels.
    pub channels: i64,
    /// Number of classes, at least 2.
    pub classes: i64,
}

/// A network cannot take the images that the loaders send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "model {model} takes images of {wanted}, the loaders send {height} x {width} x {channels}",
    height = got.height, width = got.width, channels = got.channels
)]
pub struct ShapeError {
    model: &'static str,
    wanted: &'static str,
    got: Problem,
}

/// Builds the network with PyTorch's default initial weights, which follow from `seed` alone.
///
/// # Errors
/// When the network does not fit the images.
pub fn build(
    kind: ModelKind,
    problem: Problem,
    seed: u64,
    device: Device,
) -> Result<Box<dyn Model>, ShapeError> {
    let init = Init::new(seed, device);
    Ok(match kind {
        ModelKind::ArticleCnn => {
            if (problem.height, problem.width, problem.channels) != (32, 32, 3) {
                return Err(ShapeError { model: kind.name(), wanted: "32 x 32 x 3", got: problem });
            }
            Box::new(ArticleCnn::new(problem.classes, &init))
        }
        ModelKind::Linear => Box::new(Linear::new(problem, &init)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIFAR: Problem = Problem { height: 32, width: 32, channels: 3, classes: 10 };

    #[test]
    fn initial_weights_follow_from_the_seed_and_not_from_the_number_of_threads() {
        let digest = |seed, threads| {
            tch::set_num_threads(threads);
            let model = build(ModelKind::ArticleCnn, CIFAR, seed, Device::Cpu).unwrap();
            crate::weights::digest(model.parameters().iter())
        };
        let one = digest(1, 1);
        assert_eq!(one, digest(1, 2));
        assert_ne!(one, digest(2, 1));
    }

    #[test]
    fn the_article_network_has_the_parameters_pytorch_would_name() {
        let model = build(ModelKind::ArticleCnn, CIFAR, 0, Device::Cpu).unwrap();
        let shapes: Vec<_> = model.parameters().iter().map(|(name, t)| (name.to_owned(), t.size())).collect();
        let expected: [(&str, &[i64]); 12] = [
            ("conv1.weight", &[64, 3, 3, 3]),
            ("conv1.bias", &[64]),
            ("conv2.weight", &[64, 64, 3, 3]),
            ("conv2.bias", &[64]),
            ("conv3.weight", &[128, 64, 3, 3]),
            ("conv3.bias", &[128]),
            ("conv4.weight", &[128, 128, 3, 3]),
            ("conv4.bias", &[128]),
            ("fc1.weight", &[256, 3200]),
            ("fc1.bias", &[256]),
            ("fc2.weight", &[10, 256]),
            ("fc2.bias", &[10]),
        ];
        assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape.to_vec())));
    }

    #[test]
    fn images_of_another_size_are_refused_with_both_sizes() {
        let problem = Problem { height: 28, width: 28, channels: 1, classes: 10 };
        let error = build(ModelKind::ArticleCnn, problem, 0, Device::Cpu).err().unwrap().to_string();
        assert!(error.contains("32 x 32 x 3") && error.contains("28 x 28 x 1"), "{error}");
        assert!(build(ModelKind::Linear, problem, 0, Device::Cpu).is_ok());
    }
}
