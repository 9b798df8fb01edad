//! The command line: every flag, its environment twin and its default. Nothing else of the loader
//! reads flags or environment.

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
pub use preview::PreviewArgs;
pub use replay::ReplayArgs;
pub use shared::{RecipeArgs, SourceArgs};
pub use verify::VerifyArgs;

use crate::embedded::DEFAULT_STREAM_MEMORY_BYTES;
use crate::pool::MAX_WORKERS;
use crate::server::Listen;
use crate::source::{BadRecords, Cache, ImageSize, Options, Order, Place};
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use mixfeed_ops::address;
use mixfeed_ops::config::Duration;
use mixfeed_ops::grpc::Access;
use mixfeed_ops::logging::LogFormat;
use serde::{Deserialize, Serialize};
use shared::{check_fraction, user_cache};
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
    /// Download a published data set, check it and unpack it.
    Fetch(FetchArgs),
    /// Describe a data set: counts, classes, mean and standard deviation, bad records, digests.
    Inspect(InspectArgs),
    /// Draw a page of mixed images with their labels and lambdas.
    Preview(PreviewArgs),
    /// Build one batch of a run again: its digest, what it contains, a picture.
    Replay(ReplayArgs),
    /// Check by their plans that batches are what a spec asks for: each sample once an epoch, as much mixing
    /// as asked for, lambdas of the distribution asked for. Exits with 1 when they are not.
    Verify(VerifyArgs),
    /// Measure images a second: in one thread, and from a loader process over loopback gRPC.
    Bench(BenchArgs),
    /// Exit with 0 when a loader is ready, for containers.
    Healthcheck(HealthcheckArgs),
}

