//! Flags of `replay`.

use super::SourceArgs;
use clap::Args;
use std::path::PathBuf;

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Folder of the run that the batch belongs to.
    #[arg(long, value_name = "DIR", conflicts_with = "spec", required_unless_present = "spec")]
    pub run: Option<PathBuf>,
    /// Stream spec (TOML): a run's run.toml, or the contents of its [stream] table.
    #[arg(long, value_name = "FILE.toml")]
    pub spec: Option<PathBuf>,
    /// Dataset [default: the run's own, if it read the data itself].
    #[arg(long, value_name = "PATH|synthetic[:N]")]
    pub data: Option<String>,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Index of the batch, or training step, from the start of training, counted from 0.
    #[arg(long, visible_alias = "step")]
    pub index: u64,
    /// Save the batch as this picture (PNG).
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print one JSON object, with every row.
    #[arg(long)]
    pub json: bool,
}
