//! Which checkpoints of a run are kept: the last two, and the best.
//!
//! | file | holds |
//! |---|---|
//! | `checkpoint-last.safetensors` | the newest |
//! | `checkpoint-previous.safetensors` | the one before it, for when the newest is damaged |
//! | `checkpoint-best.safetensors` | of the epochs that were evaluated, the first with the highest test accuracy |
//!
//! Each name always stands for a whole file or for none: files are written under another name first,
//! and one file may have several of these names.

use super::{Checkpoint, CheckpointError, Contents, Header, read, write};
use crate::run::observer::Epoch;
use mixfeed_ops::files::link_atomically;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The newest checkpoint.
pub(crate) const LAST: &str = "checkpoint-last.safetensors";

const PREVIOUS: &str = "checkpoint-previous.safetensors";
const BEST: &str = "checkpoint-best.safetensors";

/// All of them.
pub(crate) const NAMES: [&str; 3] = [LAST, PREVIOUS, BEST];

/// The checkpoints in a run folder.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    /// What the newest says; none before the first.
    last: Option<Header>,
}

/// Reads the checkpoint that a path given by a person means: the file itself, or the newest of a run folder. Where that one
/// is damaged or gone, no other is taken for it, as a score says something of one model only; one that is whole is named.
///
/// # Errors
/// When it cannot be read, is damaged, or was written by a newer release.
pub fn read_newest(path: &Path) -> Result<(PathBuf, Checkpoint), CheckpointError> {
    if !path.is_dir() {
        return Ok((path.to_owned(), read(path)?));
    }
    let last = path.join(LAST);
    let problem = match read(&last) {
        Ok(checkpoint) => return Ok((last, checkpoint)),
        Err(newer @ CheckpointError::Newer { .. }) => return Err(newer),
        Err(problem) => problem,
    };
    let others = NAMES.iter().filter(|name| **name != LAST).map(|name| path.join(name));
    let whole = others.filter_map(|other| read(&other).ok().map(|checkpoint| (other, checkpoint.header)));
    // Of equals the first, which is not called the best.
    match whole.rev().max_by_key(|(_, header)| age(header)) {
        Some((whole, Header { next_batch: step, .. })) => {
            Err(CheckpointError::NewestUnusable { problem: Box::new(problem), whole, step })
        }
        None => Err(problem),
    }
}

impl CheckpointStore {
    /// None yet.
    #[must_use]
    pub fn none(folder: &Path) -> Self {
        CheckpointStore { folder: folder.to_owned(), last: None }
    }

