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
    /// Time to wait for the answer.
    #[arg(long, default_value = "3s", value_name = "TIME")]
    pub timeout: Duration,
    /// Speak TLS; the loader's certificate must be signed by one in this file (PEM).
    #[arg(long, env = "MIXFEED_LOADER_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The certificate to show (PEM), where the loader asks for one.
    #[arg(long, env = "MIXFEED_LOADER_HEALTH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, env = "MIXFEED_LOADER_HEALTH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// The token that the loader asks for.
    #[arg(long, env = "MIXFEED_LOADER_AUTH_TOKEN_FILE", value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
}
