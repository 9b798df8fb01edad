//! Why a run folder cannot be used.

use super::{FORMAT, RUN, RunFolder};
use std::io;
use std::path::{Path, PathBuf};

/// A run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// It holds a run already.
    #[error(
        "{path} already holds a run or a comparison; give another --output, or --overwrite, or --resume",
        path = .0.display()
    )]
    Taken(PathBuf),
    /// It holds a file that a run would replace and no run wrote.
    #[error("{path} is no file of a run, and would be replaced; move it, or give another --output", path = .0.display())]
    Foreign(PathBuf),
    /// Another process works in it.
    #[error("another process is training in {path}; give another --output, or wait for it", path = .0.display())]
    InUse(PathBuf),
    /// It is to be gone on with and holds no run.
    #[error("{path} holds no {what} to resume{instead}", path = path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What was looked for: a run or a comparison.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// `run.toml` is damaged.
    #[error("cannot read {path}: {problem}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer release wrote `run.toml`.
    #[error(
        "{path} has format {format}, release {release} reads up to {FORMAT}",
        path = path.display(), release = mixfeed_ops::build::RELEASE
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: i64,
    },
    /// It cannot be made or taken.
    #[error("cannot use {path} for a run: {source}; give another --output", path = path.display())]
    Take {
        /// The folder, or the file by which it is taken.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the run cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The run cannot be written down.
    #[error("cannot describe the run: {0}")]
    Describe(#[from] toml::ser::Error),
}

impl RunFolderError {
    /// Why `output`, which holds nothing of the kind that is to be resumed, cannot be: by `train`, or by `compare`. None
    /// where `auto` may start there.
    pub(crate) fn no_run(output: &Path, compares: bool, auto: bool) -> Option<Self> {
        let (what, other, holds_other) = match compares {
            false => ("run", RunFolder::COMPARE, "; it holds a comparison: resume that with `compare`"),
            true => ("comparison", RUN, "; it holds a run: resume that with `train`"),
        };
        let instead = match output.join(other).exists() {
            true => holds_other,
            false if auto => return None,
            false => " (`--resume auto` starts one)",
        };
        Some(Self::NoRun { path: output.to_owned(), what, instead })
    }

    /// Whether another `--output` is the way out.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(
            self,
            RunFolderError::Describe(_) | RunFolderError::Unreadable { .. } | RunFolderError::Write { .. }
        )
    }

    /// Whether a file of the run is to blame.
    #[must_use]
    pub fn is_data(&self) -> bool {
        matches!(self, RunFolderError::Unreadable { .. })
    }
}
