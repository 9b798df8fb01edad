//! The folder that a training leaves behind: what was run, how it went, and the trained model.
//!
//! | file | holds |
//! |---|---|
//! | `run.toml` | everything the run depends on: settings, stream, dataset, algorithm, machine |
//! | `metrics.csv` | one row per epoch |
//! | `curves.png`, `curves.svg` | the same, drawn |
//! | `events.out.tfevents.…` | the same for TensorBoard, see [`crate::run::tensorboard`] |
//! | `compare.toml`, `compare.json`, `compare.csv`, `grid.png`, `grid.svg` | the same of a comparison |
//! | `checkpoint-….safetensors` | the model, the optimiser and the position: the last two and the best, see [`CheckpointStore`] |
//!
//! Whatever else is in the folder stays as it is ([`own`]), and a start that comes to nothing leaves nothing behind.

mod error;
mod kept;
mod lock;
mod own;
mod run_file;

pub use error::RunFolderError;
pub use kept::{KeptEpoch, KeptRun};
pub use run_file::{AlgorithmRecord, DatasetRecord, FORMAT, LeftOutRecord, MachineRecord, RunFile};

#[cfg(doc)]
use crate::run::checkpoint::CheckpointStore;
use crate::run::checkpoint::LAST;
use crate::run::observer::Epoch;
use crate::run::tensorboard;
use lock::Lock;
use mixfeed_ops::files::write_atomically;
use own::RunFiles;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

const RUN: &str = "run.toml";
const METRICS: &str = "metrics.csv";

const CURVES: &str = RunFolder::CURVES;

/// A run folder, locked for this process until the last copy is dropped.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    lease: Arc<Lease>,
}

/// What is given back when the last copy of a [`RunFolder`] is dropped.
#[derive(Debug)]
struct Lease {
    path: PathBuf,
    lock: Lock,
    made: Made,
    /// Event files that were there before.
    events: Vec<OsString>,
    /// Whether the files of a run that are there are of this one.
    has_begun: AtomicBool,
    /// Whether there is something that is worth keeping.
    is_kept: AtomicBool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_kept.load(Ordering::Relaxed) {
            self.made.0.clear();
            return;
        }
        // As far as it can be: whoever failed to begin has a better error to tell than that some of this stays.
        if self.has_begun.load(Ordering::Relaxed) {
            for name in RunFiles::of(&self.path).own {
                let _ = fs::remove_file(self.path.join(name));
            }
            let _ = tensorboard::clear(&self.path, &self.events);
        }
        self.lock.remove();
    }
}

