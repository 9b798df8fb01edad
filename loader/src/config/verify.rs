//! Flags of `verify`.

use super::{AugmentationArgs, SourceArgs};
use clap::Args;
use std::path::PathBuf;

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Dataset: a folder or file, or synthetic[:N] for N generated images.
    #[arg(long, value_name = "PATH|synthetic[:N]")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Stream spec (TOML): a run's run.toml, or the contents of its [stream] table. It takes the place of the seed, the batch size and the flags of augmentation.
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["AugmentationArgs", "seed", "batch_size"])]
    pub spec: Option<PathBuf>,
    /// How images are augmented and mixed.
    #[command(flatten)]
    pub augmentation: AugmentationArgs,
    /// Seed of the stream.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Batch size.
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch_size: u32,
    /// Epochs to check, from the first on; where mixing changes, also from each change on, and the last before it.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: u32,
    /// Significance level: outcomes less likely than this fail a check. By default a correct loader fails one check in a
    /// million; as one seed always gives the same result, try another then.
    #[arg(long, default_value_t = 1e-6, value_name = "P", value_parser = probability)]
    pub significance: f64,
    /// Loaders (comma-separated) whose batches are compared with those that are made here, from --data.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',')]
    pub against: Vec<String>,
    /// Batches to compare of each loader, drawn at random from --epochs.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub against_batches: u32,
    /// With --against, use TLS; trust loaders whose certificates are signed by a CA in this file (PEM).
    #[arg(long, value_name = "FILE", requires = "against")]
    pub tls_ca: Option<PathBuf>,
    /// With --against, file with the bearer token that loaders ask for.
    #[arg(long, value_name = "FILE", requires = "against")]
    pub auth_token_file: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

fn probability(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|p: &f64| (0.0..=1.0).contains(p));
    found.ok_or_else(|| "give a number from 0 to 1".to_owned())
}
