//! What a run is asked to do: flags, environment and file, as they come.
//!
//! Every setting is optional here. A preset fills what is left open (`preset.rs`), and what comes out
//! is checked once and turned into values that cannot be wrong (`checked.rs`).

mod again;
mod checked;
mod every;
mod preset;

pub use again::Resume;
pub use checked::{RunConfig, Source, Training, UsageError};
pub use every::{CheckpointEvery, CheckpointEveryError};
pub use preset::Preset;

use crate::device::DeviceChoice;
use crate::loss::Loss;
use crate::model::ModelKind;
use clap::Args;
use mixfeed_ops::config::{ConfigError, Duration, layered};
use mixfeed_ops::logging::LogFormat;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The settings of `train` and `compare`; as a file, the same names in TOML.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Loaders to read from: host:port, dns:///host:port or unix:///path, separated by commas
    #[arg(long, env = "MIXFEED_TRAINER_LOADERS", value_name = "ADDR,…", value_delimiter = ',')]
    #[arg(help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaders: Option<Vec<String>>,
    /// Instead of --loaders: start a loader inside this process for a folder, synthetic or synthetic:N
    #[arg(long, env = "MIXFEED_TRAINER_DATA", value_name = "WHERE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Worker threads of the loader inside this process [default: one per core]
    #[arg(long, env = "MIXFEED_TRAINER_WORKERS", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// How long to wait when no loader is to be had [default: 10m]
    #[arg(long, env = "MIXFEED_TRAINER_LOADER_TIMEOUT", value_name = "TIME", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loader_timeout: Option<Duration>,
    /// Use only the first N training samples
    #[arg(long, env = "MIXFEED_TRAINER_LIMIT", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,

    /// Recipe that everything below starts from [default: article]
    #[arg(long, env = "MIXFEED_TRAINER_PRESET", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Network [article: article-cnn]
    #[arg(long, env = "MIXFEED_TRAINER_MODEL", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelKind>,
    /// Passes through the training samples [article: 30]
    #[arg(long, env = "MIXFEED_TRAINER_EPOCHS", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Stop after N steps, if that is earlier
    #[arg(long, env = "MIXFEED_TRAINER_STEPS", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Samples of a step [article: 128]
    #[arg(long, env = "MIXFEED_TRAINER_BATCH_SIZE", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Seed of everything random: weights, order, mixing [default: 0]
    #[arg(long, env = "MIXFEED_TRAINER_SEED", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// lambda is drawn from Beta(ALPHA, ALPHA); 0 mixes nothing [article: 0.2]
    #[arg(long, env = "MIXFEED_TRAINER_MIXUP_ALPHA", value_name = "ALPHA", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup_alpha: Option<f64>,
    /// Share of samples that are mixed, 0 to 1 [article: 0.2]
    #[arg(long, env = "MIXFEED_TRAINER_MIXUP_PROB", value_name = "SHARE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup_prob: Option<f64>,
    /// What training makes small [article: soft-ce]
    #[arg(long, env = "MIXFEED_TRAINER_LOSS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Learning rate [article: 0.001]
    #[arg(long, env = "MIXFEED_TRAINER_LR", value_name = "RATE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, env = "MIXFEED_TRAINER_DEVICE", value_name = "DEVICE", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceChoice>,
    /// CPU threads that compute; results depend on it [default: one per core]
    #[arg(long, env = "MIXFEED_TRAINER_THREADS", value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,

    /// Run folder [default: the next free runs/PRESET-N]
    #[arg(long, short, env = "MIXFEED_TRAINER_OUTPUT", value_name = "DIR", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Write a checkpoint every so many steps, or so often (5m); always at the end of each epoch
    #[arg(long, env = "MIXFEED_TRAINER_CHECKPOINT_EVERY", value_name = "N|TIME", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Let `watch` and `stop` reach this training here [ADDR, when not given: 127.0.0.1:50061]
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN", value_name = "ADDR", help_heading = "Results")]
    #[arg(num_args = 0..=1, default_missing_value = crate::remote::DEFAULT_ADDRESS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Serve Prometheus metrics here, as in 127.0.0.1:9464
    #[arg(long, env = "MIXFEED_TRAINER_METRICS", value_name = "ADDR", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// How log lines look [default: text]
    #[arg(long, env = "MIXFEED_TRAINER_LOG_FORMAT", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// What is logged, as in warn,mixfeed_client=debug [default: info,mixfeed_loader=warn]
    #[arg(long, env = "MIXFEED_LOG", value_name = "FILTER", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Settings {
    /// Lays these settings, from flags and environment, over those of `file`.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something that is no setting.
    pub fn over(self, file: Option<&Path>) -> Result<Settings, ConfigError> {
        let (loaders_given, data_given) = (self.loaders.is_some(), self.data.is_some());
        let mut settings = layered(self, file)?;
        // These two exclude each other, so one of them on top puts the other one below out of force.
        match (loaders_given, data_given) {
            (true, false) => (settings.data, settings.workers) = (None, None),
            (false, true) => settings.loaders = None,
            _ => {}
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_preset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let text = "epochs = 5\nbatch-size = 64\nloaders = [\"a:1\"]\nloader-timeout = \"3s\"\n";
        std::fs::write(&path, text).unwrap();
        let flags = Settings { epochs: Some(2), data: Some("synthetic".to_owned()), ..Settings::default() };
        let settings = flags.over(Some(&path)).unwrap();
        assert_eq!(settings.loaders, None, "--data puts the file's loaders out of force");
        let config = settings.check().unwrap();
        assert_eq!((config.training.epochs, config.training.stream.batch_size), (2, 64));
        assert_eq!(config.loader_timeout, std::time::Duration::from_secs(3));
        assert_eq!(config.training.preset, Preset::Article);
    }

    #[test]
    fn a_key_that_is_no_setting_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "batchsize = 64\n").unwrap();
        let error = Settings::default().over(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("batchsize") && error.contains("settings.toml"), "{error}");
    }
}
