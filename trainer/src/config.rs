//! What a run is asked to do: flags, environment and file, as they come.
//!
//! Every setting is optional here. A preset fills what is left open (`preset.rs`), and what comes out
//! is checked once and turned into values that cannot be wrong (`checked.rs`).

mod access;
mod again;
mod checked;
mod every;
mod mixing;
mod preset;
mod reading;
mod recipe;

pub use again::Resume;
pub use checked::{RunConfig, Source, Training, UsageError};
pub use every::{CheckpointEvery, CheckpointEveryError};
pub use preset::Preset;
pub use reading::Reading;
pub use recipe::Recipe;

use crate::device::DeviceChoice;
use crate::loss::Loss;
use crate::model::ModelKind;
use crate::optimizer::OptimizerKind;
use crate::precision::Precision;
use crate::schedule::ScheduleKind;
use clap::Args;
use mixfeed_client::{CustomTransform, LambdaScope, PartnerSource};
use mixfeed_ops::address;
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
    /// How that loader reads the data.
    #[command(flatten)]
    #[serde(flatten)]
    pub reading: Reading,
    /// How long to wait when no loader is to be had [default: 10m]
    #[arg(long, env = "MIXFEED_TRAINER_LOADER_TIMEOUT", value_name = "TIME", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loader_timeout: Option<Duration>,
    /// Speak TLS to loaders; their certificates must be signed by one in this file (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_TLS_CA", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// The certificate to show to loaders that ask for one (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_TLS_CERT", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_TLS_KEY", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// The token that loaders ask for, in this file
    #[arg(long, env = "MIXFEED_TRAINER_AUTH_TOKEN_FILE", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token_file: Option<PathBuf>,
    /// Fetch every Nth batch from two loaders and compare them [default: 0, never]
    #[arg(long, env = "MIXFEED_TRAINER_AUDIT", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<u64>,
    /// Read all batches before the first step, to measure what streaming costs [default: false]
    #[arg(long, env = "MIXFEED_TRAINER_PRELOAD", value_name = "BOOL", help_heading = "Data")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
    /// Use only the first N training samples
    #[arg(long, env = "MIXFEED_TRAINER_LIMIT", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Evaluate on the first N test images only
    #[arg(long, env = "MIXFEED_TRAINER_TEST_LIMIT", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<u64>,

    /// Recipe that everything below starts from [default: article]
    #[arg(long, env = "MIXFEED_TRAINER_PRESET", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Network: article-cnn (images of 16x16 to 512x512), preact-resnet18, fast-resnet (both: 8x8 or larger), linear (any
    /// size), or a TorchScript file [article: article-cnn]
    #[arg(long, env = "MIXFEED_TRAINER_MODEL", value_name = "NAME|FILE.pt", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelKind>,
    /// Begin with the weights of this checkpoint, or of the newest in this run folder
    #[arg(long, env = "MIXFEED_TRAINER_INIT_FROM", value_name = "PATH", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
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
    /// mixup's lambda is drawn from Beta(ALPHA, ALPHA); 0 for CutMix alone, or nothing [article: 0.2]
    #[arg(long, env = "MIXFEED_TRAINER_MIXUP_ALPHA", value_name = "ALPHA", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup_alpha: Option<f64>,
    /// Share of samples that are mixed, 0 to 1 [article: 0.2]
    #[arg(long, env = "MIXFEED_TRAINER_MIXUP_PROB", value_name = "SHARE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup_prob: Option<f64>,
    /// CutMix's lambda is drawn from Beta(ALPHA, ALPHA); 0 for mixup alone [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_CUTMIX_ALPHA", value_name = "ALPHA", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix_alpha: Option<f64>,
    /// With both: of what is mixed, the share that CutMix gets [default: 0.5]
    #[arg(long, env = "MIXFEED_TRAINER_SWITCH_PROB", value_name = "SHARE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_prob: Option<f64>,
    /// What has a lambda of its own: sample or batch [article: sample]
    #[arg(long, env = "MIXFEED_TRAINER_LAMBDA_PER", value_name = "WHAT", help_heading = "Training")]
    #[arg(value_parser = mixing::lambda_scope)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda_per: Option<LambdaScope>,
    /// Where partners come from: dataset, or a permutation of the batch [article: dataset]
    #[arg(long, env = "MIXFEED_TRAINER_PARTNER", value_name = "WHERE", help_heading = "Training")]
    #[arg(value_parser = mixing::partner_source)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerSource>,
    /// Black pixels added on each side before a random crop; 0 crops nothing [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_CROP_PADDING", value_name = "PIXELS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_padding: Option<u32>,
    /// Share of images that is mirrored left to right [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_FLIP_PROB", value_name = "SHARE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip_prob: Option<f64>,
    /// Least area, as a share, of a random part that is brought to the image's size; 0 for none [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_RESIZED_CROP", value_name = "AREA", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_crop: Option<f64>,
    /// Make one of TrivialAugment's changes to each image [article: false]
    #[arg(long, env = "MIXFEED_TRAINER_TRIVIAL_AUGMENT", value_name = "BOOL", help_heading = "Training")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trivial_augment: Option<bool>,
    /// Changes of colour: one strength for brightness, contrast and saturation, or theirs and the hue's
    #[arg(long, env = "MIXFEED_TRAINER_COLOR_JITTER", value_name = "S|B,C,S[,H]", help_heading = "Training")]
    #[arg(value_delimiter = ',', allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<Vec<f64>>,
    /// Share of images in which a random rectangle is erased [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_ERASE_PROB", value_name = "SHARE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erase_prob: Option<f64>,
    /// Side of the square that Cutout erases; 0 erases none [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_CUTOUT", value_name = "PIXELS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutout: Option<u32>,
    /// What the values of an erased pixel become, 0 to 255 [default: 0]
    #[arg(long, env = "MIXFEED_TRAINER_ERASED_VALUE", value_name = "VALUE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_value: Option<u8>,
    /// A transform that the loaders have of their own, applied last
    #[arg(
        long,
        env = "MIXFEED_TRAINER_CUSTOM_AUGMENTATION",
        value_name = "NAME:VERSION",
        help_heading = "Training"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_augmentation: Option<CustomTransform>,
    /// What training makes small [article: soft-ce]
    #[arg(long, env = "MIXFEED_TRAINER_LOSS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Share of each target that is spread evenly over all classes, 0 to below 1 [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_LABEL_SMOOTHING", value_name = "SHARE", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,

    /// How gradients change parameters [article: adam]
    #[arg(long, env = "MIXFEED_TRAINER_OPTIMIZER", help_heading = "Optimisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerKind>,
    /// Learning rate, the highest of the schedule [article: 0.001]
    #[arg(long, env = "MIXFEED_TRAINER_LR", value_name = "RATE", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Share of SGD's velocity that is kept from step to step [default: 0.9]
    #[arg(long, env = "MIXFEED_TRAINER_MOMENTUM", value_name = "SHARE", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Whether SGD's momentum is Nesterov's [default: false]
    #[arg(long, env = "MIXFEED_TRAINER_NESTEROV", value_name = "BOOL", help_heading = "Optimisation")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// What pulls parameters towards zero [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_WEIGHT_DECAY", value_name = "RATE", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Whether it pulls at biases and normalisations, too [article: true]
    #[arg(long, env = "MIXFEED_TRAINER_DECAY_NORM_BIAS", value_name = "BOOL", help_heading = "Optimisation")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_norm_bias: Option<bool>,
    /// How the learning rate goes from step to step [article: constant]
    #[arg(long, env = "MIXFEED_TRAINER_SCHEDULE", help_heading = "Optimisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleKind>,
    /// Epochs over which the learning rate rises [article: 0; one-cycle: 30 % of all]
    #[arg(long, env = "MIXFEED_TRAINER_WARMUP", value_name = "EPOCHS", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
    /// Epochs that begin with a lower learning rate, for --schedule step
    #[arg(long, env = "MIXFEED_TRAINER_MILESTONES", value_name = "N,…", help_heading = "Optimisation")]
    #[arg(value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<u64>>,
    /// What the learning rate is multiplied by at each [default: 0.1]
    #[arg(long, env = "MIXFEED_TRAINER_LR_FACTOR", value_name = "FACTOR", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_factor: Option<f64>,
    /// Gradients that are longer than this in all are made shorter; 0 leaves them [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_CLIP_NORM", value_name = "LENGTH", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Judge and keep a moving average of the weights, which keeps this share of itself at each step; 0 for none [article: 0]
    #[arg(long, env = "MIXFEED_TRAINER_EMA", value_name = "SHARE", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,

    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, env = "MIXFEED_TRAINER_DEVICE", value_name = "DEVICE", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceChoice>,
    /// CPU threads that compute; results depend on it [default: one per core]
    #[arg(long, env = "MIXFEED_TRAINER_THREADS", value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Numbers in which the forward pass computes [article: fp32, fast: auto]
    #[arg(long, env = "MIXFEED_TRAINER_PRECISION", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Whether a GPU uses algorithms only that give the same each time [default: false]
    #[arg(long, env = "MIXFEED_TRAINER_DETERMINISTIC", value_name = "BOOL", help_heading = "Machine")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deterministic: Option<bool>,
    /// Whether a GPU may shorten numbers of 32 bits in products (TF32) [default: true]
    #[arg(long, env = "MIXFEED_TRAINER_TF32", value_name = "BOOL", help_heading = "Machine")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tf32: Option<bool>,

    /// Run folder [default: the next free runs/PRESET-N]
    #[arg(long, short, env = "MIXFEED_TRAINER_OUTPUT", value_name = "DIR", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Write a checkpoint every so many steps, or so often (5m); always at the end of each epoch
    #[arg(long, env = "MIXFEED_TRAINER_CHECKPOINT_EVERY", value_name = "N|TIME", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Evaluate on the test images every N epochs, and after the last [default: 1]
    #[arg(long, env = "MIXFEED_TRAINER_EVAL_EVERY", value_name = "N", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_every: Option<u64>,
    /// Log loss, learning rate and speed for TensorBoard every N steps [default: 50]
    #[arg(long, env = "MIXFEED_TRAINER_LOG_EVERY", value_name = "N", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_every: Option<u64>,
    /// Let `watch` and `stop` reach this training here [ADDR, when not given: 127.0.0.1:50061]
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN", value_name = "ADDR", help_heading = "Results")]
    #[arg(num_args = 0..=1, default_missing_value = crate::remote::DEFAULT_ADDRESS)]
    #[arg(value_parser = address::listen)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "address::deserialize")]
    pub listen: Option<SocketAddr>,
    /// Speak TLS to them, with this certificate and those above it (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN_TLS_CERT", value_name = "FILE", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_tls_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN_TLS_KEY", value_name = "FILE", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_tls_key: Option<PathBuf>,
    /// Answer only those whose certificate is signed by one in this file (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN_TLS_CLIENT_CA", value_name = "FILE", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_tls_client_ca: Option<PathBuf>,
    /// Answer only calls that carry the token in this file
    #[arg(
        long,
        env = "MIXFEED_TRAINER_LISTEN_AUTH_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Results"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_auth_token_file: Option<PathBuf>,
    /// Do not start unless callers have to prove who they are, by TLS where others can reach it [default: false]
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN_REQUIRE_AUTH", value_name = "BOOL", help_heading = "Results")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_require_auth: Option<bool>,
    /// Serve Prometheus metrics here, as in 127.0.0.1:9464
    #[arg(long, env = "MIXFEED_TRAINER_METRICS", value_name = "ADDR", help_heading = "Results")]
    #[arg(value_parser = address::listen)]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "address::deserialize")]
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
    /// The names of all settings, as flags and as keys of a file.
    fn keys() -> Vec<String> {
        let command = Settings::augment_args(clap::Command::new("settings"));
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    }

    /// Lays these settings, from flags and environment, over those of `file`.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something that is no setting.
    pub fn over(self, file: Option<&Path>) -> Result<Settings, ConfigError> {
        let (loaders_given, data_given) = (self.loaders.is_some(), self.data.is_some());
        let mut settings = layered(self, file).map_err(|error| error.with_keys(&Settings::keys()))?;
        // These two exclude each other, so one of them on top puts the other one below out of force.
        match (loaders_given, data_given) {
            (true, false) => {
                (settings.data, settings.workers, settings.reading) = (None, None, Reading::default());
            }
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
    fn a_key_that_is_no_setting_is_an_error_that_lists_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        for key in ["epoch", "learning-rate", "batch_size"] {
            std::fs::write(&path, format!("seed = 1\n{key} = 2\n")).unwrap();
            let error = Settings::default().over(Some(&path)).unwrap_err().to_string();
            let expected =
                format!("line 2: unknown field `{key}`, expected one of `loaders`, `data`, `workers`, ");
            assert!(error.contains(&expected), "{error}");
            for name in ["`epochs`", "`batch-size`", "`lr`", "`test-fraction`", "`eval-every`"] {
                assert!(error.contains(name), "{name} in {error}");
            }
        }
    }

    #[test]
    fn every_key_is_a_setting_that_a_file_may_hold() {
        let complete = Settings { data: Some("synthetic".to_owned()), ..Settings::default() }.complete();
        let table = toml::Table::try_from(&complete).unwrap();
        let keys = Settings::keys();
        assert!(table.keys().all(|key| keys.contains(key)), "{:?}", table);
    }

    #[test]
    fn an_address_is_taken_by_its_name_also_in_a_file() {
        let read = |text: &str| toml::from_str::<Settings>(text);
        let settings = read("metrics = 'localhost:9464'\nlisten = '127.0.0.1:0'").unwrap();
        assert!(settings.metrics.unwrap().ip().is_loopback() && settings.listen.is_some());
        for key in ["metrics", "listen"] {
            let error = read(&format!("{key} = '9464'")).unwrap_err().to_string();
            assert!(error.contains("`9464` is no address to listen on: give HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_key_that_is_no_setting_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        for (text, expected) in [
            ("seed = 1\nbatchsize = 64\n", "settings.toml line 2: unknown field `batchsize`"),
            ("seed = 1\nepochs = \"x\"\n", "settings.toml line 2: invalid type"),
            ("seed = 1\n\ntest-fraction = \"x\"\n", "settings.toml line 3: test-fraction: invalid type"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Settings::default().over(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
