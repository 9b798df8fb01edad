//! The command line: every flag, its environment twin and its default. Nothing else of the loader
//! reads flags or environment.

// Help is shown as it is written here: "synthetic[:N]" is no link.
#![allow(rustdoc::broken_intra_doc_links)]

mod bench;
mod fetch;
mod healthcheck;
mod inspect;
mod preview;
mod replay;
mod shared;
mod verify;

pub use bench::{BenchArgs, Measured};
pub use fetch::FetchArgs;
pub use healthcheck::HealthcheckArgs;
pub use inspect::InspectArgs;
pub use mixfeed_streamspec::{AugmentationArgs, MixupSchedule};
pub use preview::PreviewArgs;
pub use replay::ReplayArgs;
pub use shared::SourceArgs;
pub use verify::VerifyArgs;

use crate::memory::DEFAULT_STREAM_MEMORY_BYTES;
use crate::parallel::default_workers;
use crate::pool::MAX_WORKERS;
use crate::server::Listen;
use crate::source::{BadRecords, Cache, Options, Order, Place};
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use merge::Merge;
use mixfeed_ops::address;
use mixfeed_ops::config::{self, Duration, to_toml, twin};
use mixfeed_ops::grpc::Access;
use mixfeed_ops::logging::{DEFAULT_FILTER, LogFormat};
use mixfeed_streamspec::ImageSize;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The port of a loader when none is given.
const DEFAULT_LISTEN: &str = "127.0.0.1:50051";

/// Time that streams may take to end after SIGTERM: batches in hand take milliseconds, a slow
/// network seconds.
const DEFAULT_GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// Decodes, mixes and streams training batches to any number of trainers.
#[derive(Debug, Parser)]
#[command(name = "mixfeed-loader", disable_version_flag = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print release, commit, algorithm and protocol.
    #[arg(long, short = 'V')]
    pub version: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve batches to trainers.
    Serve(Box<ServeArgs>),
    /// Download a published dataset, check it and unpack it.
    Fetch(FetchArgs),
    /// Describe a dataset: counts, classes, mean and standard deviation, bad records, digests.
    Inspect(InspectArgs),
    /// Save a grid of augmented and mixed images with their labels and lambdas (PNG).
    Preview(PreviewArgs),
    /// Rebuild one batch of a run: its digest, its contents, a picture.
    Replay(ReplayArgs),
    /// Check a stream's sampling statistically, without decoding images: every sample once per epoch, the probability of
    /// mixing, lambda's distribution. Exits with 1 on failure.
    Verify(VerifyArgs),
    /// Measure throughput in images/s: in one thread, and from a loader process over loopback gRPC.
    Bench(BenchArgs),
    /// Check that a loader is ready: exit code 0 or 1 (container probe).
    Healthcheck(HealthcheckArgs),
}

