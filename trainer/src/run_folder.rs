//! The folder that a training leaves behind: what was run, how it went, and the trained model.
//!
//! | file | holds |
//! |---|---|
//! | `run.toml` | everything the run depends on: settings, stream, data set, algorithm, machine |
//! | `metrics.csv` | one row per epoch |
//! | `curves.png` | the same, drawn |
//! | `checkpoint-last.safetensors` | the model, the optimiser and the position, see [`crate::checkpoint`] |

use crate::config::{RunConfig, Settings};
use crate::device;
use crate::files::write_atomically;
use crate::observer::Epoch;
use mixfeed_client::{StreamInfo, StreamSpec};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tch::Device;

/// The format of `run.toml` that this release writes.
pub const FORMAT: u32 = 1;

const RUN: &str = "run.toml";
const METRICS: &str = "metrics.csv";
const CURVES: &str = "curves.png";
const CHECKPOINT: &str = "checkpoint-last.safetensors";
const COMPARISON: &str = "compare.json";

/// Files by which a folder is known to hold a run, and which `--overwrite` replaces. Nothing else in
/// the folder is ever touched.
const FILES: [&str; 5] = [RUN, METRICS, CURVES, CHECKPOINT, COMPARISON];

/// A run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// It holds a run already.
    #[error("{path} already holds a run; give another --output, or --overwrite", path = .0.display())]
    Taken(PathBuf),
    /// It cannot be made or written to.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// File or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The run cannot be written down.
    #[error("cannot describe the run: {0}")]
    Describe(#[from] toml::ser::Error),
}

impl RunFolderError {
    /// Whether another `--output` is the way out.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, RunFolderError::Describe(_))
    }
}

/// The contents of `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunFile {
    /// [`FORMAT`] of the release that wrote it; newer ones are to be refused.
    pub format: u32,
    /// That release.
    pub release: String,
    /// The commit it was built from.
    pub commit: String,
    /// Digest of `stream`, hexadecimal: the name of the stream in logs.
    pub spec_digest: String,
    /// Batches of an epoch.
    pub batches_per_epoch: u64,
    /// What was learnt from.
    pub dataset: DatasetRecord,
    /// What made the batches.
    pub algorithm: AlgorithmRecord,
    /// What computed.
    pub machine: MachineRecord,
    /// The stream of batches: with this and an index, any loader makes the same batch again.
    pub stream: StreamSpec,
    /// All settings, in the form that `--config` reads.
    pub settings: Settings,
}

/// A data set, as a run records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DatasetRecord {
    /// Short readable name.
    pub name: String,
    /// Digest of its records, hexadecimal.
    pub digest: String,
    /// Number of training samples.
    pub train_samples: u64,
    /// Number of test samples.
    pub test_samples: u64,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// An algorithm, as a run records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlgorithmRecord {
    /// Readable version.
    pub version: u32,
    /// Fingerprint, hexadecimal: what counts.
    pub fingerprint: String,
}

/// A machine, as a run records it: the same is needed for the same weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineRecord {
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads that compute.
    pub threads: usize,
    /// Type of processor.
    pub cpu: String,
}

/// A run folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a folder for a run, or takes an existing one that holds none; one that holds a run only
    /// with `overwrite`. The files of that run stay until [`RunFolder::begin`].
    ///
    /// # Errors
    /// When it holds a run, or cannot be made.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, RunFolderError> {
        let folder = RunFolder { path: path.to_owned() };
        if !overwrite && FILES.iter().any(|name| path.join(name).exists()) {
            return Err(RunFolderError::Taken(folder.path));
        }
        fs::create_dir_all(path).map_err(|source| folder.error("", source))?;
        Ok(folder)
    }

    /// Makes the first folder `runs/<name>-N` that is not there yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_next(runs: &Path, name: &str) -> Result<Self, RunFolderError> {
        let error = |path: &Path, source| RunFolderError::Write { path: path.to_owned(), source };
        fs::create_dir_all(runs).map_err(|source| error(runs, source))?;
        for number in 1_u64.. {
            let path = runs.join(format!("{name}-{number}"));
            // Making it is what claims it: of two runs started at once, one goes on to the next.
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunFolder { path }),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(error(&path, source)),
            }
        }
        unreachable!("there are more numbers than folders")
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the checkpoint lies.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// Where the curves lie.
    #[must_use]
    pub fn curves(&self) -> PathBuf {
        self.path.join(CURVES)
    }

    /// Where the result of a comparison lies.
    #[must_use]
    pub fn comparison(&self) -> PathBuf {
        self.path.join(COMPARISON)
    }

    /// Removes the files of an earlier run and writes down what is about to be run.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn begin(&self, config: &RunConfig, info: &StreamInfo, device: Device) -> Result<(), RunFolderError> {
        let hex = |digest: [u8; 32]| blake3::Hash::from(digest).to_string();
        let run = RunFile {
            format: FORMAT,
            release: mixfeed_ops::build::RELEASE.to_owned(),
            commit: mixfeed_ops::build::COMMIT.to_owned(),
            spec_digest: hex(config.training.stream.digest()),
            batches_per_epoch: info.batches_per_epoch,
            dataset: DatasetRecord {
                name: info.dataset.name.clone(),
                digest: hex(info.dataset.digest),
                train_samples: info.dataset.train_samples,
                test_samples: info.dataset.test_samples,
                classes: info.dataset.classes.clone(),
            },
            algorithm: AlgorithmRecord {
                version: info.algorithm_version,
                fingerprint: hex(info.algorithm_fingerprint),
            },
            machine: MachineRecord {
                device: device::name(device),
                threads: config.threads,
                cpu: device::cpu_model(),
            },
            stream: config.training.stream.clone(),
            settings: config.settings.clone(),
        };
        let text = toml::to_string(&run)?;
        for name in FILES {
            match fs::remove_file(self.path.join(name)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(self.error(name, source));
                }
                _ => {}
            }
        }
        let path = self.path.join(RUN);
        write_atomically(&path, text.as_bytes()).map_err(|source| self.error(RUN, source))?;
        write_atomically(&self.path.join(METRICS), COLUMNS.as_bytes())
            .map_err(|source| self.error(METRICS, source))
    }

    /// Adds an epoch to `metrics.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self, epoch: &Epoch) -> Result<(), RunFolderError> {
        // One write for the whole row: a row is there or not.
        let row = row(epoch);
        let file = OpenOptions::new().append(true).open(self.path.join(METRICS));
        file.and_then(|mut file| file.write_all(row.as_bytes())).map_err(|source| self.error(METRICS, source))
    }

    fn error(&self, name: &str, source: io::Error) -> RunFolderError {
        RunFolderError::Write { path: self.path.join(name), source }
    }
}

/// The checkpoint that a path given by a person means: the file itself, or that of a run folder.
#[must_use]
pub fn checkpoint_in(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(CHECKPOINT) } else { path.to_owned() }
}

const COLUMNS: &str = "epoch,steps,images,train_loss,test_accuracy,images_per_second,seconds,data_wait_seconds,\
                       evaluation_seconds,learning_rate\n";

fn row(row: &Epoch) -> String {
    let rate = row.images_per_second();
    let Epoch { epoch, steps, images, train_loss, test_accuracy, learning_rate, .. } = row;
    let Epoch { seconds, data_wait_seconds, evaluation_seconds, .. } = row;
    format!(
        "{epoch},{steps},{images},{train_loss},{test_accuracy},{rate:.1},{seconds:.3},{data_wait_seconds:.3},\
         {evaluation_seconds:.3},{learning_rate}\n"
    )
}

#[cfg(test)]
mod tests;
