//! Flags of `healthcheck`.

use super::DEFAULT_LISTEN;
use clap::Args;
use mixfeed_ops::config::Duration;
use std::path::PathBuf;

/// Flags of `healthcheck`.
#[derive(Clone, Debug, Args)]
pub struct HealthcheckArgs {
    /// Address of the loader: host:port or unix:///path.
    #[arg(long, default_value = DEFAULT_LISTEN, env = "MIXFEED_LOADER_ADDRESS", value_name = "ADDR")]
    pub address: String,
    /// Timeout: how long to wait for the answer.
    #[arg(long, default_value = "3s", value_name = "TIME")]
    pub timeout: Duration,
    /// Use TLS; trust loaders whose certificates are signed by a CA in this file (PEM).
    #[arg(long, env = "MIXFEED_LOADER_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM), where the loader asks for one.
    #[arg(long, env = "MIXFEED_LOADER_HEALTH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, env = "MIXFEED_LOADER_HEALTH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// File with the bearer token that the loader asks for.
    #[arg(long, env = "MIXFEED_LOADER_AUTH_TOKEN_FILE", value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
}
