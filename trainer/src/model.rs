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
mod tests {
    use super::*;

    const CIFAR: Problem = Problem { height: 32, width: 32, channels: 3, classes: 10 };

    #[test]
    fn initial_weights_follow_from_the_seed_and_not_from_the_number_of_threads() {
        let digest = |seed, threads| {
            tch::set_num_threads(threads);
            let model = build(ModelKind::ArticleCnn, CIFAR, seed, Device::Cpu).unwrap();
            crate::weights::digest(model.parameters().all())
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

    fn tensors(kind: ModelKind) -> Vec<(String, Vec<i64>)> {
        let model = build(kind, CIFAR, 0, Device::Cpu).unwrap();
        model.parameters().all().map(|(name, tensor)| (name.to_owned(), tensor.size())).collect()
    }

    fn count(kind: ModelKind) -> usize {
        build(kind, CIFAR, 0, Device::Cpu).unwrap().parameters().count()
    }

    #[test]
    fn the_residual_networks_have_the_size_and_names_of_their_originals() {
        let (paper, fast) = (ModelKind::PreActResNet18, ModelKind::FastResNet);
        assert_eq!((count(paper), count(fast)), (11_171_274, 6_573_130));
        for (kind, name, shape) in [
            (paper, "layer4.0.shortcut.0.weight", &[512, 256, 1, 1][..]),
            (paper, "layer2.0.bn1.running_mean", &[64]),
            (paper, "layer1.1.bn2.num_batches_tracked", &[]),
            (paper, "linear.bias", &[10]),
            (fast, "residual3.1.conv.weight", &[512, 512, 3, 3]),
            (fast, "prep.bn.running_var", &[64]),
        ] {
            assert!(tensors(kind).contains(&(name.to_owned(), shape.to_vec())), "{name} of {shape:?}");
        }
    }

    #[test]
    fn training_moves_buffers_and_evaluation_moves_nothing() {
        let images = Tensor::linspace(-1, 1, 2 * 3 * 32 * 32, (tch::Kind::Float, Device::Cpu));
        let images = images.reshape([2, 3, 32, 32]);
        for kind in [ModelKind::PreActResNet18, ModelKind::FastResNet] {
            let model = build(kind, CIFAR, 1, Device::Cpu).unwrap();
            let digest = || crate::weights::digest(model.parameters().all());
            let before = digest();
            assert_eq!(model.forward(&images).size(), [2, 10]);
            assert_eq!(digest(), before, "{kind:?} in evaluation");
            assert_eq!(model.forward_in(&images, Mode::Training).size(), [2, 10]);
            assert_ne!(digest(), before, "{kind:?} in training");
            let batches = model.parameters().all().filter(|(name, _)| name.ends_with("num_batches_tracked"));
            batches.for_each(|(name, count)| assert_eq!(count.int64_value(&[]), 1, "{name}"));
        }
    }

    #[test]
    fn saved_buffers_are_wanted_as_much_as_parameters() {
        let [from, mut to] =
            [1, 2].map(|seed| build(ModelKind::FastResNet, CIFAR, seed, Device::Cpu).unwrap());
        let mut saved: Vec<_> =
            from.parameters().all().map(|(name, tensor)| (name.to_owned(), tensor.detach().copy())).collect();
        to.parameters_mut().load(&saved).unwrap();
        assert_eq!(
            crate::weights::digest(to.parameters().all()),
            crate::weights::digest(from.parameters().all())
        );
        saved.retain(|(name, _)| name != "prep.bn.running_mean");
        let error = to.parameters_mut().load(&saved).unwrap_err().to_string();
        assert_eq!(error, "tensor prep.bn.running_mean is missing");
    }
}