/// Settings of `serve`: flags; in the environment, `MIXFEED_LOADER_` and the name in capitals; in a file, the same names in
/// TOML.
#[derive(Clone, Debug, Default, Args, Merge, Serialize, Deserialize)]
#[command(mut_args(environment_twin))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[merge(strategy = merge::option::overwrite_none)]
pub struct ServeArgs {
    /// Dataset: a folder or file, or synthetic[:N] for N generated images.
    #[arg(long, value_name = "PATH|synthetic[:N]")]
    pub data: Option<String>,
    /// Address to listen on: HOST:PORT (port 0 picks one) or unix:///path [default: 127.0.0.1:50051].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Worker threads [default: one per CPU core].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// How it is read.
    #[command(flatten)]
    #[serde(flatten)]
    #[merge(strategy = Merge::merge)]
    pub source: SourceArgs,
    /// Output size of streams that name none, a side or HEIGHTxWIDTH: images are resized to cover it and cropped in the center.
    /// It becomes part of the dataset: all loaders of a run need the same [default: their own size, the same for all].
    #[arg(long, value_name = "SIZE")]
    pub image_size: Option<ImageSize>,
    /// Serve Prometheus metrics on this address [default: off].
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    #[serde(deserialize_with = "address::deserialize")]
    pub metrics: Option<SocketAddr>,
    /// TLS certificate chain (PEM) [default: no TLS].
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// TLS private key (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Require client certificates signed by a CA in this file (PEM) [default: off].
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Require the bearer token in this file [default: off].
    #[arg(long, value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
    /// Require authentication, and TLS on addresses that other machines can reach, or refuse to start [default: false].
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub require_auth: Option<bool>,
    /// Address for health checks only, in plaintext and without a token [default: off].
    #[arg(long, value_name = "ADDR", value_parser = address::listen)]
    #[serde(deserialize_with = "address::deserialize")]
    pub health_listen: Option<SocketAddr>,
    /// Memory for the prefetched batches of all streams, e.g. 512MiB [default: 768MiB].
    #[arg(long, value_name = "SIZE")]
    pub stream_memory: Option<ByteSize>,
    /// Grace period: time that streams may take to end after SIGTERM [default: 10s].
    #[arg(long, value_name = "TIME")]
    pub grace: Option<Duration>,
    /// Stop when standard input, a pipe, ends: whoever started this loader is then gone [default: false].
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub stop_with_stdin: Option<bool>,
    /// Enable gRPC server reflection [default: false].
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub reflection: Option<bool>,
    /// Log format [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Log filter, e.g. info or warn,mixfeed_loader=debug [default: info].
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Read settings from this TOML file; flags and environment win.
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Print the effective settings and exit.
    #[arg(long)]
    #[serde(skip)]
    #[merge(skip)]
    pub print_config: bool,
}

/// Settings of `serve`, complete and checked.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where the data is.
    pub data: Place,
    /// Where to listen.
    pub listen: Listen,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Where to serve metrics, if at all.
    pub metrics: Option<SocketAddr>,
    /// Who is served.
    pub access: Access,
    /// Where to serve health alone, if at all.
    pub health_listen: Option<SocketAddr>,
    /// Memory for batches of all streams.
    pub stream_memory_bytes: u64,
    /// Time that streams may take to end.
    pub grace: std::time::Duration,
    /// Whether the end of standard input is a wish to stop.
    pub stop_with_stdin: bool,
    /// Whether to offer server reflection.
    pub reflection: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
}

impl ServeConfig {
    /// Lays flags over the settings file, fills in defaults and checks the result. The second value
    /// is the same as text.
    ///
    /// # Errors
    /// One line that names the setting, its value and what is allowed.
    pub fn resolve(args: ServeArgs) -> Result<(Self, String), String> {
        let mut args = args;
        if let Some(file) = args.config.clone() {
            let read = config::read(&file).map_err(|e| e.with_keys(&ServeArgs::keys()).to_string())?;
            args.merge(read);
        }
        let args = args.complete();
        let text = to_toml(&args).map_err(|e| e.to_string())?;
        let data = args.data.filter(|data| !data.is_empty());
        let data = data.ok_or("--data is missing: give a folder, or synthetic[:N]")?;
        let data: Place = data.parse().map_err(|e: crate::source::SourceError| format!("--data {e}"))?;
        let listen: Listen =
            args.listen.unwrap_or_default().parse().map_err(|e: crate::server::ListenError| e.to_string())?;
        let workers = args.workers.unwrap_or_default();
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(format!("--workers {workers} is not allowed, 1 to {MAX_WORKERS}"));
        }
        let access = Access {
            tls_cert: args.tls_cert,
            tls_key: args.tls_key,
            tls_client_ca: args.tls_client_ca,
            auth_token_file: args.auth_token_file,
            require_auth: args.require_auth.unwrap_or_default(),
            ..Access::open("--")
        };
        access.check(listen.reach())?;
        let config = Self {
            data: data.with(Options { image_size: args.image_size, ..args.source.options()? }),
            listen,
            access,
            health_listen: args.health_listen,
            workers,
            metrics: args.metrics,
            stream_memory_bytes: args.stream_memory.unwrap_or_default().as_u64(),
            grace: args.grace.map_or(DEFAULT_GRACE, Into::into),
            stop_with_stdin: args.stop_with_stdin.unwrap_or_default(),
            reflection: args.reflection.unwrap_or_default(),
            log_format: args.log_format.unwrap_or_default(),
            log: args.log.unwrap_or_default(),
        };
        Ok((config, text))
    }

    /// Says what is missing of what keeps others out, where others can reach the loader.
    pub(crate) fn warn_of_reach(&self, address: &Listen) {
        if let Some(missing) = self.access.warning(address.reach()) {
            tracing::warn!(%address, "this loader can be reached from other machines, and {missing}");
        }
    }
}