/// Folders that were made, outermost first. Dropped, those that are empty are gone again.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a folder and those around it that are not there.
    fn of(path: &Path) -> Result<Self, RunFolderError> {
        let error = |source| RunFolderError::Take { path: path.to_owned(), source };
        let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
        let mut made = Made::default();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => made.0.push(folder.to_owned()),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(error(source)),
            }
        }
        // Where a file is in its place, it shows here.
        fs::create_dir_all(path).map_err(error)?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // It fails where somebody has put something there.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl RunFolder {
    /// Name of the curves.
    pub(crate) const CURVES: &str = "curves.png";
    /// Name of the file by which a comparison goes on.
    pub(crate) const COMPARE: &str = "compare.toml";
    /// Name of the result of a comparison.
    pub(crate) const COMPARISON: &str = "compare.json";
    /// Name of the table of the trainings of a comparison.
    pub(crate) const COMPARISON_CSV: &str = "compare.csv";
    /// Name of the file with what a run has found out about its loaders.
    pub(crate) const LOADERS: &str = "loaders.json";
    /// Name of the picture of a grid.
    pub(crate) const GRID: &str = "grid.png";

    /// Takes a folder that is there, whatever it holds; none where there is no folder.
    ///
    /// # Errors
    /// When another process works in it.
    pub(crate) fn existing(path: &Path) -> Result<Option<Self>, RunFolderError> {
        path.is_dir().then(|| Self::lock(path, Made::default(), true)).transpose()
    }

    /// Whether a run may be written to a folder, if there is one: it holds none, or is to be overwritten, and nothing
    /// that a run would replace is somebody else's.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) fn check(path: &Path, overwrite: bool) -> Result<(), RunFolderError> {
        let RunFiles { own, foreign } = RunFiles::of(path);
        if !own.is_empty() && !overwrite {
            return Err(RunFolderError::Taken(path.to_owned()));
        }
        foreign.map_or(Ok(()), |name| Err(RunFolderError::Foreign(path.join(name))))
    }

    /// Whether it holds a comparison.
    pub(crate) fn is_comparison(&self) -> bool {
        self.path.join(Self::COMPARE).exists()
    }

    /// Warns of runs in folders of this one that are none of `known`: they stay beside what is about to be written.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub(crate) fn warn_of_runs_within(&self, known: &[RunFolder]) -> Result<(), RunFolderError> {
        let failed = |source| RunFolderError::Take { path: self.path.clone(), source };
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_known = known.iter().any(|run| run.path() == path);
            if !is_known && path.is_dir() && Self::check(&path, false).is_err() {
                others.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        others.sort();
        if !others.is_empty() {
            tracing::warn!(
                folders = others.join(", "),
                "trainings of an earlier comparison stay in this folder"
            );
        }
        Ok(())
    }

    /// Makes a folder for a run, or takes an existing one that holds none; one that holds a run only
    /// with `overwrite`. The files of that run stay until [`RunFolder::begin`]; what was made is gone again with the
    /// last copy, unless [`RunFolder::keep`] was called.
    ///
    /// # Errors
    /// When it holds a run or files that a run would replace, another process works in it, or it cannot be made.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, RunFolderError> {
        Self::check(path, overwrite)?;
        Self::lock(path, Made::of(path)?, false)
    }

    /// Makes the first folder `runs/<name>-N` that is not there yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_next(runs: &Path, name: &str) -> Result<Self, RunFolderError> {
        let mut made = Made::of(runs)?;
        for number in 1_u64.. {
            let path = runs.join(format!("{name}-{number}"));
            // Making it is what claims it: of two runs started at once, one goes on to the next.
            match fs::create_dir(&path) {
                Ok(()) => {
                    made.0.push(path.clone());
                    return Self::lock(&path, made, false);
                }
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(RunFolderError::Take { path, source }),
            }
        }
        unreachable!("there are more numbers than folders")
    }

    /// Takes a folder that holds a run, to go on with it; none where there is no run.
    ///
    /// # Errors
    /// When what it holds cannot be read, or another process works in it.
    pub fn open(path: &Path) -> Result<Option<(Self, RunFile)>, RunFolderError> {
        let file = path.join(RUN);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(RunFolderError::Unreadable { path: file, problem: source.to_string() });
            }
        };
        let run = RunFile::parse(&text, &file)?;
        Ok(Some((Self::lock(path, Made::default(), true)?, run)))
    }

    fn lock(path: &Path, made: Made, is_kept: bool) -> Result<Self, RunFolderError> {
        let lock = Lock::of(path)?;
        let events = tensorboard::files(path).unwrap_or_default();
        let (path, has_begun, is_kept) = (path.to_owned(), false.into(), is_kept.into());
        let lease = Lease { path: path.clone(), lock, made, events, has_begun, is_kept };
        Ok(RunFolder { path, lease: Arc::new(lease) })
    }

    /// Has it stay: there is something in it that is worth it.
    pub fn keep(&self) {
        self.lease.is_kept.store(true, Ordering::Relaxed);
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the newest checkpoint lies.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(LAST)
    }

    /// The epochs that `metrics.csv` tells of.
    #[must_use]
    pub fn recorded_epochs(&self) -> usize {
        // One that is not there, or is no text, tells of none.
        let metrics = fs::read_to_string(self.path.join(METRICS)).unwrap_or_default();
        metrics.lines().skip(1).filter(|row| !row.is_empty()).count()
    }

    /// Where the picture of a grid lies.
    #[must_use]
    pub fn grid(&self) -> PathBuf {
        self.path.join(Self::GRID)
    }

    /// Where the curves lie.
    #[must_use]
    pub fn curves(&self) -> PathBuf {
        self.path.join(Self::CURVES)
    }

    /// Removes the files of an earlier run and writes down what is about to be run.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn begin(&self, run: &RunFile) -> Result<(), RunFolderError> {
        self.clear()?;
        self.go_on(run, &[])
    }

    /// Removes the files of an earlier run, and nothing else: what comes now is of this one.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(crate) fn clear(&self) -> Result<(), RunFolderError> {
        let RunFiles { own, .. } = RunFiles::of(&self.path);
        if !own.is_empty() {
            tensorboard::clear(&self.path, &[]).map_err(|source| self.error("", source))?;
        }
        for name in own {
            match fs::remove_file(self.path.join(name)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(self.error(name, source));
                }
                _ => {}
            }
        }
        self.lease.has_begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes down what is run from here on, and cuts `metrics.csv` back to what was reached.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn go_on(&self, run: &RunFile, history: &[Epoch]) -> Result<(), RunFolderError> {
        self.write(RUN, &run.text()?)?;
        self.record(history)
    }

    /// Writes `metrics.csv`: all epochs, as it is never more than a few hundred lines.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self, history: &[Epoch]) -> Result<(), RunFolderError> {
        let rows = history.iter().map(row);
        self.write(METRICS, &[COLUMNS.to_owned()].into_iter().chain(rows).collect::<String>())
    }

    /// Writes a file of the folder, whole or not at all.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), RunFolderError> {
        write_atomically(&self.path.join(name), text.as_bytes()).map_err(|source| self.error(name, source))
    }

    fn error(&self, name: &str, source: io::Error) -> RunFolderError {
        RunFolderError::Write { path: self.path.join(name), source }
    }
}

const COLUMNS: &str = "epoch,steps,images,train_loss,test_accuracy,images_per_second,seconds,data_wait_seconds,\
                       evaluation_seconds,learning_rate,test_loss\n";

/// A field of a table: empty where there is no number.
pub(crate) fn number_or_nothing(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn row(row: &Epoch) -> String {
    let rate = row.images_per_second();
    let Epoch { epoch, steps, images, train_loss, learning_rate, .. } = row;
    let [test_accuracy, test_loss] = [row.test_accuracy, row.test_loss].map(number_or_nothing);
    let Epoch { seconds, data_wait_seconds, evaluation_seconds, .. } = row;
    format!(
        "{epoch},{steps},{images},{train_loss},{test_accuracy},{rate:.1},{seconds:.3},{data_wait_seconds:.3},\
         {evaluation_seconds:.3},{learning_rate},{test_loss}\n"
    )
}

#[cfg(test)]
mod tests;
