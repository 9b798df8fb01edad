//! A comparison made of runs that were trained at different times or on different machines: those of one arm are mixed
//! alike, and all differ in nothing but arm and seed.
//!
//! What a setting says of where and how a run was trained (data, loaders, device, logs) may differ; any other setting must
//! not, those of later releases included, so that a table never joins what it should not.

use super::{Difference, Statistic};
use crate::config::{Settings, UsageError};
use crate::report::curves::stream_words;
use crate::run::run_folder::KeptRun;
use mixfeed_client::{MixingSchedule, StreamSpec};
use serde::Serialize;

/// Settings in which runs of a comparison may differ, beside those that may change within a run: those of the arm, the seed, and
/// those that shape no weights. Those of how data is read come to the dataset's digest, which is compared.
const FREE: [&str; 11] = [
    "mixup-alpha",
    "mixup-prob",
    "mixup-until",
    "mixup-schedule",
    "cutmix-alpha",
    "switch-prob",
    "lambda-per",
    "partner",
    "seed",
    "deterministic",
    "checkpoint-every",
];

/// What the runs came to.
#[derive(Clone, Debug, Serialize)]
pub struct Collection {
    /// Recipe all runs started from.
    pub preset: String,
    /// Network.
    pub model: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Its digest, hexadecimal.
    pub dataset_digest: String,
    /// Epochs of each training.
    pub epochs: Option<u64>,
    /// All arms: the one that mixes nothing first, if there is one, otherwise as the runs were given.
    pub arms: Vec<CollectedArm>,
}

/// What the runs of an arm came to.
#[derive(Clone, Debug, Serialize)]
pub struct CollectedArm {
    /// How its images are mixed.
    pub arm: String,
    /// Seeds of its runs, ascending.
    pub seeds: Vec<u64>,
    /// Folders of its runs, in the order of their seeds.
    pub runs: Vec<String>,
    /// Test accuracy after the last epoch, 0 to 1.
    pub test_accuracy: Statistic,
    /// The same less that of the first arm, over pairs of equal seed; none for the first arm, and without a pair.
    pub difference: Option<Difference>,
    /// Loss over the last epoch, as images were mixed: not comparable between arms.
    pub train_loss: Statistic,
    /// Loss over the test images after the last epoch; none where not all runs measured it.
    pub test_loss: Option<Statistic>,
}

impl Collection {
    /// Joins runs.
    ///
    /// # Errors
    /// One line that names the runs: when there is none, one is not finished, two are the same training, or two differ in
    /// more than arm and seed.
    pub fn of(mut runs: Vec<KeptRun>) -> Result<Self, UsageError> {
        let Some(first) = runs.first() else { return Err(UsageError::new("--collect names no run")) };
        for run in &runs {
            check_finished(run)?;
            if let Some(difference) = difference(first, run)? {
                let [one, other] = [first, run].map(|run| run.path.display());
                return Err(UsageError::new(&format!(
                    "{other} is no run to compare with {one}: {difference}"
                )));
            }
        }
        let (file, settings) = (first.file.clone(), first.file.settings.clone());
        runs.sort_by_key(|run| run.file.stream.seed);
        let mut arms: Vec<Vec<KeptRun>> = Vec::new();
        for run in runs {
            match arms.iter_mut().find(|arm| arm_of(&arm[0]) == arm_of(&run)) {
                None => arms.push(vec![run]),
                Some(arm) => {
                    if let Some(twin) = arm.iter().find(|twin| twin.file.stream.seed == run.file.stream.seed)
                    {
                        let [one, other] = [twin, &run].map(|run| run.path.display());
                        let text = format!("{one} and {other} are of one arm and one seed: give one of them");
                        return Err(UsageError::new(&text));
                    }
                    arm.push(run);
                }
            }
        }
        // Stable, so that all others stay as they came.
        arms.sort_by_key(|arm| arm[0].file.stream.is_mixed());
        let collected = arms.iter().enumerate().map(|(number, arm)| {
            let other = (number > 0).then_some(&arms[0][..]);
            CollectedArm::of(arm, other)
        });
        Ok(Self {
            preset: settings.preset.unwrap_or_default().name().to_owned(),
            model: settings.model.as_ref().map_or(String::new(), |model| model.name().to_owned()),
            dataset: file.dataset.name,
            dataset_digest: file.dataset.digest,
            epochs: settings.epochs,
            arms: collected.collect(),
        })
    }
}

