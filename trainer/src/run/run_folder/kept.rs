//! What a run came to by its small files alone, `run.toml` and `metrics.csv`: they are all that is kept of many a run, and
//! say nothing of who works in its folder.

use super::{METRICS, RUN, RunFile, RunFolderError};
use std::fs;
use std::path::{Path, PathBuf};

/// A run, as its small files tell of it.
#[derive(Clone, Debug)]
pub struct KeptRun {
    /// Its folder.
    pub path: PathBuf,
    /// `run.toml`.
    pub file: RunFile,
    /// The last row of `metrics.csv`.
    pub last: KeptEpoch,
}

/// A row of `metrics.csv`, as far as it tells of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeptEpoch {
    /// Steps since the start of training.
    pub steps: u64,
    /// Mean loss over the images of the epoch.
    pub train_loss: f64,
    /// Share of the test images that was right; none where the epoch was not evaluated.
    pub test_accuracy: Option<f64>,
    /// Mean loss over the test images; none where it was not measured.
    pub test_loss: Option<f64>,
}

impl KeptRun {
    /// Reads the files of the folder at `path`.
    ///
    /// # Errors
    /// When one is missing or cannot be read.
    pub fn read(path: &Path) -> Result<Self, RunFolderError> {
        let read = |name: &str| {
            let file = path.join(name);
            let text = fs::read_to_string(&file);
            text.map_err(|e| RunFolderError::Unreadable { path: file, problem: e.to_string() })
        };
        let file = RunFile::parse(&read(RUN)?, &path.join(RUN))?;
        let last = KeptEpoch::last_of(&read(METRICS)?)
            .map_err(|problem| RunFolderError::Unreadable { path: path.join(METRICS), problem })?;
        Ok(Self { path: path.to_owned(), file, last })
    }

    /// Steps that it was asked for.
    #[must_use]
    pub fn steps(&self) -> u64 {
        let settings = &self.file.settings;
        let all = settings.epochs.map(|epochs| epochs.saturating_mul(self.file.batches_per_epoch));
        [all, settings.steps].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

impl KeptEpoch {
    /// The last row of a table; says what is wrong with it.
    fn last_of(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let names: Vec<_> = lines.next().ok_or("it is empty")?.split(',').collect();
        let cells: Vec<_> = lines.next_back().ok_or("it tells of no epoch")?.split(',').collect();
        let cell = |name: &str| {
            let place = names.iter().position(|known| *known == name);
            place.and_then(|place| cells.get(place)).copied().unwrap_or_default()
        };
        let number = |name: &str| match cell(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_not_a_number| format!("{name} is {text:?}, no number")),
        };
        let steps = cell("steps").parse().map_err(|_not_a_number| "it has no whole number of steps")?;
        let train_loss = number("train_loss")?.ok_or("it has no train_loss")?;
        Ok(Self {
            steps,
            train_loss,
            test_accuracy: number("test_accuracy")?,
            test_loss: number("test_loss")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_is_read_by_the_names_of_its_columns() {
        let text = "epoch,steps,train_loss,test_accuracy\n1,8,2.5,0.25\n2,16,1.5,0.5\n";
        let (train_loss, test_accuracy) = (1.5, Some(0.5));
        let expected = KeptEpoch { steps: 16, train_loss, test_accuracy, test_loss: None };
        assert_eq!(KeptEpoch::last_of(text), Ok(expected));
        let unevaluated = KeptEpoch::last_of("train_loss,steps,test_accuracy\n1.5,16,\n").unwrap();
        assert_eq!(unevaluated, KeptEpoch { test_accuracy: None, ..expected });
        for (wrong, problem) in [
            ("", "it is empty"),
            ("steps\n", "it tells of no epoch"),
            ("steps,train_loss\n8,\n", "it has no train_loss"),
            ("steps,train_loss\n8.5,1\n", "it has no whole number of steps"),
            ("steps,train_loss,test_loss\n8,1,x\n", "test_loss is \"x\", no number"),
        ] {
            assert_eq!(KeptEpoch::last_of(wrong).unwrap_err(), problem);
        }
    }
}
