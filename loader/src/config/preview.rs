//! Flags of `preview`.

use super::{AugmentationArgs, SourceArgs};
use clap::Args;
use std::path::PathBuf;

/// Flags of `preview`.
#[derive(Clone, Debug, Args)]
pub struct PreviewArgs {
    /// Dataset: a folder or file, or synthetic[:N] for N generated images.
    #[arg(long, value_name = "PATH|synthetic[:N]")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The picture to write (PNG).
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// How images are augmented and mixed.
    #[command(flatten)]
    pub augmentation: AugmentationArgs,
    /// Seed of the stream.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Epoch that is shown, counted from 0: mixing may change with it.
    #[arg(long, default_value_t = 0)]
    pub epoch: u64,
    /// Index of the batch, counted from 0 at the start of the epoch.
    #[arg(long, default_value_t = 0)]
    pub index: u64,
    /// Images per row.
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub columns: u32,
    /// Rows of images.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rows: u32,
}