    /// Finds the newest whole one that a run left, and makes it the last if it is not; none when there
    /// are no checkpoints. Whole means: undamaged, and `fits` finds nothing that tells another run's.
    /// Others are named in a warning.
    ///
    /// # Errors
    /// When a newer release wrote one, or there are some and none is whole.
    pub fn newest(
        folder: &Path,
        fits: impl Fn(&Header) -> Result<(), &'static str>,
    ) -> Result<Option<Checkpoint>, CheckpointError> {
        let mut newest: Option<(&str, Checkpoint)> = None;
        let mut problems = Vec::new();
        for name in NAMES {
            let path = folder.join(name);
            let fitting = |checkpoint: Checkpoint| match fits(&checkpoint.header) {
                Ok(()) => Ok(checkpoint),
                Err(what) => Err(CheckpointError::Foreign { path: path.clone(), what }),
            };
            match read(&path).and_then(fitting) {
                Ok(checkpoint) => {
                    let is_newer = |other: &Checkpoint| age(&other.header) < age(&checkpoint.header);
                    if newest.as_ref().is_none_or(|(_, other)| is_newer(other)) {
                        newest = Some((name, checkpoint));
                    }
                }
                Err(CheckpointError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(newer @ CheckpointError::Newer { .. }) => return Err(newer),
                Err(problem) => {
                    tracing::warn!(%problem, "skipping a checkpoint that cannot be used");
                    problems.push(problem.to_string());
                }
            }
        }
        let Some((name, checkpoint)) = newest else {
            let folder = folder.to_owned();
            let none_whole = || CheckpointError::NoneWhole { folder, problems: problems.join("; ") };
            return if problems.is_empty() { Ok(None) } else { Err(none_whole()) };
        };
        if name != LAST {
            tracing::warn!(
                checkpoint = %folder.join(name).display(),
                step = checkpoint.header.next_batch,
                "resuming from the newest whole checkpoint"
            );
            link(&folder.join(name), &folder.join(LAST))?;
        }
        // The process that wrote it may have been killed before it came to this.
        if is_best(&checkpoint.header) {
            link(&folder.join(LAST), &folder.join(BEST))?;
        }
        Ok(Some(checkpoint))
    }

    /// Removes those that learnt from the batch `first` or a later one, and makes the newest of the others the last; gives what
    /// it says, if one is left.
    ///
    /// # Errors
    /// When a file cannot be removed, or takes no other name.
    pub fn roll_back(folder: &Path, first: u64) -> Result<Option<Header>, CheckpointError> {
        let mut newest: Option<(PathBuf, Header)> = None;
        for path in NAMES.map(|name| folder.join(name)) {
            match read(&path).map(|checkpoint| checkpoint.header) {
                Ok(header) if header.next_batch <= first => {
                    if newest.as_ref().is_none_or(|(_, other)| age(other) < age(&header)) {
                        newest = Some((path, header));
                    }
                }
                Err(CheckpointError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                _ => {
                    fs::remove_file(&path).map_err(|source| CheckpointError::Write { path, source })?;
                }
            }
        }
        if let Some((path, _)) = &newest
            && !path.ends_with(LAST)
        {
            link(path, &folder.join(LAST))?;
        }
        Ok(newest.map(|(_, header)| header))
    }

    /// Goes on with those that are there, of which the last is whole and says `last`.
    #[must_use]
    pub fn after(folder: &Path, last: Header) -> Self {
        CheckpointStore { folder: folder.to_owned(), last: Some(last) }
    }

    /// What the newest says; none before the first.
    #[must_use]
    pub fn last(&self) -> Option<&Header> {
        self.last.as_ref()
    }

    /// Whether the newest was written here: after so many steps, with this history.
    #[must_use]
    pub fn is_current(&self, step: u64, history: &[Epoch]) -> bool {
        self.last.as_ref().is_some_and(|last| age(last) == (step, history.len(), evaluations(history)))
    }

    /// Writes the newest, and drops what is not kept any more. The digests in `header` are filled in
    /// here.
    ///
    /// # Errors
    /// When it cannot be written; the others are left alone then.
    pub fn save(&mut self, header: Header, contents: &Contents<'_>) -> Result<&Header, CheckpointError> {
        let path = self.folder.join(LAST);
        // One of the same step says nothing that this one does not say.
        let is_older = |last: &Header| last.next_batch != header.next_batch;
        let previous = self.last.as_ref().is_some_and(is_older).then(|| self.folder.join(PREVIOUS));
        let header = write(&path, previous.as_deref(), header, contents)?;
        tracing::debug!(step = header.next_batch, epochs = header.history.len(), "checkpoint written");
        if is_best(&header) {
            link(&path, &self.folder.join(BEST))?;
        }
        Ok(self.last.insert(header))
    }
}

/// Steps, epochs and evaluations done.
fn age(header: &Header) -> (u64, usize, usize) {
    (header.next_batch, header.history.len(), evaluations(&header.history))
}

fn evaluations(history: &[Epoch]) -> usize {
    history.iter().filter(|epoch| epoch.test_accuracy.is_some()).count()
}

/// Whether the model was just evaluated and is better than at each evaluation before.
fn is_best(header: &Header) -> bool {
    header.history.split_last().is_some_and(|(last, before)| {
        let is_worse = |epoch: &Epoch| epoch.test_accuracy < last.test_accuracy;
        // An epoch without an evaluation is below any with one.
        last.steps == header.next_batch && last.test_accuracy.is_some() && before.iter().all(is_worse)
    })
}

fn link(from: &Path, to: &Path) -> Result<(), CheckpointError> {
    link_atomically(from, to).map_err(|source| CheckpointError::Write { path: to.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{contents, epoch, header, trained};
    use super::*;

    /// Epochs of ten steps; one with an accuracy below 0 was not evaluated.
    fn history(accuracies: &[f64]) -> Vec<Epoch> {
        let row = |(index, accuracy): (usize, &f64)| Epoch {
            steps: 10 * (index as u64 + 1),
            test_accuracy: Some(*accuracy).filter(|accuracy| *accuracy >= 0.0),
            ..epoch()
        };
        accuracies.iter().enumerate().map(row).collect()
    }

    fn save(kept: &mut CheckpointStore, step: u64, accuracies: &[f64]) {
        let (model, adam) = trained();
        let history = history(accuracies);
        kept.save(Header { next_batch: step, history, ..header() }, &contents(&*model, &adam)).unwrap();
    }

    fn steps(folder: &Path) -> [Option<u64>; 3] {
        NAMES.map(|name| read(&folder.join(name)).ok().map(|checkpoint| checkpoint.header.next_batch))
    }

    fn any(_: &Header) -> Result<(), &'static str> {
        Ok(())
    }

    #[test]
    fn what_learnt_from_a_batch_is_removed_and_the_newest_before_it_is_the_last() {
        for (first, left, last) in
            [(20, [Some(20), Some(20), Some(10)], 20), (12, [Some(10), None, Some(10)], 10)]
        {
            let folder = tempfile::tempdir().unwrap();
            let mut kept = CheckpointStore::none(folder.path());
            save(&mut kept, 10, &[0.5]);
            save(&mut kept, 20, &[0.5, 0.4]);
            save(&mut kept, 25, &[0.5, 0.4]);
            let header = CheckpointStore::roll_back(folder.path(), first).unwrap().unwrap();
            assert_eq!((header.next_batch, steps(folder.path())), (last, left), "{first}");
            let newest = CheckpointStore::newest(folder.path(), any).unwrap().unwrap();
            assert_eq!(newest.header.next_batch, last);
        }
        let folder = tempfile::tempdir().unwrap();
        save(&mut CheckpointStore::none(folder.path()), 10, &[0.5]);
        assert!(CheckpointStore::roll_back(folder.path(), 9).unwrap().is_none());
        assert_eq!(steps(folder.path()), [None; 3]);
    }

    #[test]
    fn the_last_two_and_the_best_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = CheckpointStore::none(folder.path());
        save(&mut kept, 5, &[]);
        assert_eq!(steps(folder.path()), [Some(5), None, None]);
        save(&mut kept, 10, &[0.5]);
        assert_eq!(steps(folder.path()), [Some(10), Some(5), Some(10)]);
        save(&mut kept, 15, &[0.5]);
        save(&mut kept, 20, &[0.5, 0.5]);
        assert_eq!(steps(folder.path()), [Some(20), Some(15), Some(10)], "the first of equals is the best");
        save(&mut kept, 30, &[0.5, 0.5, 0.6]);
        assert_eq!(steps(folder.path()), [Some(30), Some(20), Some(30)]);
        // Written again after the same step, it does not push out the one before.
        save(&mut kept, 30, &[0.5, 0.5, 0.6]);
        assert_eq!(steps(folder.path()), [Some(30), Some(20), Some(30)]);
        let (three, two) = (history(&[0.5, 0.5, 0.6]), history(&[0.5, 0.5]));
        assert!(kept.is_current(30, &three) && !kept.is_current(30, &two) && !kept.is_current(20, &three));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "and nothing else");
    }

    #[test]
    fn an_epoch_that_was_not_evaluated_is_never_the_best() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = CheckpointStore::none(folder.path());
        save(&mut kept, 10, &[-1.0]);
        assert_eq!(steps(folder.path()), [Some(10), None, None]);
        save(&mut kept, 20, &[-1.0, 0.0]);
        save(&mut kept, 30, &[-1.0, 0.0, -1.0]);
        assert_eq!(steps(folder.path()), [Some(30), Some(20), Some(20)]);
        // It turns out to be the last epoch, and is evaluated after all.
        assert!(!kept.is_current(30, &history(&[-1.0, 0.0, 0.1])));
        save(&mut kept, 30, &[-1.0, 0.0, 0.1]);
        assert_eq!(steps(folder.path()), [Some(30), Some(20), Some(30)]);
    }

