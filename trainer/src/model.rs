//! The networks, and what all of them have in common.
//!
//! A model turns normalised images into one raw score (logit) per class and owns its parameters and
//! buffers. Each network has a file of its own that reads like its picture. Losses, optimisers and the loop
//! know a model only through this trait.
//!
//! Not here: anything about data; mixing is orthogonal to the network.

mod article_cnn;
mod batch_norm;
mod fast_resnet;
mod init;
mod linear;
mod parameters;
mod preact_resnet;

pub use article_cnn::ArticleCnn;
pub use fast_resnet::FastResNet;
pub use linear::Linear;
pub use parameters::{Parameters, ParametersError};
pub use preact_resnet::PreActResNet18;

use clap::ValueEnum;
use init::Init;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// A network that is trained.
pub trait Model {
    /// Scores `images` (n × channels × height × width, f32, normalised): n × classes raw scores. In
    /// training, the buffers are brought up to date on the way.
    fn forward_in(&self, images: &Tensor, mode: Mode) -> Tensor;

    /// Scores `images` as [`Mode::Evaluation`] does.
    fn forward(&self, images: &Tensor) -> Tensor {
        self.forward_in(images, Mode::Evaluation)
    }

    /// All that is learnt, and the buffers.
    fn parameters(&self) -> &Parameters;

    /// All that is learnt, and the buffers, to be changed.
    fn parameters_mut(&mut self) -> &mut Parameters;
}

/// What images are scored for: PyTorch's `train()` and `eval()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To learn from them: batch normalisation looks at the batch, and keeps running averages.
    Training,
    /// To judge them: each image for itself, and nothing in the model changes.
    Evaluation,
}

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Four convolutions and two linear layers, for images of 32 × 32.
    ArticleCnn,
    /// Softmax regression on the raw pixels: the yardstick that a network has to beat.
    Linear,
    /// The mixup paper's network of 18 layers, for images of 32 × 32.
    #[value(name = "preact-resnet18")]
    #[serde(rename = "preact-resnet18")]
    PreActResNet18,
    /// A residual network of nine layers that learns quickly, for images of 32 × 32.
    #[value(name = "fast-resnet")]
    #[serde(rename = "fast-resnet")]
    FastResNet,
}

impl ModelKind {
    /// The name by which it is asked for and reported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::ArticleCnn => "article-cnn",
            ModelKind::Linear => "linear",
            ModelKind::PreActResNet18 => "preact-resnet18",
            ModelKind::FastResNet => "fast-resnet",
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
    let Problem { height, width, channels, classes } = problem;
    if kind != ModelKind::Linear && (height, width, channels) != (32, 32, 3) {
        return Err(ShapeError { model: kind.name(), wanted: "32 x 32 x 3", got: problem });
    }
    let init = Init::new(seed, device);
    Ok(match kind {
        ModelKind::ArticleCnn => Box::new(ArticleCnn::new(classes, &init)),
        ModelKind::Linear => Box::new(Linear::new(problem, &init)),
        ModelKind::PreActResNet18 => Box::new(PreActResNet18::new(classes, &init)),
        ModelKind::FastResNet => Box::new(FastResNet::new(classes, &init)),
    })
}

#[cfg(test)]
mod tests;
