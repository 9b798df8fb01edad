//! The settings with which an earlier run goes on: its own, and the few that may be given again.

use super::{Settings, UsageError};
use clap::ValueEnum;
use mixfeed_loader::config::SourceArgs;
use std::collections::BTreeMap;
use toml::Table;

/// Whether a run that is there goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Resume {
    /// It has to be there
    Yes,
    /// It goes on if it is there, and starts if not
    Auto,
}

/// Of the settings below, what a table of experiments is read for.
const TOLD: [&str; 2] = ["epochs", "steps"];

/// What does not shape the weights (or, as threads and device, warns), and so may change on the way. So may how the
/// data is read ([`SourceArgs`]), for data that has moved: that it is the same is known by its digest.
const AGAIN: &[&str] = &[
    "loaders",
    "data",
    "workers",
    "loader-timeout",
    "tls-ca",
    "tls-cert",
    "tls-key",
    "auth-token-file",
    "audit",
    "audit-policy",
    "audit-data",
    "forget-loaders",
    "strict-machine",
    "preload",
    "epochs",
    "steps",
    "device",
    "threads",
    "output",
    "eval-every",
    "log-every",
    "listen",
    "listen-tls-cert",
    "listen-tls-key",
    "listen-tls-client-ca",
    "listen-auth-token-file",
    "listen-require-auth",
    "metrics",
    "log-format",
    "log",
];

/// Of the settings above, what acts also on a run that is finished.
const WITHOUT_TRAINING: [&str; 12] = [
    "epochs",
    "steps",
    "output",
    "listen",
    "listen-tls-cert",
    "listen-tls-key",
    "listen-tls-client-ca",
    "listen-auth-token-file",
    "listen-require-auth",
    "metrics",
    "log-format",
    "log",
];

impl Settings {
    /// The flags among these that only training on would heed, and that are not as `run` has them.
    pub(crate) fn unheeded(&self, run: &Settings) -> Vec<String> {
        let (given, run) = (table(self).unwrap_or_default(), table(run).unwrap_or_default());
        let is_other = |key: &str, value| !WITHOUT_TRAINING.contains(&key) && run.get(key) != Some(value);
        let others = given.iter().filter(|(key, value)| is_other(key, value));
        others.map(|(key, _)| format!("--{key}")).collect()
    }

    /// The settings of an earlier run, with these laid over them.
    ///
    /// With [`Resume::Auto`], the same command line starts a run and goes on with it, so every setting
    /// may be given, but not another value than the run has.
    ///
    /// # Errors
    /// When a setting is given that has to come from the run.
    pub fn over_run(self, run: &Settings, resume: Resume) -> Result<Settings, UsageError> {
        let (loaders_given, data_given) = (self.loaders.is_some(), self.data.is_some());
        let audit_given = self.audit.is_some();
        self.keeps_the_rates_of(run)?;
        let of_source = SourceArgs::keys();
        let mut settings = table(run)?;
        for (key, value) in table(&self)? {
            let earlier = settings.get(&key);
            if AGAIN.contains(&&*key) || of_source.contains(&key) {
                settings.insert(key, value);
            } else if resume == Resume::Yes {
                return Err(UsageError(format!(
                    "--resume takes --{key} from the run: give it neither as a flag nor in the environment"
                )));
            } else if earlier != Some(&value) {
                let earlier = earlier.map_or("no value".to_owned(), ToString::to_string);
                return Err(UsageError(format!("--{key} is {value}, the run to resume has {earlier}")));
            }
        }
        match (loaders_given, data_given) {
            (true, false) => {
                for key in ["data", "workers"].into_iter().chain(of_source.iter().map(String::as_str)) {
                    drop(settings.remove(key));
                }
            }
            (false, true) => {
                drop(settings.remove("loaders"));
                if !audit_given {
                    for key in ["audit", "audit-policy", "audit-data"] {
                        drop(settings.remove(key));
                    }
                }
            }
            _ => {}
        }
        settings.try_into().map_err(|error: toml::de::Error| UsageError(error.message().to_owned()))
    }

    /// What tells one training from another: the settings that shape the weights, as names and values.
    pub(crate) fn hyperparameters(&self) -> Vec<(String, toml::Value)> {
        let shapes = |key: &str| TOLD.contains(&key) || !AGAIN.contains(&key);
        let of_source = SourceArgs::keys();
        let table = table(self).unwrap_or_default().into_iter();
        table.filter(|(key, _)| shapes(key) && !of_source.contains(key)).collect()
    }

    /// What has to come from the run, as names and values: a run file that somebody edited is found out by it.
    pub(crate) fn recipe(&self) -> BTreeMap<String, String> {
        // Which test images are scored shapes no weights, though it may not be given again.
        let is_kept = |key: &str| !TOLD.contains(&key) && key != "test-limit";
        let all = self.hyperparameters().into_iter().filter(|(key, _)| is_kept(key));
        all.map(|(key, value)| (key, value.to_string())).collect()
    }

    /// Where learning rates depend on the number of epochs, another one would have made other weights
    /// from the first step on.
    fn keeps_the_rates_of(&self, run: &Settings) -> Result<(), UsageError> {
        match (run.schedule, self.epochs, run.epochs) {
            (Some(schedule), Some(epochs), Some(earlier))
                if schedule.depends_on_end() && epochs != earlier =>
            {
                Err(UsageError(format!(
                    "--epochs is {epochs}, the run to resume has {earlier}, and its schedule depends on it; \
                     --steps may end it earlier"
                )))
            }
            _ => Ok(()),
        }
    }
}

