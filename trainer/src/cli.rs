//! The command line: which commands there are and what they take.
//!
//! What a flag does is said where its setting is defined ([`crate::config`]) or, for what is no
//! setting, here.

use crate::compare::GridAxis;
use crate::config::DEFAULT_ADDRESS;
use crate::config::{Resume, Settings, environment_twin};
use crate::group::GroupArgs;
use crate::machine::device::DeviceChoice;
use clap::{Args, Parser, Subcommand};
use mixfeed_loader::config::SourceArgs;
use mixfeed_ops::build;
use mixfeed_ops::config::Duration;
use mixfeed_ops::grpc::CredentialFiles;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Trains image classifiers on batches that come from any number of loaders.
#[derive(Debug, Parser)]
#[command(name = "mixfeed-trainer", version = VERSION.as_str(), about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one of it in the life of a process.
pub enum Command {
    /// Train a model and leave a run folder with checkpoint, metrics and curves
    Train(TrainArgs),
    /// Train with and without mixup, several times each, and compare
    Compare(CompareArgs),
    /// Evaluate a checkpoint on the test split: accuracy, calibration, robustness
    Evaluate(EvaluateArgs),
    /// Predict the classes of image files with a checkpoint
    Predict(PredictArgs),
    /// Show the progress of a training run that was started with --listen, live
    Watch(WatchArgs),
    /// Checkpoint and stop a training run that was started with --listen
    Stop(StopArgs),
    /// Check that a training run started with --listen answers: exit code 0 or 1 (container probe)
    Healthcheck(HealthcheckArgs),
    /// Diagnose this machine's set-up: libtorch, CUDA, loaders
    Doctor(DoctorArgs),
}

/// What `train` takes.
#[derive(Args, Debug)]
#[command(mut_args(environment_twin))]
pub struct TrainArgs {
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
    /// What is no setting.
    #[command(flatten)]
    pub run: RunArgs,
    /// The other trainers.
    #[command(flatten)]
    pub group: GroupArgs,
    /// Resume the run in --output, with its settings; `auto` starts one if there is none
    #[arg(long, value_name = "auto", num_args = 0..=1, default_missing_value = "yes")]
    #[arg(hide_possible_values = true, conflicts_with = "overwrite")]
    pub resume: Option<Resume>,
}

/// What `compare` takes.
#[derive(Args, Debug)]
#[command(mut_args(environment_twin))]
pub struct CompareArgs {
    /// Trials of each arm, with and without mixup; in both, trial i (from 0) has seed + i [default: 3]
    #[arg(long, value_name = "N")]
    pub trials: Option<u32>,
    /// Grid over mixup-alpha, mixup-prob or both, e.g. mixup-alpha=0.2,1 mixup-prob=0.2,0.5,1
    #[arg(long, value_name = "SETTING=VALUE,…", num_args = 1..)]
    pub grid: Vec<GridAxis>,
    /// Train nothing: join finished runs into one table, from the run.toml and metrics.csv in their folders, after checking that they
    /// differ in nothing but mixing and seed
    #[arg(long, value_name = "RUN", num_args = 1.., conflicts_with_all = ["trials", "grid", "resume", "overwrite"])]
    pub collect: Vec<PathBuf>,
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
    /// What is no setting.
    #[command(flatten)]
    pub run: RunArgs,
    /// Resume the comparison in --output, with its settings; `auto` starts one if there is none
    #[arg(long, value_name = "auto", num_args = 0..=1, default_missing_value = "yes")]
    #[arg(hide_possible_values = true, conflicts_with = "overwrite")]
    pub resume: Option<Resume>,
}