impl CollectedArm {
    fn of(runs: &[KeptRun], other: Option<&[KeptRun]>) -> Self {
        let accuracy = |run: &KeptRun| run.last.test_accuracy.unwrap_or_default();
        let of_seed = |run: &KeptRun| {
            let pair = other?.iter().find(|other| other.file.stream.seed == run.file.stream.seed)?;
            Some(accuracy(run) - accuracy(pair))
        };
        let differences: Vec<_> = runs.iter().filter_map(of_seed).collect();
        let over = |value: fn(&KeptRun) -> f64| Statistic::of(&runs.iter().map(value).collect::<Vec<_>>());
        let test_losses: Option<Vec<_>> = runs.iter().map(|run| run.last.test_loss).collect();
        Self {
            arm: stream_words(&StreamSpec { label_noise: 0.0, ..runs[0].file.stream }),
            seeds: runs.iter().map(|run| run.file.stream.seed).collect(),
            runs: runs.iter().map(|run| run.path.display().to_string()).collect(),
            test_accuracy: over(|run| run.last.test_accuracy.unwrap_or_default()),
            difference: (!differences.is_empty()).then(|| Difference::of(&differences)),
            train_loss: over(|run| run.last.train_loss),
            test_loss: test_losses.map(|losses| Statistic::of(&losses)),
        }
    }
}

/// How a run mixes: what its arm is.
fn arm_of(run: &KeptRun) -> (Option<mixfeed_client::Mixing>, MixingSchedule) {
    (run.file.stream.mixing, run.file.stream.mixing_schedule)
}

fn check_finished(run: &KeptRun) -> Result<(), UsageError> {
    let (done, asked, path) = (run.last.steps, run.steps(), run.path.display());
    if done != asked {
        return Err(UsageError::new(&format!("{path} is not finished: it has done {done} of {asked} steps")));
    }
    if run.last.test_accuracy.is_none() {
        return Err(UsageError::new(&format!("{path} was not evaluated after its last epoch")));
    }
    Ok(())
}

/// In what two runs differ besides arm and seed; nothing where they do not.
fn difference(one: &KeptRun, other: &KeptRun) -> Result<Option<String>, UsageError> {
    let differs = |what: &str, one: &dyn std::fmt::Display, other: &dyn std::fmt::Display| {
        format!("its {what} is {other}, not {one}")
    };
    let (a, b) = (&one.file, &other.file);
    if a.dataset.digest != b.dataset.digest {
        return Ok(Some(differs("dataset", &a.dataset.digest, &b.dataset.digest)));
    }
    if a.algorithm.fingerprint != b.algorithm.fingerprint {
        return Ok(Some(differs("algorithm", &a.algorithm.fingerprint, &b.algorithm.fingerprint)));
    }
    let (own, others) = (table(&a.settings), table(&b.settings));
    for key in own.keys().chain(others.keys()) {
        let [value, with] =
            [&own, &others].map(|all| all.get(key).map_or("unset".to_owned(), ToString::to_string));
        if value != with {
            return Ok(Some(differs(key, &value, &with)));
        }
    }
    // What no setting says, as of runs from before a setting was there.
    let rest = |stream: StreamSpec| {
        let mixing_schedule = MixingSchedule::NONE;
        toml::to_string(&StreamSpec { mixing: None, mixing_schedule, seed: 0, ..stream })
    };
    let streams =
        [rest(a.stream), rest(b.stream)].map(|text| text.map_err(|e| UsageError::new(&e.to_string())));
    let [own, others] = streams;
    Ok((own? != others?).then(|| "its stream is another".to_owned()))
}

