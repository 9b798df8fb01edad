//! A training at rest: everything it takes to evaluate the model, or to go on as if nothing happened.
//!
//! One safetensors file holds it all, so that a checkpoint is either whole or not there. Tensors are
//! named as PyTorch names the model's parameters and buffers. What only a resumed training needs has a
//! slash in its name: what the optimiser remembers is under `optimizer/`, and, where the model kept is
//! an average ([`crate::learn::ema`]), the weights that training goes on with are under `training/`. A network
//! that came from a TorchScript file has that file in it, as bytes: `torchscript/file`.
//! Everything else is one JSON object under the metadata key `mixfeed`. In Python:
//!
//! ```python
//! state = safetensors.torch.load_file("checkpoint-last.safetensors")
//! net.load_state_dict({k: v for k, v in state.items() if "/" not in k})
//! ```

mod format;
mod header;
mod store;

pub use header::Header;
pub use store::{CheckpointStore, read_newest};
pub(crate) use store::{LAST, NAMES};

use crate::learn::ema::Ema;
use crate::learn::model::{self, Model, ModelError, ModelKind, ParametersError, Problem};
use crate::learn::optimizer::{Optimizer, StateError};
use crate::learn::weights;
use crate::run::observer::Epoch;
use format::Unreadable;
use mixfeed_ops::files::{Pending, link_atomically};
use std::io;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// The format this release writes. Older ones are read, newer ones refused by name.
pub const FORMAT: u32 = 1;

/// What the names of the optimiser's tensors begin with; no parameter's name holds a slash.
const OPTIMIZER_PREFIX: &str = "optimizer/";

/// More epochs or images than any training has: whole numbers of a f64 end there.
const MOST: f64 = 9e15;

/// The name of a network's file, as bytes, where the model came from one.
const FILE: &str = "torchscript/file";

/// What the names of the weights begin with that training goes on with, where an average is kept.
const TRAINING_PREFIX: &str = "training/";

/// A checkpoint, read and found whole.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says about itself.
    pub header: Header,
    /// The model's.
    tensors: Vec<(String, Tensor)>,
    /// The file that the model came from, if it came from one.
    file: Option<Vec<u8>>,
    /// Those of the weights behind the model, when that is an average; else empty.
    training: Vec<(String, Tensor)>,
    optimizer: Vec<(String, Tensor)>,
}

/// What a checkpoint is made of, beside its header.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// The model that is trained.
    pub model: &'a dyn Model,
    /// Its average, where one is kept: what is evaluated, and what others load.
    pub average: Option<&'a dyn Model>,
    /// What the optimiser remembers.
    pub optimizer: &'a dyn Optimizer,
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
    #[error("checkpoint {path} belongs to a different run: its {what} differs", path = path.display())]
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
    /// The newest of a run folder cannot be used, and an older one can.
    #[error("{problem}; {whole}, after step {step}, is whole: name it to use it", whole = whole.display())]
    NewestUnusable {
        /// What is wrong with the newest.
        problem: Box<CheckpointError>,
        /// The newest of those that are whole.
        whole: PathBuf,
        /// The steps that it has learnt from.
        step: u64,
    },
    /// There are none, and the run has made steps.
    #[error(
        "no checkpoint is left in {folder}, and its metrics.csv tells of {epochs} epochs: put one back, or remove the \
         folder to begin anew",
        folder = folder.display()
    )]
    NoneLeft {
        /// The run folder.
        folder: PathBuf,
        /// Rows of its metrics.
        epochs: usize,
    },
    /// Its model cannot be had from it.
    #[error(transparent)]
    Model(#[from] ModelError),
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
        match self {
            CheckpointError::Read { .. } | CheckpointError::Newer { .. } => true,
            CheckpointError::NewestUnusable { problem, .. } => problem.is_usage(),
            _ => false,
        }
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
    contents: &Contents<'_>,
) -> Result<Header, CheckpointError> {
    let Contents { model, average, optimizer } = contents;
    let judged = average.unwrap_or(*model).parameters();
    let named = |prefix: &'static str| {
        move |(name, tensor): (&str, &Tensor)| (format!("{prefix}{name}"), tensor.shallow_clone())
    };
    let mut tensors: Vec<_> = judged.all().map(named("")).collect();
    if average.is_some() {
        tensors.extend(model.parameters().all().map(named(TRAINING_PREFIX)));
    }
    tensors.extend(model.file().map(|file| (FILE.to_owned(), Tensor::from_slice(file))));
    let state = optimizer.state().into_iter();
    tensors.extend(state.map(|(name, tensor)| (format!("{OPTIMIZER_PREFIX}{name}"), tensor)));
    header.weights_digest = weights::digest(judged.all()).to_string();
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

