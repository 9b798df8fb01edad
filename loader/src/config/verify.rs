//! Flags of `verify`.

use super::{RecipeArgs, SourceArgs};
use clap::Args;
use std::path::PathBuf;

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Where the data is: a folder, or synthetic[:N].
    #[arg(long, value_name = "WHERE")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// A stream spec as TOML: the keys of a run's [stream] table. It takes the place of the flags below.
    #[arg(long, value_name = "FILE.toml")]
    pub spec: Option<PathBuf>,
    /// How images are mixed and augmented.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// The share of images that is mixed.
    #[arg(long, default_value_t = 0.2, value_name = "P", allow_negative_numbers = true)]
    pub mixup_prob: f64,
    /// Seed of the stream.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Rows of a batch.
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub batch_size: u32,
    /// Epochs that are looked at, from the first on.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: u32,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}
