//! A training at rest: everything it takes to evaluate the model, or to go on as if nothing happened.
//!
//! One safetensors file holds it all, so that a checkpoint is either whole or not there. Tensors are
//! named as PyTorch names the model's parameters; those of the optimiser follow under `optimizer/`.
//! Everything else is one JSON object under the metadata key `mixfeed`. In Python:
//!
//! ```python
//! state = safetensors.torch.load_file("checkpoint-last.safetensors")
//! net.load_state_dict({k: v for k, v in state.items() if not k.startswith("optimizer/")})
//! ```

mod format;
mod kept;

pub use kept::Kept;
pub(crate) use kept::{LAST, NAMES};

use crate::files::{Pending, link_atomically};
use crate::model::{self, Model, ModelKind, ParametersError, Problem, ShapeError};
use crate::observer::Epoch;
use crate::optimizer::{Optimizer, StateError};
use crate::staging::Normalisation;
use crate::weights;
use format::Unreadable;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// The format this release writes. Older ones are read, newer ones refused by name.
pub const FORMAT: u32 = 1;

/// What the names of the optimiser's tensors begin with; no parameter's name holds a slash.
const OPTIMIZER_PREFIX: &str = "optimizer/";

/// What a checkpoint says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the release that wrote it.
    pub format: u32,
    /// That release.
    pub release: String,
    /// Network.
    pub model: ModelKind,
    /// Size of the images, number of classes.
    pub problem: Problem,
    /// How pixels become numbers.
    pub normalisation: Normalisation,
    /// Name of the data set it learnt from.
    pub dataset: String,
    /// Digest of that data set, hexadecimal.
    pub dataset_digest: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Fingerprint of the algorithm that made the batches, hexadecimal.
    pub algorithm_fingerprint: String,
    /// Digest of the stream of batches, hexadecimal.
    pub spec_digest: String,
    /// Index of the next batch to train on: this, and nothing else, says where training stands.
    pub next_batch: u64,
    /// Sum of the losses of the samples of the unfinished epoch. An epoch is finished when it is
    /// evaluated, and its row is the last of `history`.
    pub loss_sum: f64,
    /// Number of these samples.
    pub loss_rows: u64,
    /// Time spent training in the unfinished epoch, by all processes that led here.
    pub epoch_seconds: f64,
    /// Part of it spent waiting for data.
    pub epoch_data_wait_seconds: f64,
    /// Loader replicas that delivered batches, at most to one process.
    pub replicas_seen: u64,
    /// The finished epochs, as in `metrics.csv`.
    pub history: Vec<Epoch>,
    /// Device, CPU threads and processor that computed: the same are needed for the same weights.
    pub device: String,
    /// See `device`.
    pub threads: usize,
    /// See `device`.
    pub cpu: String,
    /// Digest of the parameters and buffers, as [`weights`] defines it.
    pub weights_digest: String,
    /// The same over all tensors in the file, the optimiser's included: what finds damage.
    pub tensors_digest: String,
}

/// A checkpoint, read and found whole.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says about itself.
    pub header: Header,
    parameters: Vec<(String, Tensor)>,
    optimizer: Vec<(String, Tensor)>,
}

/// Why a checkpoint cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be written.
    #[error("cannot write checkpoint {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read checkpoint {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is damaged, or no checkpoint at all.
    #[error("checkpoint {path} is damaged: {problem}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer release wrote it.
    #[error(
        "checkpoint {path} has format {format}, release {release} reads up to {FORMAT}",
        path = path.display(), release = mixfeed_ops::build::RELEASE
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// Another run wrote it.
    #[error("checkpoint {path} is not one of this run: its {what} is another", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What tells.
        what: &'static str,
    },
    /// There are checkpoints, and none can be used.
    #[error("no checkpoint in {folder} is whole ({problems})", folder = folder.display())]
    NoneWhole {
        /// The run folder.
        folder: PathBuf,
        /// What is wrong with each.
        problems: String,
    },
    /// Its model does not fit its own images.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Its parameters are not those of its model.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// Its optimiser state is not that of its optimiser.
    #[error(transparent)]
    State(#[from] StateError),
}

impl CheckpointError {
    /// Whether asking for another file is the way out.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, CheckpointError::Read { .. } | CheckpointError::Newer { .. })
    }

    /// Whether the file is to blame.
    #[must_use]
    pub fn is_data(&self) -> bool {
        !self.is_usage() && !matches!(self, CheckpointError::Write { .. })
    }
}

/// Writes a checkpoint, whole or not at all. One that was there before gets the name
/// `previous`, if that is given. The digests in `header` are filled in here.
///
/// # Errors
/// When the file cannot be written; one that was there before is left alone then.
pub fn write(
    path: &Path,
    previous: Option<&Path>,
    mut header: Header,
    model: &dyn Model,
    optimizer: &dyn Optimizer,
) -> Result<Header, CheckpointError> {
    let parameters = model.parameters();
    let mut tensors: Vec<_> =
        parameters.all().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
    let state = optimizer.state().into_iter();
    tensors.extend(state.map(|(name, tensor)| (format!("{OPTIMIZER_PREFIX}{name}"), tensor)));
    header.weights_digest = weights::digest(parameters.all()).to_string();
    header.tensors_digest = format::digest(&tensors);

    let error = |source| CheckpointError::Write { path: path.to_owned(), source };
    let bytes = format::encode(&header, &tensors).map_err(|problem| error(io::Error::other(problem)))?;
    let pending = Pending::write(path, &bytes).map_err(error)?;
    if let Some(previous) = previous {
        link_atomically(path, previous).map_err(error)?;
    }
    pending.publish().map_err(error)?;
    Ok(header)
}

/// Reads a checkpoint and makes sure that it is whole.
///
/// # Errors
/// When it cannot be read, is damaged, or was written by a newer release.
pub fn read(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let path = path.to_owned();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(CheckpointError::Read { path, source }),
    };
    let (header, tensors) = match format::decode(&bytes) {
        Ok(decoded) => decoded,
        Err(Unreadable::Newer(format)) => return Err(CheckpointError::Newer { path, format }),
        Err(Unreadable::Damaged(problem)) => return Err(CheckpointError::Damaged { path, problem }),
    };
    let (optimizer, parameters): (Vec<_>, Vec<_>) =
        tensors.into_iter().partition(|(name, _)| name.starts_with(OPTIMIZER_PREFIX));
    let bare = |(name, tensor): (String, Tensor)| (name[OPTIMIZER_PREFIX.len()..].to_owned(), tensor);
    Ok(Checkpoint { header, parameters, optimizer: optimizer.into_iter().map(bare).collect() })
}

impl Checkpoint {
    /// The trained model, on `device`.
    ///
    /// # Errors
    /// When the file's parameters are not those of the model it names.
    pub fn model(&self, device: Device) -> Result<Box<dyn Model>, CheckpointError> {
        let mut model = model::build(self.header.model, self.header.problem, 0, device)?;
        model.parameters_mut().load(&self.parameters)?;
        Ok(model)
    }

    /// Gives the optimiser what it remembered.
    ///
    /// # Errors
    /// When that is not the state of this optimiser.
    pub fn restore(&self, optimizer: &mut dyn Optimizer) -> Result<(), CheckpointError> {
        let state = self.optimizer.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        Ok(optimizer.load(state.collect())?)
    }
}

#[cfg(test)]
mod tests;