/// Reads a checkpoint and makes sure that it is whole, and that its header tells of its tensors: a network of
/// this crate takes no more memory than the file has numbers for, beside the layers that have a size of their own. One
/// from a TorchScript file is a program, which takes what it takes.
///
/// # Errors
/// When it cannot be read, is damaged, or was written by a newer release.
pub fn read(path: &Path) -> Result<Checkpoint, CheckpointError> {
    match std::fs::read(path) {
        Ok(bytes) => parse(path, &bytes),
        Err(source) => Err(CheckpointError::Read { path: path.to_owned(), source }),
    }
}

/// Makes sure of the contents of the file `path` as [`read`] does.
///
/// # Errors
/// When they are damaged, or were written by a newer release.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let path = path.to_owned();
    let (header, tensors) = match format::decode(bytes) {
        Ok(decoded) => decoded,
        Err(Unreadable::Newer(format)) => return Err(CheckpointError::Newer { path, format }),
        Err(Unreadable::Damaged(problem)) => return Err(CheckpointError::Damaged { path, problem }),
    };
    let mut checkpoint =
        Checkpoint { header, tensors: Vec::new(), file: None, training: Vec::new(), optimizer: Vec::new() };
    for (name, tensor) in tensors {
        if name == FILE {
            checkpoint.file = Some(weights::row_major_bytes(&tensor));
            continue;
        }
        let (list, name) = if let Some(name) = name.strip_prefix(OPTIMIZER_PREFIX) {
            (&mut checkpoint.optimizer, name)
        } else if let Some(name) = name.strip_prefix(TRAINING_PREFIX) {
            (&mut checkpoint.training, name)
        } else {
            (&mut checkpoint.tensors, name.as_str())
        };
        list.push((name.to_owned(), tensor));
    }
    match checkpoint.contradiction() {
        Some(problem) => Err(CheckpointError::Damaged { path, problem }),
        None => Ok(checkpoint),
    }
}

impl Checkpoint {
    /// What the header says that cannot be true of the rest. Digests say that a file is as it was written, and
    /// anybody can write them: nothing is built whose size the tensors do not speak for.
    fn contradiction(&self) -> Option<String> {
        let Header { model: kind, problem, classes, .. } = &self.header;
        if problem.image_values().is_none() {
            let Problem { height, width, channels, .. } = problem;
            return Some(format!("no stream has images of {height} x {width} x {channels}"));
        }
        if classes.is_empty() || classes.len() as i64 != problem.classes {
            return Some(format!("it is of {} classes, and names {}", problem.classes, classes.len()));
        }
        let in_range =
            |epoch: &Epoch| (0.0..MOST).contains(&epoch.epoch) && epoch.steps <= self.header.next_batch;
        if !self.header.history.iter().all(in_range) || self.header.loss_rows as f64 >= MOST {
            return Some("its history is of epochs that cannot have been".to_owned());
        }
        if matches!(kind, ModelKind::TorchScript(_)) {
            return self.file.is_none().then(|| "the file of its network is not in it".to_owned());
        }
        if let Err(error) = model::check_size(kind, *problem) {
            return Some(error.to_string());
        }
        model::layers_by_problem(kind, *problem).into_iter().find_map(|(layer, shape)| {
            let name = format!("{layer}.weight");
            match self.tensors.iter().find(|(other, _)| *other == name) {
                Some((_, weights)) if weights.size() == shape => None,
                Some((_, weights)) => {
                    let got = weights.size();
                    Some(ParametersError::Shape { name, wanted: shape.to_vec(), got }.to_string())
                }
                None => Some(ParametersError::Missing(name).to_string()),
            }
        })
    }

    /// The model to be judged and used, on `device`.
    ///
    /// # Errors
    /// When the file's tensors are not those of the model it names.
    pub fn model(&self, device: Device) -> Result<Box<dyn Model>, CheckpointError> {
        self.model_of(&self.tensors, device)
    }

    /// Gives `model` the weights and buffers that [`Checkpoint::model`] has.
    ///
    /// # Errors
    /// When that is another network, or one for other classes.
    pub fn give_to(&self, model: &mut dyn Model) -> Result<(), ParametersError> {
        model.parameters_mut().load(&self.tensors)
    }

    /// The model that training goes on with, on `device`: the weights behind the average, where one is
    /// kept.
    ///
    /// # Errors
    /// As for [`Checkpoint::model`].
    pub fn trained_model(&self, device: Device) -> Result<Box<dyn Model>, CheckpointError> {
        self.model_of(if self.training.is_empty() { &self.tensors } else { &self.training }, device)
    }

    fn model_of(
        &self,
        tensors: &[(String, Tensor)],
        device: Device,
    ) -> Result<Box<dyn Model>, CheckpointError> {
        let Header { model: kind, problem, .. } = &self.header;
        let mut model = model::build_again(kind.clone(), self.file.as_deref(), *problem, device)?;
        model.parameters_mut().load(tensors)?;
        Ok(model)
    }

    /// Gives the average what it was.
    ///
    /// # Errors
    /// When the file's tensors are not those of its model.
    pub fn restore_average(&self, ema: &mut Ema) -> Result<(), CheckpointError> {
        Ok(ema.model_mut().parameters_mut().load(&self.tensors)?)
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
