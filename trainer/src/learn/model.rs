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
use mixfeed_pipeline::spec::MAX_IMAGE_BYTES;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
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
    /// Numbers of an image; none where a size is not positive, or there are more than an image of a stream may have.
    pub(crate) fn image_values(self) -> Option<i64> {
        let sides = [self.height, self.width, self.channels];
        let values = sides.into_iter().try_fold(1_i64, |values, side| values.checked_mul(side))?;
        (sides.into_iter().all(|side| side > 0) && values <= MAX_IMAGE_BYTES as i64).then_some(values)
    }
}

/// A network is not available.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It does not take the images that there are.
    #[error(
        "model {model} takes images of {wanted}, not of {height} x {width} x {channels}",
        height = got.height, width = got.width, channels = got.channels
    )]
    Shape {
        /// Its name.
        model: &'static str,
        /// Heights, widths and channels that it takes.
        wanted: &'static str,
        /// What it was to take.
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
    check_size(&kind, problem)?;
    let init = Init::new(seed, device);
    Ok(match kind {
        ModelKind::TorchScript(path) => match fs::read(&path) {
            Ok(file) => Box::new(TorchScript::new(file, &path, problem, device)?),
            Err(source) => return Err(ModelError::Read { path, source }),
        },
        ModelKind::Linear => Box::new(Linear::new(problem, &init)),
        ModelKind::ArticleCnn => Box::new(ArticleCnn::new(problem, &init)),
        ModelKind::PreActResNet18 => Box::new(PreActResNet18::new(problem.classes, &init)),
        ModelKind::FastResNet => Box::new(FastResNet::new(problem.classes, &init)),
    })
}

/// Checks that a network takes the images of `problem`. What one from a file takes is found by trying.
///
/// # Errors
/// When it does not.
pub(crate) fn check_size(kind: &ModelKind, problem: Problem) -> Result<(), ModelError> {
    let (sides, wanted) = match kind {
        ModelKind::Linear | ModelKind::TorchScript(_) => return Ok(()),
        ModelKind::ArticleCnn => (article_cnn::SIDES, "16 x 16 x 3 to 512 x 512 x 3"),
        ModelKind::PreActResNet18 | ModelKind::FastResNet => (HALVED_SIDES, "8 x 8 x 3 or larger"),
    };
    let Problem { height, width, channels, .. } = problem;
    if channels == 3 && sides.contains(&height) && sides.contains(&width) {
        return Ok(());
    }
    Err(ModelError::Shape { model: kind.name(), wanted, got: problem })
}

/// Sides of an image that can be halved three times.
const HALVED_SIDES: RangeInclusive<i64> = 8..=i64::MAX;

/// The layers whose size depends on the classes or the images, and the shapes of their weights, outputs × inputs: what a
/// network's memory can be told from before it is built. `problem` is one of images that a stream may have and the network
/// takes; of a network from a file nothing is known.
pub(crate) fn layers_by_problem(kind: &ModelKind, problem: Problem) -> Vec<(&'static str, [i64; 2])> {
    let Problem { height, width, channels, classes } = problem;
    match kind {
        ModelKind::TorchScript(_) => Vec::new(),
        ModelKind::Linear => vec![("fc", [classes, height * width * channels])],
        ModelKind::ArticleCnn => {
            let fc1 = article_cnn::fc1_shape(problem);
            vec![("fc1", fc1), ("fc2", [classes, fc1[0]])]
        }
        ModelKind::PreActResNet18 | ModelKind::FastResNet => vec![("linear", [classes, 512])],
    }
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