/// The environment twin of a flag.
fn environment_twin(arg: clap::Arg) -> clap::Arg {
    twin(arg, "MIXFEED_LOADER_")
}

impl ServeArgs {
    /// The names of all settings, as flags and as keys of a file.
    fn keys() -> Vec<String> {
        let command = Self::augment_args(clap::Command::new("serve"));
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    }

    /// These settings with defaults for what they leave open.
    fn complete(mut self) -> Self {
        self.merge(Self {
            listen: Some(DEFAULT_LISTEN.into()),
            workers: Some(default_workers()),
            source: SourceArgs {
                order: Some(Order::default()),
                test_fraction: Some(0.0),
                cache: Some(Cache::default()),
                bad_records: Some(BadRecords::default()),
                no_digest_cache: Some(false),
                ..SourceArgs::default()
            },
            require_auth: Some(false),
            stream_memory: Some(ByteSize(DEFAULT_STREAM_MEMORY_BYTES)),
            grace: Some(DEFAULT_GRACE.into()),
            stop_with_stdin: Some(false),
            reflection: Some(false),
            log_format: Some(LogFormat::default()),
            log: Some(DEFAULT_FILTER.into()),
            ..Self::default()
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(flags: &[&str]) -> Result<(ServeConfig, String), String> {
        let cli = Cli::try_parse_from(["mixfeed-loader", "serve"].iter().chain(flags))
            .map_err(|e| e.to_string())?;
        let Some(Command::Serve(args)) = cli.command else { unreachable!() };
        ServeConfig::resolve(*args)
    }

    #[test]
    fn defaults_fill_what_is_not_said() {
        let (config, _) = serve(&["--data", "synthetic:5"]).unwrap();
        assert_eq!(config.listen.to_string(), DEFAULT_LISTEN);
        assert_eq!(config.grace, DEFAULT_GRACE);
        assert!(config.workers >= 1 && config.metrics.is_none() && !config.reflection);
    }

    #[test]
    fn flags_win_over_the_file_and_the_printed_settings_are_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loader.toml");
        std::fs::write(&file, "data = \"synthetic:7\"\nworkers = 3\ngrace = \"4s\"\n").unwrap();
        let file_flag = file.to_str().unwrap();
        let (config, text) = serve(&["--config", file_flag, "--workers", "5", "--reflection"]).unwrap();
        assert_eq!((config.workers, config.grace.as_secs(), config.reflection), (5, 4, true));
        std::fs::write(&file, &text).unwrap();
        let (_, again) = serve(&["--config", file_flag]).unwrap();
        assert_eq!(text, again);
    }

    #[test]
    fn nonsense_is_one_clear_line() {
        let error = |flags: &[&str]| serve(flags).unwrap_err();
        assert_eq!(error(&[]), "--data is missing: give a folder, or synthetic[:N]");
        assert!(error(&["--data", "synthetic:none"]).contains("whole number from 1"));
        assert_eq!(
            error(&["--data", "synthetic", "--workers", "0"]),
            "--workers 0 is not allowed, 1 to 1024"
        );
        assert!(
            error(&["--data", "synthetic", "--listen", "50051"])
                .contains("`50051` is not an address to listen on")
        );
        assert!(error(&["--data", "synthetic", "--grace", "5"]).contains("give a unit"));
    }
}