/// Flags of `serve`.
#[derive(Clone, Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ServeArgs {
    /// Where the data is: a folder, or synthetic[:N].
    #[arg(long, env = "MIXFEED_LOADER_DATA", value_name = "WHERE")]
    pub data: Option<String>,
    /// Address to listen on: HOST:PORT (port 0 picks one) or unix:///path [default: 127.0.0.1:50051].
    #[arg(long, env = "MIXFEED_LOADER_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// Worker threads [default: one for each CPU].
    #[arg(long, env = "MIXFEED_LOADER_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// Which files or folders to train on: name, path, pattern, or several with commas; `.` for the folders of the
    /// place as classes [default: as their names tell].
    #[arg(long, env = "MIXFEED_LOADER_TRAIN", value_name = "NAME")]
    pub train: Option<String>,
    /// The same to test on; none for no test split [default: test or else val, if it has labels].
    #[arg(long, env = "MIXFEED_LOADER_TEST", value_name = "NAME")]
    pub test: Option<String>,
    /// Order of image files: by path as torchvision has it, or by file name [default: path].
    #[arg(long, env = "MIXFEED_LOADER_ORDER", value_name = "ORDER")]
    pub order: Option<Order>,
    /// The share of image files, by a key of each, that is the test split of data without one [default: 0].
    #[arg(long, env = "MIXFEED_LOADER_TEST_FRACTION", value_name = "SHARE")]
    pub test_fraction: Option<f64>,
    /// What is kept in memory of image files [default: what fits].
    #[arg(long, env = "MIXFEED_LOADER_CACHE", value_name = "WHAT")]
    pub cache: Option<Cache>,
    /// Memory for what is kept, as in 4GiB [default: half of what is free].
    #[arg(long, env = "MIXFEED_LOADER_CACHE_MEMORY", value_name = "SIZE")]
    pub cache_memory: Option<ByteSize>,
    /// Bring image files to this size: a side, or HEIGHTxWIDTH [default: the size that all have].
    #[arg(long, env = "MIXFEED_LOADER_IMAGE_SIZE", value_name = "SIZE")]
    pub image_size: Option<ImageSize>,
    /// Leave out the records in this file, as `inspect --write-skip-list` writes it. All loaders of a run
    /// need the same.
    #[arg(long, visible_alias = "skip", env = "MIXFEED_LOADER_SKIP_LIST", value_name = "FILE.toml")]
    pub skip_list: Option<PathBuf>,
    /// What becomes of images that cannot be decoded and of records that lack label or image: fail the batches with
    /// them, skip them, or skip=N to skip at most N. All loaders of a run need the same [default: fail].
    #[arg(long, env = "MIXFEED_LOADER_BAD_RECORDS", value_name = "POLICY")]
    pub bad_records: Option<BadRecords>,
    /// Read all image files at each start, and keep no digests of them on disk [default: false].
    #[arg(
        long,
        env = "MIXFEED_LOADER_NO_DIGEST_CACHE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub no_digest_cache: Option<bool>,
    /// Serve Prometheus metrics on this address [default: off].
    #[arg(long, env = "MIXFEED_LOADER_METRICS", value_name = "ADDR", value_parser = address::listen)]
    #[serde(deserialize_with = "address::deserialize")]
    pub metrics: Option<SocketAddr>,
    /// Speak TLS, with this certificate and those above it (PEM) [default: off].
    #[arg(long, env = "MIXFEED_LOADER_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, env = "MIXFEED_LOADER_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Serve only those whose certificate is signed by one in this file (PEM) [default: off].
    #[arg(long, env = "MIXFEED_LOADER_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Answer only calls that carry the token in this file [default: off].
    #[arg(long, env = "MIXFEED_LOADER_AUTH_TOKEN_FILE", value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
    /// Do not start unless callers have to prove who they are, by TLS where others can reach it [default: false].
    #[arg(
        long,
        env = "MIXFEED_LOADER_REQUIRE_AUTH",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub require_auth: Option<bool>,
    /// Serve health, and nothing else, without TLS or token on this address, for probes [default: off].
    #[arg(long, env = "MIXFEED_LOADER_HEALTH_LISTEN", value_name = "ADDR", value_parser = address::listen)]
    #[serde(deserialize_with = "address::deserialize")]
    pub health_listen: Option<SocketAddr>,
    /// Memory for batches of all streams, as in 512MiB [default: 1GiB].
    #[arg(long, env = "MIXFEED_LOADER_STREAM_MEMORY", value_name = "SIZE")]
    pub stream_memory: Option<ByteSize>,
    /// Time that streams may take to end after SIGTERM [default: 10s].
    #[arg(long, env = "MIXFEED_LOADER_GRACE", value_name = "TIME")]
    pub grace: Option<Duration>,
    /// Offer gRPC server reflection [default: false].
    #[arg(
        long,
        env = "MIXFEED_LOADER_REFLECTION",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub reflection: Option<bool>,
    /// How log lines look [default: text].
    #[arg(long, env = "MIXFEED_LOADER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged, as in info or warn,mixfeed_loader=debug [default: info].
    #[arg(long, env = "MIXFEED_LOADER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Read settings from this TOML file; flags and environment win.
    #[arg(long, env = "MIXFEED_LOADER_CONFIG", value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Print the settings in force and exit.
    #[arg(long)]
    #[serde(skip)]
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
        let file = args.config.clone();
        let args = mixfeed_ops::config::layered(args, file.as_deref()).map_err(|e| e.to_string())?;
        let data = args
            .data
            .filter(|data| !data.is_empty())
            .ok_or("--data is missing: give a folder, or synthetic[:N]")?;
        let listen = args.listen.unwrap_or_else(|| DEFAULT_LISTEN.into());
        let workers = args.workers.unwrap_or_else(crate::embedded::default_workers);
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(format!("--workers {workers} is not allowed, 1 to {MAX_WORKERS}"));
        }
        let options = Options {
            train: args.train,
            test: args.test,
            order: args.order.unwrap_or_default(),
            test_fraction: check_fraction(args.test_fraction.unwrap_or(0.0))?,
            cache: args.cache.unwrap_or_default(),
            cache_bytes: args.cache_memory.map(|size| size.as_u64()),
            image_size: args.image_size,
            skip_list: args.skip_list,
            bad_records: args.bad_records.unwrap_or_default(),
            no_digest_cache: args.no_digest_cache.unwrap_or(false),
            user_cache: user_cache(),
        };
        let data: Place = data.parse().map_err(|e: crate::source::SourceError| format!("--data {e}"))?;
        let listen: Listen = listen.parse().map_err(|e: crate::server::ListenError| e.to_string())?;
        let access = Access {
            tls_cert: args.tls_cert,
            tls_key: args.tls_key,
            tls_client_ca: args.tls_client_ca,
            auth_token_file: args.auth_token_file,
            require_auth: args.require_auth.unwrap_or(false),
            ..Access::open("--")
        };
        access.check(listen.reach())?;
        let config = Self {
            data: data.with(options),
            listen,
            access,
            health_listen: args.health_listen,
            workers,
            metrics: args.metrics,
            stream_memory_bytes: args.stream_memory.map_or(DEFAULT_STREAM_MEMORY_BYTES, |size| size.as_u64()),
            grace: args.grace.map_or(DEFAULT_GRACE, Into::into),
            reflection: args.reflection.unwrap_or(false),
            log_format: args.log_format.unwrap_or_default(),
            log: args.log.unwrap_or_else(|| mixfeed_ops::logging::DEFAULT_FILTER.into()),
        };
        let text = config.as_toml().map_err(|e| e.to_string())?;
        Ok((config, text))
    }

    /// The settings in force, in the form of a settings file.
    fn as_toml(&self) -> Result<String, mixfeed_ops::config::ConfigError> {
        let Options {
            train,
            test,
            order,
            test_fraction,
            cache,
            cache_bytes,
            image_size,
            skip_list,
            bad_records,
            no_digest_cache,
            ..
        } = self.data.options.clone();
        let access = self.access.clone();
        mixfeed_ops::config::to_toml(&ServeArgs {
            data: Some(self.data.to_string()),
            train,
            test,
            order: Some(order),
            test_fraction: Some(test_fraction),
            cache: Some(cache),
            cache_memory: cache_bytes.map(ByteSize),
            image_size,
            skip_list,
            bad_records: Some(bad_records),
            no_digest_cache: Some(no_digest_cache),
            listen: Some(self.listen.to_string()),
            workers: Some(self.workers),
            metrics: self.metrics,
            tls_cert: access.tls_cert,
            tls_key: access.tls_key,
            tls_client_ca: access.tls_client_ca,
            auth_token_file: access.auth_token_file,
            require_auth: Some(access.require_auth),
            health_listen: self.health_listen,
            stream_memory: Some(ByteSize(self.stream_memory_bytes)),
            grace: Some(self.grace.into()),
            reflection: Some(self.reflection),
            log_format: Some(self.log_format),
            log: Some(self.log.clone()),
            ..ServeArgs::default()
        })
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
                .contains("`50051` is no address to listen on")
        );
        assert!(error(&["--data", "synthetic", "--grace", "5"]).contains("give a unit"));
    }
}
