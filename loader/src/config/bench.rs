//! Flags of `bench`, and what it can measure.

use super::{AugmentationArgs, SourceArgs};
use crate::pool::MAX_WORKERS;
use clap::{Args, ValueEnum};
use mixfeed_ops::config::Duration;
use std::fmt;
use std::path::PathBuf;

/// Flags of `bench`.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// Dataset: a folder or file, or synthetic[:N] for N generated images.
    #[arg(long, value_name = "PATH|synthetic[:N]", default_value = "synthetic")]
    pub data: String,
    /// How it is read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Measurements, separated by commas.
    #[arg(
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        default_values_t = [Measured::PlanCollate, Measured::Loopback, Measured::Transport],
    )]
    pub measure: Vec<Measured>,
    /// Duration of each measurement.
    #[arg(long, default_value = "3s", value_name = "TIME")]
    pub time: Duration,
    /// Rounds; each measures everything in turn.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Worker threads of the measured loader [default: one per CPU core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_WORKERS as i64))]
    pub workers: Option<u32>,
    /// Batch size.
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_size: u32,
    /// How images are augmented and mixed.
    #[command(flatten)]
    pub augmentation: AugmentationArgs,
    /// Certificate for --measure tls: self-signed, for 127.0.0.1 (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Serve a bare stream of equal messages: the other end of `--measure transport`.
    #[arg(long, hide = true)]
    pub bare_server: bool,
}

/// What `bench` can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measured {
    /// Batches built in one thread: fetch, augment, mix, collate.
    PlanCollate,
    /// A loader process and a client, over loopback TCP.
    Loopback,
    /// The same over a Unix socket.
    Unix,
    /// The same over loopback TCP, with TLS.
    Tls,
    /// The same over loopback TCP, with the client converting pixels to normalised f32, channels first (NCHW).
    Float,
    /// A bare gRPC stream of equal messages, with the client's settings and with tonic's.
    Transport,
    /// From the start of a loader process to the first batch, and the memory of both processes.
    Start,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is skipped").get_name())
    }
}
