//! Flags of `inspect`.

use super::SourceArgs;
use clap::Args;
use mixfeed_streamspec::ImageSize;
use std::path::PathBuf;

/// Flags of `inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// Dataset: a folder or file, or synthetic[:N] for N generated images.
    #[arg(long, value_name = "PATH|synthetic[:N]")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Output size of streams that name none, as the loaders have it: it is part of the digest.
    #[arg(long, value_name = "SIZE")]
    pub image_size: Option<ImageSize>,
    /// Also compute the digest of the decoded content, which does not depend on format or order. There is
    /// none while records are bad.
    #[arg(long)]
    pub content: bool,
    /// Write the bad records to this file, for `--skip-list`.
    #[arg(long, visible_alias = "index", value_name = "FILE.toml", conflicts_with = "skip_list")]
    pub write_skip_list: Option<PathBuf>,
    /// Write an index of the dataset to this file, for `--data-index`, or for every command that reads the dataset where it is
    /// mixfeed.index in its folder. All images are read for it.
    #[arg(long, value_name = "FILE", conflicts_with = "data_index")]
    pub write_index: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}
