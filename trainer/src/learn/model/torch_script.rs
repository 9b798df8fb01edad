//! Any network that PyTorch can write as a TorchScript file, trained in place.
//!
//! The file holds code and initial weights, so that here, alone among the networks, the seed does not
//! shape them. Parameters that ask for no gradients (frozen layers) are kept as buffers are. Code is run
//! as it is written: libtorch's rewriting of it would change the last bits between the first runs and
//! the later ones.
//!
//! Modules have to be scripted (`torch.jit.script`); traced ones have lost the difference between
//! training and evaluation.

use super::{Mode, Model, ModelError, Parameters, Problem};
use crate::machine::shim::ScriptModule;
use std::panic::panic_any;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, no_grad};

/// Images of the first try: two, so that a batch is told from an image.
const TRIED_IMAGES: i64 = 2;

/// A network from a file.
pub struct TorchScript {
    path: PathBuf,
    file: Vec<u8>,
    module: ScriptModule,
    parameters: Parameters,
    classes: i64,
}

impl TorchScript {
    /// Reads the network from the contents of its file and tries it on black images; `path` is its name
    /// in errors.
    ///
    /// # Errors
    /// When it cannot be read, has nothing to learn, or gives no scores of these classes.
    pub(super) fn new(
        file: Vec<u8>,
        path: &Path,
        problem: Problem,
        device: Device,
    ) -> Result<Self, ModelError> {
        let error = |problem: String| ModelError::Script { path: path.to_owned(), problem };
        let module = ScriptModule::load(&file, device).map_err(error)?;
        let (learnt, kept): (Vec<_>, Vec<_>) =
            module.tensors().into_iter().partition(|tensor| tensor.is_learnt);
        if learnt.is_empty() {
            return Err(error("it has no parameters to learn; frozen modules have none".to_owned()));
        }
        let bare = |tensors: Vec<crate::machine::shim::NamedTensor>| -> Vec<_> {
            tensors.into_iter().map(|named| (named.name, named.tensor)).collect()
        };
        let parameters = Parameters::of(&bare(learnt), bare(kept));
        let Problem { height, width, channels, classes } = problem;
        let images = Tensor::zeros([TRIED_IMAGES, channels, height, width], (Kind::Float, device));
        let network = TorchScript { path: path.to_owned(), file, module, parameters, classes };
        drop(no_grad(|| network.scores(&images, Mode::Evaluation))?);
        Ok(network)
    }

    /// Scores, images × classes.
    fn scores(&self, images: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let error = |problem: String| ModelError::Script { path: self.path.clone(), problem };
        let scores = self.module.forward(images, mode == Mode::Training).map_err(error)?;
        let size = images.size();
        let wanted = [size[0], self.classes];
        if scores.size() != wanted {
            let (count, [channels, height, width]) = (size[0], [size[1], size[2], size[3]]);
            return Err(error(format!(
                "for {count} image{} of {channels} x {height} x {width} it gives {:?}, not {wanted:?}: a score for each \
                 of the {} classes",
                if count == 1 { "" } else { "s" },
                scores.size(),
                self.classes
            )));
        }
        Ok(scores)
    }
}

impl Model for TorchScript {
    /// # Panics
    /// With a [`ModelError`] when the network does otherwise than when it was tried: memory is short, or its code
    /// does something else in training or for other numbers of images. [`crate::panics`] makes an error of it.
    fn forward_in(&self, images: &Tensor, mode: Mode) -> Tensor {
        self.scores(images, mode).unwrap_or_else(|error| panic_any(error))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn file(&self) -> Option<&[u8]> {
        Some(&self.file)
    }
}

#[cfg(test)]
mod tests;
