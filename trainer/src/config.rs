//! What a run is asked to do: flags, environment and file, as they come.
//!
//! Every setting is optional here. A preset fills what is left open (`preset.rs`), and what comes out
//! is checked once and turned into values that cannot be wrong (`checked.rs`).

mod access;
mod again;
mod checked;
mod effect;
mod every;
mod preset;
mod ranges;
mod recipe;

pub use crate::usage::UsageError;
pub use again::Resume;
pub use checked::{Audit, RunConfig, Source, Training};
pub use every::{CheckpointEvery, CheckpointEveryError};
pub use preset::Preset;
pub use recipe::Recipe;

use crate::learn::loss::Loss;
use crate::learn::model::ModelKind;
use crate::learn::optimizer::OptimizerKind;
use crate::learn::precision::Precision;
use crate::learn::schedule::ScheduleKind;
use crate::machine::device::DeviceChoice;
use clap::Args;
use merge::Merge;
use mixfeed_client::AuditPolicy;
use mixfeed_loader::config::{AugmentationArgs, SourceArgs};
use mixfeed_ops::address;
use mixfeed_ops::config::{self, ConfigError, Duration, twin};
use mixfeed_ops::logging::LogFormat;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where a trainer listens, and is looked for, unless said otherwise: on this machine only.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:50061";

