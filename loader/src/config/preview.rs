//! Flags of `preview`.

use super::{RecipeArgs, SourceArgs};
use clap::Args;
use std::path::PathBuf;

/// Flags of `preview`.
#[derive(Clone, Debug, Args)]
pub struct PreviewArgs {
    /// Where the data is: a folder, or synthetic[:N].
    #[arg(long, value_name = "WHERE")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The picture to write (PNG).
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// How images are mixed and augmented.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// The share of images that is mixed; training by the article mixes 0.2.
    #[arg(long, default_value_t = 1.0, value_name = "P", allow_negative_numbers = true)]
    pub mixup_prob: f64,
    /// Seed of the stream.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Index of the batch.
    #[arg(long, default_value_t = 0)]
    pub index: u64,
    /// Images a row.
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub columns: u32,
    /// Rows of images.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rows: u32,
}