/// Flags of commands that train, beside the settings.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Read settings from this TOML file; flags and environment win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the effective settings, in the form that --config reads, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Replace the run in --output
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What `evaluate` takes.
#[derive(Args, Debug)]
#[command(mut_args(environment_twin))]
pub struct EvaluateArgs {
    /// Checkpoint file, or run folder (for its newest, checkpoint-last.safetensors)
    #[arg(long, value_name = "PATH")]
    pub checkpoint: PathBuf,
    /// Where test images come from.
    #[command(flatten)]
    pub from: FromArgs,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
    /// CPU threads of libtorch [default: one per CPU core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Also evaluate under the FGSM attack, with each pixel moved by EPS/255
    #[arg(long, value_name = "EPS,…", value_delimiter = ',')]
    pub fgsm: Vec<f64>,
    /// Draw the confusion matrix into this file, NAME.png or NAME.svg
    #[arg(long, value_name = "FILE")]
    pub confusion: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What `predict` takes.
#[derive(Args, Debug)]
#[command(mut_args(environment_twin))]
pub struct PredictArgs {
    /// Checkpoint file, or run folder (for its newest, checkpoint-last.safetensors)
    #[arg(long, value_name = "PATH")]
    pub checkpoint: PathBuf,
    /// PNG, JPEG, WebP, BMP, GIF or TIFF files; one of another size is cut to the model's proportions and scaled
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// How many classes to name for each image
    #[arg(long, value_name = "K", default_value_t = 3)]
    pub top: usize,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
    /// CPU threads of libtorch [default: one per CPU core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// A training in another process.
#[derive(Args, Debug)]
pub struct ToTrainer {
    /// Address of the trainer
    #[arg(long, env = "MIXFEED_TRAINER_ADDRESS", value_name = "ADDR", default_value = DEFAULT_ADDRESS)]
    pub trainer: String,
    /// Use TLS; trust a trainer whose certificate is signed by a CA in this file (PEM)
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate, for a trainer that asks for one (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// File with the bearer token that the trainer asks for
    #[arg(long, env = "MIXFEED_TRAINER_LISTEN_AUTH_TOKEN_FILE", value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
}

impl ToTrainer {
    /// Client credentials, and the trusted CA, for the trainer.
    #[must_use]
    pub fn credentials(&self) -> CredentialFiles {
        CredentialFiles {
            tls_ca: self.tls_ca.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            auth_token: self.auth_token_file.clone(),
        }
    }
}

/// What `watch` takes.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Whom to watch.
    #[command(flatten)]
    pub to: ToTrainer,
    /// Refresh interval, at the least [default: 250ms on a terminal, else 10s]
    #[arg(long, value_name = "TIME")]
    pub interval: Option<Duration>,
}

/// What `stop` takes.
#[derive(Args, Debug)]
pub struct StopArgs {
    /// Whom to end.
    #[command(flatten)]
    pub to: ToTrainer,
}

/// What `healthcheck` takes.
#[derive(Args, Debug)]
pub struct HealthcheckArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub to: ToTrainer,
    /// Timeout: how long to wait for the answer
    #[arg(long, value_name = "TIME", default_value = "3s")]
    pub timeout: Duration,
}

/// What `doctor` takes.
#[derive(Args, Debug)]
#[command(mut_args(environment_twin))]
pub struct DoctorArgs {
    /// Loaders that should be reachable.
    #[command(flatten)]
    pub from: FromArgs,
}

/// Where batches come from, for commands that do not train.
#[derive(Args, Debug)]
#[allow(rustdoc::broken_intra_doc_links)] // Help is shown as it is written here.
pub struct FromArgs {
    /// Loaders to read from: host:port, dns:///host:port or unix:///path, separated by commas
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',')]
    pub loaders: Option<Vec<String>>,
    /// Dataset to read in this process, without separate loaders: a folder or file, or synthetic[:N] for N generated images
    #[arg(long, value_name = "PATH|synthetic[:N]")]
    pub data: Option<String>,
    /// How that loader reads the data.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How long to wait while no loader is available or gets on with a batch; one that is silent for 3 s counts as lost, and while any is connected it is 1m at least [default: 10m; doctor: 5s]
    #[arg(long, value_name = "TIME")]
    pub loader_timeout: Option<Duration>,
    /// Use TLS; trust loaders whose certificates are signed by a CA in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate, for loaders that ask for one (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// File with the bearer token that loaders ask for
    #[arg(long, value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
}

impl FromArgs {
    /// The same as settings of a run.
    #[must_use]
    pub fn settings(self) -> Settings {
        let FromArgs { loaders, data, source, loader_timeout, tls_ca, tls_cert, tls_key, auth_token_file } =
            self;
        let settings = Settings { loaders, data, source, loader_timeout, ..Settings::default() };
        Settings { tls_ca, tls_cert, tls_key, auth_token_file, ..settings }
    }
}

static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("{} (commit {}, libtorch {})", build::RELEASE, build::COMMIT, crate::machine::device::LIBTORCH)
});

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
