//! Flags of `verify`.

use super::{AugmentationArgs, SourceArgs};
use clap::Args;
use std::path::PathBuf;

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Data set: a folder or file, or synthetic[:N] for N drawings.
    #[arg(long, value_name = "WHERE")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// A stream spec as TOML: the keys of a run's [stream] table. It takes the place of the seed, the batch size and the flags of augmentation.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "AugmentationArgs")]
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
    /// Epochs to check, from the first on.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: u32,
    /// Significance level: outcomes less likely than this fail a check. A right loader fails one check in a million by the
    /// default, and then each time, because nothing is drawn anew; try another seed.
    #[arg(long, default_value_t = 1e-6, value_name = "P", value_parser = probability)]
    pub significance: f64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

fn probability(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|p: &f64| (0.0..=1.0).contains(p));
    found.ok_or_else(|| "give a number from 0 to 1".to_owned())
}