/// The settings of `train` and `compare`; as a file, the same names in TOML, and in the environment, `MIXFEED_TRAINER_`
/// and the name in capitals.
#[derive(Args, Clone, Debug, Default, Merge, PartialEq, Serialize, Deserialize)]
#[merge(strategy = merge::option::overwrite_none)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(rustdoc::broken_intra_doc_links)] // Help is shown as it is written here.
pub struct Settings {
    /// Loaders to read from: host:port, dns:///host:port or unix:///path, separated by commas
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',')]
    #[arg(help_heading = "Data")]
    pub loaders: Option<Vec<String>>,
    /// Dataset to read in this process, without separate loaders: a folder or file, or synthetic[:N] for N generated images
    #[arg(long, value_name = "PATH|synthetic[:N]", help_heading = "Data")]
    pub data: Option<String>,
    /// Worker threads of the loader inside this process [default: one per CPU core]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub workers: Option<usize>,
    /// How that loader reads the data.
    #[command(flatten, next_help_heading = "Data")]
    #[serde(flatten)]
    #[merge(strategy = Merge::merge)]
    pub source: SourceArgs,
    /// How long to wait while no loader is available or gets on with a batch; one that is silent for 3 s counts as lost, and while any is connected it is 1m at least [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "Data")]
    pub loader_timeout: Option<Duration>,
    /// Use TLS; trust loaders whose certificates are signed by a CA in this file (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate, for loaders that ask for one (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub tls_key: Option<PathBuf>,
    /// File with the bearer token that loaders ask for
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub auth_token_file: Option<PathBuf>,
    /// Audit: fetch one in N batches, drawn at random, from two loaders and compare them [default: 0, none]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub audit: Option<u64>,
    /// When loaders contradict each other: continue without the one that a third shows to be wrong, or stop (exit code 8)
    /// [default: continue]
    #[arg(long, value_name = "continue|stop", help_heading = "Data")]
    pub audit_policy: Option<AuditPolicy>,
    /// Trusted copy of the data, read as --data: where loaders contradict each other, the batch made from it decides
    #[arg(long, value_name = "PATH", help_heading = "Data")]
    pub audit_data: Option<String>,
    /// Forget what the run to resume has found out about its loaders [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Data")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub forget_loaders: Option<bool>,
    /// Preload: read all batches before the first step, to measure what streaming costs [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Data")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub preload: Option<bool>,
    /// Use only the first N training samples, before shuffling; in class folders they may all be of one class
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub limit: Option<u64>,
    /// Evaluate on the first N test samples only
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub test_limit: Option<u64>,

    /// Recipe whose settings are the defaults of what follows [default: article]
    #[arg(long, help_heading = "Training")]
    pub preset: Option<Preset>,
    /// Network: article-cnn (images of 16x16 to 512x512), preact-resnet18, fast-resnet (both: 8x8 or larger), linear (any
    /// size), or a TorchScript file [default: article-cnn; paper: preact-resnet18; fast: fast-resnet; photo: none]
    #[arg(long, value_name = "NAME|FILE.pt", help_heading = "Training")]
    pub model: Option<ModelKind>,
    /// Initialise weights from this checkpoint, or from the newest in this run folder
    #[arg(long, value_name = "PATH", help_heading = "Training")]
    pub init_from: Option<PathBuf>,
    /// Epochs: passes through the training samples [default: 30; paper: 200; fast: 24; photo: 90]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub epochs: Option<u64>,
    /// Maximum number of optimiser steps: training ends at --epochs or --steps, whichever comes first
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub steps: Option<u64>,
    /// Batch size, in samples; the last, smaller batch of an epoch is kept [default: 128; fast: 512]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch_size: Option<u32>,
    /// Virtual shards: the gradient of a batch is the sum over so many pieces of it, in a fixed order, and batch normalisation
    /// sees each piece alone; a power of two, at most --batch-size [default: 1; a group: 8]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub virtual_shards: Option<u32>,
    /// Random seed, of initial weights, order, augmentation and mixing [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seed: Option<u64>,
    /// How images are augmented and mixed.
    #[command(flatten, next_help_heading = "Augmentation")]
    #[serde(flatten)]
    #[merge(strategy = Merge::merge)]
    pub augmentation: AugmentationArgs,
    /// Loss function [default: soft-ce]
    #[arg(long, help_heading = "Training")]
    pub loss: Option<Loss>,
    /// Label smoothing: fraction of each target spread evenly over all classes, 0 to below 1 [default: 0; fast and photo: 0.1]
    #[arg(long, value_name = "FRACTION", help_heading = "Training")]
    #[arg(allow_negative_numbers = true)]
    pub label_smoothing: Option<f64>,

    /// Optimiser [default: adam; others than article: sgd]
    #[arg(long, help_heading = "Optimisation")]
    pub optimizer: Option<OptimizerKind>,
    /// Learning rate, the peak of the schedule [default: 0.001; paper: 0.1; fast: 0.4; photo: 0.05]
    #[arg(long, value_name = "RATE", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Momentum of SGD, 0 to below 1 [default: 0.9]
    #[arg(long, value_name = "M", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// Use Nesterov momentum with SGD [default: false; fast: true]
    #[arg(long, value_name = "BOOL", help_heading = "Optimisation")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub nesterov: Option<bool>,
    /// Weight decay [default: 0; paper and photo: 0.0001; fast: 0.0005]
    #[arg(long, value_name = "RATE", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// Apply weight decay to biases and normalisation layers too [default: true; fast and photo: false]
    #[arg(long, value_name = "BOOL", help_heading = "Optimisation")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub decay_norm_bias: Option<bool>,
    /// Learning-rate schedule [default: constant; paper: step; fast: one-cycle; photo: cosine]
    #[arg(long, help_heading = "Optimisation")]
    pub schedule: Option<ScheduleKind>,
    /// Warm-up: epochs over which the learning rate rises linearly to --lr, up to --epochs; 0.5 is half an epoch [default: 0;
    /// fast and photo: 5; other one-cycle schedules: 30 % of all]
    #[arg(long, value_name = "EPOCHS", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub warmup: Option<f64>,
    /// Milestones of --schedule step: epochs after which the learning rate is multiplied by --lr-factor [paper: 100,150]
    #[arg(long, value_name = "N,…", help_heading = "Optimisation")]
    #[arg(value_delimiter = ',')]
    pub milestones: Option<Vec<u64>>,
    /// Factor of the learning rate at each milestone (gamma) [default: 0.1]
    #[arg(long, value_name = "FACTOR", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub lr_factor: Option<f64>,
    /// Gradient clipping: clip the global gradient norm to this value; 0 disables it [default: 0]
    #[arg(long, value_name = "NORM", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub clip_norm: Option<f64>,
    /// Evaluate and save an exponential moving average of the weights with this decay; 0 disables it [default: 0]
    #[arg(long, value_name = "DECAY", help_heading = "Optimisation")]
    #[arg(allow_negative_numbers = true)]
    pub ema: Option<f64>,

    /// Device: auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub device: Option<DeviceChoice>,
    /// CPU threads of libtorch; results depend on their number [default: one per CPU core]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub threads: Option<usize>,
    /// Precision of the forward pass (mixed precision) [default: fp32; fast and photo: auto]
    #[arg(long, help_heading = "Machine")]
    pub precision: Option<Precision>,
    /// Refuse to resume where the device, the number of threads, the processor or its instructions differ [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Machine")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub strict_machine: Option<bool>,
    /// Use deterministic GPU algorithms only [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Machine")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub deterministic: Option<bool>,
    /// Allow TF32 matrix multiplication on GPUs [default: true]
    #[arg(long, value_name = "BOOL", help_heading = "Machine")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub tf32: Option<bool>,

    /// Run folder [default: the next free runs/PRESET-N]
    #[arg(long, short, value_name = "DIR", help_heading = "Results")]
    pub output: Option<PathBuf>,
    /// Write a checkpoint every N steps, or every TIME (5m); one is always written after each epoch
    #[arg(long, value_name = "N|TIME", help_heading = "Results")]
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Evaluate on the test images every N epochs, and after the last [default: 1]
    #[arg(long, value_name = "N", help_heading = "Results")]
    pub eval_every: Option<u64>,
    /// Log loss, learning rate and speed for TensorBoard every N steps [default: 50]
    #[arg(long, value_name = "N", help_heading = "Results")]
    pub log_every: Option<u64>,
    /// Serve progress on this address, for `watch` and `stop` [ADDR, when not given: 127.0.0.1:50061]
    #[arg(long, value_name = "ADDR", help_heading = "Results")]
    #[arg(num_args = 0..=1, default_missing_value = DEFAULT_ADDRESS)]
    #[arg(value_parser = address::listen)]
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: Option<SocketAddr>,
    /// TLS certificate chain of --listen (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub listen_tls_cert: Option<PathBuf>,
    /// TLS private key of --listen (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub listen_tls_key: Option<PathBuf>,
    /// Require client certificates signed by a CA in this file (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub listen_tls_client_ca: Option<PathBuf>,
    /// Require the bearer token in this file
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub listen_auth_token_file: Option<PathBuf>,
    /// Require authentication, and TLS on addresses that other machines can reach, or refuse to start [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Results")]
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    pub listen_require_auth: Option<bool>,
    /// Serve Prometheus metrics on this address, e.g. 127.0.0.1:9464
    #[arg(long, value_name = "ADDR", help_heading = "Results")]
    #[arg(value_parser = address::listen)]
    #[serde(deserialize_with = "address::deserialize")]
    pub metrics: Option<SocketAddr>,
    /// Log format [default: text]
    #[arg(long, help_heading = "Results")]
    pub log_format: Option<LogFormat>,
    /// Log filter, e.g. warn,mixfeed_client=debug [default: info,mixfeed_loader=warn]
    #[arg(long, value_name = "FILTER", help_heading = "Results")]
    pub log: Option<String>,
}

/// The environment twin of a flag.
pub(crate) fn environment_twin(arg: clap::Arg) -> clap::Arg {
    twin(arg, "MIXFEED_TRAINER_")
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
    pub fn over(mut self, file: Option<&Path>) -> Result<Settings, ConfigError> {
        let Some(path) = file else { return Ok(self) };
        let mut below: Settings = config::read(path).map_err(|error| error.with_keys(&Settings::keys()))?;
        // These two exclude each other, so one of them on top puts the other one below out of force.
        match (self.loaders.is_some(), self.data.is_some()) {
            (true, false) => {
                (below.data, below.workers, below.source) = (None, None, SourceArgs::default());
            }
            (false, true) => below.forget_loaders(),
            _ => {}
        }
        self.merge(below);
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
