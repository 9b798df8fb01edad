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
mod kind;
mod linear;
mod parameters;
mod preact_resnet;
mod torch_script;

pub use article_cnn::ArticleCnn;
pub use fast_resnet::FastResNet;
pub use kind::{ModelKind, ModelParseError};
pub use linear::Linear;
pub use parameters::{Parameters, ParametersError};
pub use preact_resnet::PreActResNet18;
pub use torch_script::TorchScript;

use init::Init;
use mixfeed_pipeline::spec::MAX_BATCH_BYTES;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::{fs, io};
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

    /// The contents of the file it came from, if there was one: what it takes, beside the tensors, to
    /// have the same network again.
    fn file(&self) -> Option<&[u8]> {
        None
    }
}

/// What images are scored for: PyTorch's `train()` and `eval()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To learn from them: batch normalisation looks at the batch, and keeps running averages.
    Training,
    /// To judge them: each image for itself, and nothing in the model changes.
    Evaluation,
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

impl Problem {
    /// Numbers of an image; none where a size is not positive, or there are more than a batch of a stream may have.
    pub(crate) fn image_values(self) -> Option<i64> {
        let sides = [self.height, self.width, self.channels];
        let values = sides.into_iter().try_fold(1_i64, |values, side| values.checked_mul(side))?;
        (sides.into_iter().all(|side| side > 0) && values <= MAX_BATCH_BYTES as i64).then_some(values)
    }
}

/// A network cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It does not take the images that the loaders send.
    #[error(
        "model {model} takes images of {wanted}, the loaders send {height} x {width} x {channels}",
        height = got.height, width = got.width, channels = got.channels
    )]
    Shape {
        /// Its name.
        model: &'static str,
        /// Height, width and channels that it takes.
        wanted: &'static str,
        /// What is sent.
        got: Problem,
    },
    /// Its file cannot be read.
    #[error("cannot read network {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its file holds none that can be trained here.
    #[error("network {path} cannot be used: {problem}", path = path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Builds the network: those of this crate with PyTorch's default initial weights, which follow from
/// `seed` alone, one from a file with the weights in it.
///
/// # Errors
/// When the network does not fit the images, or its file cannot be used.
pub fn build(
    kind: ModelKind,
    problem: Problem,
    seed: u64,
    device: Device,
) -> Result<Box<dyn Model>, ModelError> {
    let Problem { height, width, channels, classes } = problem;
    let is_small = (height, width, channels) == (32, 32, 3);
    let init = Init::new(seed, device);
    Ok(match kind {
        ModelKind::TorchScript(path) => match fs::read(&path) {
            Ok(file) => Box::new(TorchScript::new(file, &path, problem, device)?),
            Err(source) => return Err(ModelError::Read { path, source }),
        },
        ModelKind::Linear => Box::new(Linear::new(problem, &init)),
        kind if !is_small => {
            return Err(ModelError::Shape { model: kind.name(), wanted: "32 x 32 x 3", got: problem });
        }
        ModelKind::ArticleCnn => Box::new(ArticleCnn::new(classes, &init)),
        ModelKind::PreActResNet18 => Box::new(PreActResNet18::new(classes, &init)),
        ModelKind::FastResNet => Box::new(FastResNet::new(classes, &init)),
    })
}

/// The layer that scores the classes, and the shape of its weights, classes × inputs: all of a network that grows with
/// the number of classes, and what its memory can be told from before it is built. None of a network from a file,
/// or for images that no stream has.
pub(crate) fn scoring_layer(kind: &ModelKind, problem: Problem) -> Option<(&'static str, [i64; 2])> {
    let (name, inputs) = match kind {
        ModelKind::TorchScript(_) => return None,
        ModelKind::Linear => ("fc", problem.image_values()?),
        ModelKind::ArticleCnn => ("fc2", 256),
        ModelKind::PreActResNet18 | ModelKind::FastResNet => ("linear", 512),
    };
    Some((name, [problem.classes, inputs]))
}

/// Builds the network again whose file, if it came from one, was kept. Its weights are to be loaded.
///
/// # Errors
/// As for [`build`].
pub fn build_again(
    kind: ModelKind,
    file: Option<&[u8]>,
    problem: Problem,
    device: Device,
) -> Result<Box<dyn Model>, ModelError> {
    match (kind, file) {
        (ModelKind::TorchScript(path), Some(file)) => {
            Ok(Box::new(TorchScript::new(file.to_owned(), &path, problem, device)?))
        }
        (kind, _) => build(kind, problem, 0, device),
    }
}

#[cfg(test)]
mod tests;