/// The settings in which runs of a comparison may not differ.
fn table(settings: &Settings) -> toml::Table {
    settings.hyperparameters().into_iter().filter(|(key, _)| !FREE.contains(&&**key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_folder::{KeptEpoch, RunFile};
    use mixfeed_client::{DatasetInfo, ImageShape, StreamInfo};
    use mixfeed_loader::config::AugmentationArgs;
    use std::path::PathBuf;
    use tch::Device;

    /// A finished run with these settings that ended with this accuracy.
    fn kept(name: &str, accuracy: f64, settings: Settings) -> KeptRun {
        let settings = Settings { data: Some("x".to_owned()), batch_size: Some(8), ..settings };
        let info = StreamInfo {
            dataset: DatasetInfo {
                name: "set".to_owned(),
                classes: vec!["a".to_owned()],
                train_samples: 80,
                test_samples: 10,
                ..DatasetInfo::default()
            },
            algorithm_version: 1,
            algorithm_fingerprint: [2; 32],
            image: ImageShape { height: 32, width: 32, channels: 3 },
            samples_per_epoch: 80,
            batches_per_epoch: 10,
        };
        let file = RunFile::of(&settings.check().unwrap(), &info, Device::Cpu);
        let steps = 10 * file.settings.epochs.unwrap();
        let last = KeptEpoch { steps, train_loss: 1.0, test_accuracy: Some(accuracy), test_loss: Some(2.0) };
        KeptRun { path: PathBuf::from(name), file, last }
    }

    fn of(seed: u64, mixup_prob: f64) -> Settings {
        let augmentation = AugmentationArgs { mixup_prob: Some(mixup_prob), ..AugmentationArgs::default() };
        Settings { seed: Some(seed), augmentation, ..Settings::default() }
    }

    #[test]
    fn runs_of_one_arm_are_joined_and_pairs_are_of_equal_seed() {
        let runs = vec![
            kept("with-1", 0.75, of(1, 1.0)),
            kept("without-2", 0.5, of(2, 0.0)),
            kept("with-2", 0.75, of(2, 1.0)),
            kept("without-1", 0.25, of(1, 0.0)),
            kept("with-7", 0.9, of(7, 1.0)),
        ];
        let collection = Collection::of(runs).unwrap();
        let arms: Vec<_> = collection.arms.iter().map(|arm| (arm.arm.as_str(), arm.seeds.clone())).collect();
        let with = "mixup of 100 % of the images, alpha 0.2";
        assert_eq!(arms, [("no mixing", vec![1, 2]), (with, vec![1, 2, 7])]);
        assert_eq!(collection.arms[1].runs, ["with-1", "with-2", "with-7"]);
        assert_eq!(collection.arms[0].difference, None);
        assert_eq!(collection.arms[1].difference, Some(Difference::of(&[0.5, 0.25])));
        assert_eq!(collection.arms[1].test_accuracy, Statistic::of(&[0.75, 0.75, 0.9]));
    }

    #[test]
    fn what_says_where_and_how_a_run_was_trained_may_differ() {
        let other = Settings {
            threads: Some(7),
            workers: Some(3),
            output: Some("elsewhere".into()),
            log: Some("debug".to_owned()),
            ..of(2, 1.0)
        };
        assert!(Collection::of(vec![kept("a", 0.5, of(1, 1.0)), kept("b", 0.5, other)]).is_ok());
    }

    #[test]
    fn runs_that_differ_in_more_than_arm_and_seed_are_refused_by_name() {
        let refused = |runs| Collection::of(runs).unwrap_err().to_string();
        let with = |change: fn(&mut KeptRun)| {
            let mut other = kept("b", 0.5, of(2, 1.0));
            change(&mut other);
            refused(vec![kept("a", 0.5, of(1, 1.0)), other])
        };
        let noisy = |settings: Settings| {
            let augmentation = AugmentationArgs { label_noise: Some(0.4), ..settings.augmentation };
            Settings { augmentation, ..settings }
        };
        let first = || kept("a", 0.5, of(1, 1.0));
        for (other, expected) in [
            (
                Settings { lr: Some(0.5), ..of(2, 1.0) },
                "b is no run to compare with a: its lr is 0.5, not 0.001",
            ),
            (
                Settings { epochs: Some(7), ..of(2, 1.0) },
                "b is no run to compare with a: its epochs is 7, not 30",
            ),
            (noisy(of(2, 1.0)), "b is no run to compare with a: its label-noise is 0.4, not unset"),
            (of(1, 1.0), "a and b are of one arm and one seed: give one of them"),
        ] {
            assert_eq!(refused(vec![first(), kept("b", 0.5, other)]), expected);
        }
        assert!(with(|run| run.file.dataset.digest = "7".into()).contains("its dataset is 7"));
        assert!(with(|run| run.file.algorithm.fingerprint = "7".into()).contains("its algorithm is 7"));
        assert!(with(|run| run.file.stream.limit = 3).contains("its stream is another"));
        assert_eq!(with(|run| run.last.steps = 299), "b is not finished: it has done 299 of 300 steps");
        assert_eq!(with(|run| run.last.test_accuracy = None), "b was not evaluated after its last epoch");
        assert_eq!(refused(Vec::new()), "--collect names no run");
    }

    #[test]
    fn every_setting_that_may_differ_is_one() {
        let command = <Settings as clap::Args>::augment_args(clap::Command::new("settings"));
        let all: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
        for key in FREE {
            assert!(all.contains(&key), "{key}");
        }
    }
}