    #[test]
    fn the_newest_whole_one_is_used_and_takes_the_place_of_a_damaged_last_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(CheckpointStore::newest(folder.path(), any).unwrap().is_none(), "there is none");
        let mut kept = CheckpointStore::none(folder.path());
        for step in [5, 8] {
            save(&mut kept, step, &[]);
        }
        let newest = |expected| {
            let checkpoint = CheckpointStore::newest(folder.path(), any).unwrap().unwrap();
            assert_eq!(checkpoint.header.next_batch, expected);
            checkpoint
        };
        newest(8);
        fs::write(folder.path().join(LAST), "nonsense").unwrap();
        let checkpoint = newest(5);
        assert_eq!(steps(folder.path()), [Some(5), Some(5), None]);
        // The next one makes two again.
        save(&mut CheckpointStore::after(folder.path(), checkpoint.header), 9, &[]);
        assert_eq!(steps(folder.path()), [Some(9), Some(5), None]);

        let of_others = |_: &Header| Err("dataset");
        let error = CheckpointStore::newest(folder.path(), of_others).unwrap_err();
        assert!(error.is_data() && error.to_string().contains("its dataset differs"), "{error}");
        for name in NAMES {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let error = CheckpointStore::newest(folder.path(), any).unwrap_err();
        assert!(error.is_data() && error.to_string().contains(LAST), "{error}");
    }

    #[test]
    fn the_best_gets_its_name_even_when_the_process_was_killed_before_that() {
        let folder = tempfile::tempdir().unwrap();
        save(&mut CheckpointStore::none(folder.path()), 10, &[0.5]);
        fs::remove_file(folder.path().join(BEST)).unwrap();
        CheckpointStore::newest(folder.path(), any).unwrap().unwrap();
        assert_eq!(steps(folder.path()), [Some(10), None, Some(10)]);
    }

    #[test]
    fn one_of_a_newer_release_is_refused_and_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let (model, adam) = trained();
        let mut kept = CheckpointStore::none(folder.path());
        save(&mut kept, 5, &[]);
        let newer = Header { format: super::super::FORMAT + 1, next_batch: 8, ..header() };
        kept.save(newer, &contents(&*model, &adam)).unwrap();
        let error = CheckpointStore::newest(folder.path(), any).unwrap_err();
        assert!(matches!(error, CheckpointError::Newer { .. }), "{error}");
    }
}
