//! Which trainings a comparison consists of, and the file that remembers it: `compare.toml`.

use super::{Arm, Grid, GridAxis};
use crate::config::{RunConfig, Settings, UsageError};
use crate::error::TrainError;
use crate::run::run_folder::{RunFolder, RunFolderError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The format of `compare.toml` that this release writes.
const FORMAT: u32 = 1;

/// Trainings of each arm, unless asked for otherwise.
const TRIALS: u32 = 3;

/// The trainings of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The first is without mixup.
    pub arms: Vec<Arm>,
    /// Trainings of each arm, at least 1; trial i of all arms has the same seed.
    pub trials: u32,
    /// The table that the arms after the first are, if they are one.
    pub grid: Option<Grid>,
}

impl Plan {
    /// Of the given trials and grid axes, checked against the run that is to be compared.
    ///
    /// # Errors
    /// When there are no trials, or an arm is out of range or mixes nothing.
    pub fn of(asked: &ComparisonRequest, base: &RunConfig) -> Result<Self, UsageError> {
        if asked.trials == Some(0) {
            return Err(UsageError::new("--trials is 0, it must be at least 1"));
        }
        let grid = if asked.grid.is_empty() { None } else { Some(Grid::of(&asked.grid, base)?) };
        let mut arms = vec![Arm::WithoutMixup];
        match &grid {
            None => arms.push(Arm::WithMixup),
            Some(grid) => arms.extend(grid.arms()),
        }
        for arm in &arms {
            arm.trial(base, 0)?;
        }
        Ok(Plan { arms, trials: asked.trials.unwrap_or(TRIALS), grid })
    }

    /// All trainings in the order in which they are run: a trial of every arm, then the next trial.
    pub fn trainings(&self) -> impl Iterator<Item = (usize, Arm, u32)> {
        let of = |trial| self.arms.iter().enumerate().map(move |(number, arm)| (number, *arm, trial));
        (0..self.trials).flat_map(of)
    }
}

/// What a person asked for, besides the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ComparisonRequest {
    /// Trainings of each arm.
    pub trials: Option<u32>,
    /// The axes of a grid; none compares with and without mixup.
    pub grid: Vec<GridAxis>,
}

impl ComparisonRequest {
    /// What an earlier comparison was asked for, with what is asked for now laid over it: its trials may be
    /// raised, its grid stays.
    ///
    /// # Errors
    /// When there would be fewer trials, or another grid.
    pub fn over(self, earlier: ComparisonRequest) -> Result<Self, UsageError> {
        if !self.grid.is_empty() && self.grid != earlier.grid {
            return Err(UsageError::new("--grid is another than that of the comparison to resume"));
        }
        let before = earlier.trials.unwrap_or(TRIALS);
        match self.trials {
            Some(trials) if trials < before => {
                let text = format!("--trials is {trials}, the comparison to resume has {before} already");
                Err(UsageError::new(&text))
            }
            trials => Ok(ComparisonRequest { trials: Some(trials.unwrap_or(before)), grid: earlier.grid }),
        }
    }
}

/// The contents of `compare.toml`: what it takes to go on with a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CompareFile {
    /// [`FORMAT`] of the release that wrote it; newer ones are refused.
    format: u32,
    /// That release.
    release: String,
    /// What was asked for, besides the settings.
    pub asked: ComparisonRequest,
    /// All settings, in the form that `--config` reads.
    pub settings: Settings,
}

impl CompareFile {
    /// Writes down what is about to be run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(
        folder: &RunFolder,
        asked: &ComparisonRequest,
        config: &RunConfig,
    ) -> Result<(), TrainError> {
        let file = CompareFile {
            format: FORMAT,
            release: mixfeed_ops::build::RELEASE.to_owned(),
            asked: asked.clone(),
            settings: config.settings.clone(),
        };
        let text = toml::to_string(&file).map_err(RunFolderError::from)?;
        Ok(folder.write(RunFolder::COMPARE, &text)?)
    }

    /// Reads what the folder at `path` holds; none where there is no comparison.
    ///
    /// # Errors
    /// When it is damaged, or a newer release wrote it.
    pub fn read(path: &Path) -> Result<Option<Self>, RunFolderError> {
        let path = path.join(RunFolder::COMPARE);
        let unreadable = |problem: String| RunFolderError::Unreadable { path: path.clone(), problem };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| unreadable(error.message().to_owned()))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format > i64::from(FORMAT) => Err(RunFolderError::Newer { path, format }),
            Some(_) => {
                let read = table.try_into();
                read.map(Some).map_err(|error: toml::de::Error| unreadable(error.message().to_owned()))
            }
            None => Err(unreadable("its format number is missing".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> RunConfig {
        Settings { data: Some("synthetic".to_owned()), ..Settings::default() }.check().unwrap()
    }

    #[test]
    fn each_trial_runs_every_arm_before_the_next_begins() {
        let plan = Plan::of(&ComparisonRequest { trials: Some(2), grid: Vec::new() }, &base()).unwrap();
        let order: Vec<_> = plan.trainings().map(|(number, _, trial)| (number, trial)).collect();
        assert_eq!(order, [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert!(Plan::of(&ComparisonRequest { trials: Some(0), grid: Vec::new() }, &base()).is_err());
    }

    #[test]
    fn a_comparison_that_goes_on_may_have_more_trials_and_no_other_grid() {
        let grid: Vec<GridAxis> = vec!["mixup-alpha=0.2,1".parse().unwrap()];
        let earlier = || ComparisonRequest { trials: None, grid: grid.clone() };
        let now = |trials, grid| ComparisonRequest { trials, grid }.over(earlier());
        assert_eq!(now(None, Vec::new()).unwrap(), ComparisonRequest { trials: Some(3), ..earlier() });
        assert_eq!(now(Some(5), grid.clone()).unwrap().trials, Some(5));
        assert!(now(Some(2), Vec::new()).is_err());
        assert!(now(None, vec!["mixup-alpha=0.2".parse().unwrap()]).is_err());
    }

    #[test]
    fn what_was_asked_for_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), false).unwrap();
        assert_eq!(CompareFile::read(folder.path()).unwrap(), None);
        let asked = ComparisonRequest { trials: Some(2), grid: vec!["mixup-prob=0.5,1".parse().unwrap()] };
        CompareFile::write(&run, &asked, &base()).unwrap();
        let read = CompareFile::read(folder.path()).unwrap().unwrap();
        assert_eq!((read.asked, read.settings), (asked, base().settings));
        assert!(RunFolder::create(folder.path(), false).is_err(), "a comparison is not begun over another");

        let path = folder.path().join(RunFolder::COMPARE);
        for (text, expected) in [("format = 99", "format 99"), ("trials = 3", "format number is missing")] {
            std::fs::write(&path, text).unwrap();
            let error = CompareFile::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