fn table(settings: &Settings) -> Result<Table, UsageError> {
    Table::try_from(settings).map_err(|error| UsageError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::learn::schedule::ScheduleKind;
    use mixfeed_loader::source::Order;

    fn run() -> Settings {
        Settings {
            data: Some("synthetic".to_owned()),
            workers: Some(2),
            lr: Some(0.1),
            ..Settings::default()
        }
        .complete()
    }

    #[test]
    fn hyperparameters_are_what_shapes_the_weights() {
        let settings = Settings { threads: Some(3), log: Some("debug".to_owned()), ..run() };
        let all = settings.hyperparameters();
        let of = |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
        assert_eq!(
            (of("lr"), of("epochs"), of("preset")),
            (Some("0.1".into()), Some("30".into()), Some("\"article\"".into()))
        );
        for name in ["threads", "log", "data", "workers", "device", "auth-token-file"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn a_recipe_is_what_a_run_keeps() {
        let recipe = Settings { test_limit: Some(5), threads: Some(3), ..run() }.recipe();
        assert_eq!((recipe["lr"].as_str(), recipe["mixup-alpha"].as_str()), ("0.1", "0.2"));
        for name in ["epochs", "steps", "test-limit", "threads", "data"] {
            assert!(!recipe.contains_key(name), "{name}");
        }
    }

    #[test]
    fn what_does_not_shape_the_weights_may_be_given_again() {
        let given = Settings { epochs: Some(50), threads: Some(3), ..Settings::default() };
        for resume in [Resume::Yes, Resume::Auto] {
            let settings = given.clone().over_run(&run(), resume).unwrap();
            assert_eq!(settings, Settings { epochs: Some(50), threads: Some(3), ..run() });
        }
        let loaders = Some(vec!["127.0.0.1:1".to_owned()]);
        let given = Settings { loaders: loaders.clone(), ..Settings::default() };
        let settings = given.over_run(&run(), Resume::Yes).unwrap();
        assert_eq!(settings, Settings { loaders, data: None, workers: None, ..run() });
        let settings = Settings { audit: Some(9), ..settings };
        let given = Settings { data: Some("synthetic".to_owned()), ..Settings::default() };
        assert_eq!(given.over_run(&settings, Resume::Yes).unwrap(), Settings { workers: None, ..run() });
    }

    #[test]
    fn what_a_finished_run_does_not_heed_is_named_where_it_is_not_the_runs() {
        let given = Settings { epochs: Some(30), log: Some("debug".to_owned()), workers: Some(2), ..run() };
        assert_eq!(given.unheeded(&run()), Vec::<String>::new());
        let loaders = Some(vec!["127.0.0.1:1".to_owned()]);
        let given = Settings { loaders, workers: Some(3), data: None, ..given };
        assert_eq!(given.unheeded(&run()), ["--loaders", "--workers"]);
    }

    #[test]
    fn how_the_data_is_read_comes_from_the_run_unless_it_is_given_again() {
        let source = |test_fraction, order| SourceArgs { test_fraction, order, ..SourceArgs::default() };
        let run = Settings { source: source(Some(0.2), Some(Order::Name)), ..run() };
        let resumed = Settings::default().over_run(&run, Resume::Yes).unwrap();
        assert_eq!(resumed, run);
        let Source::Embedded { options, .. } = resumed.check().unwrap().source else { panic!("it has data") };
        assert_eq!((options.test_fraction, options.order), (0.2, Order::Name));
        let given = Settings { source: source(Some(0.3), None), ..Settings::default() };
        let resumed = given.over_run(&run, Resume::Yes).unwrap();
        assert_eq!(resumed.source, source(Some(0.3), Some(Order::Name)));
        let given = Settings { loaders: Some(vec!["127.0.0.1:1".to_owned()]), ..Settings::default() };
        let resumed = given.over_run(&run, Resume::Yes).unwrap();
        assert_eq!(resumed.source, SourceArgs::default(), "other loaders read as they were told to");
        assert!(resumed.check().is_ok());
    }

    #[test]
    fn a_schedule_that_ends_with_training_keeps_its_end() {
        for (schedule, is_free) in
            [("constant", true), ("step", true), ("cosine", false), ("one-cycle", false)]
        {
            let schedule = <ScheduleKind as ValueEnum>::from_str(schedule, false).unwrap();
            let run = Settings { schedule: Some(schedule), epochs: Some(10), ..run() };
            let given = |epochs| Settings { epochs: Some(epochs), ..Settings::default() };
            assert!(given(10).over_run(&run, Resume::Yes).is_ok());
            let other = given(11).over_run(&run, Resume::Auto);
            assert_eq!(other.is_ok(), is_free, "{schedule:?}: {other:?}");
        }
    }

    #[test]
    fn what_shapes_the_weights_comes_from_the_run() {
        let error = |given: Settings, resume| given.over_run(&run(), resume).unwrap_err().to_string();
        let same = || Settings { lr: Some(0.1), ..Settings::default() };
        assert!(error(same(), Resume::Yes).contains("--lr"));
        assert_eq!(same().over_run(&run(), Resume::Auto).unwrap(), run());
        let other = Settings { lr: Some(0.2), ..Settings::default() };
        assert_eq!(error(other, Resume::Auto), "--lr is 0.2, the run to resume has 0.1");
        let limit = Settings { limit: Some(5), ..Settings::default() };
        assert_eq!(error(limit, Resume::Auto), "--limit is 5, the run to resume has no value");
    }
}
