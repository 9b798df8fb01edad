//! One connection to one replica, and the one file that knows how tonic makes it.
//!
//! A connection of its own per replica, never tonic's balancing: that picks at random, keeps dead
//! endpoints, and hides which replica answered.

use crate::config::Tuning;
use crate::error;
use crate::security::Security;
use mixfeed_proto::v1::loader_service_client::LoaderServiceClient;
use mixfeed_proto::{limits, v1};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Extensions, Request, Response, Status};

/// How often a connection that owes something is probed, beneath the timer of `idle.rs`: it finds dead
/// hosts while nothing is owed.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Largest HTTP/2 frame we take. A batch is hundreds of kilobytes; the default of 16 KiB would cut it in
/// dozens.
const FRAME_BYTES: u32 = 1 << 20;

/// Where one replica listens.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Target {
    /// Name and port, looked up at each connection.
    Host(String),
    /// One address of a name, by which its certificate is judged.
    Named(SocketAddr, String),
    Unix(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host}"),
            Self::Named(address, _) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

impl Target {
    /// Its URI, and the name that its certificate must bear, unless it is a file.
    fn uri(&self, scheme: &str) -> (String, Option<&str>) {
        match self {
            Self::Host(host) => (format!("{scheme}://{host}"), Some(bare(host))),
            Self::Named(address, name) => (format!("{scheme}://{address}"), Some(bare(name))),
            Self::Unix(path) => (format!("unix://{path}"), None),
        }
    }
}

impl Target {
    /// Whether what is sent there stays on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Host(host) => {
                let host = bare(host);
                let address = host.parse::<std::net::IpAddr>();
                host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
            }
            Self::Named(address, _) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// A host without its port, and an IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A connection, and what each call on it carries.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) channel: Channel,
    pub(crate) security: Security,
}

/// What TLS with `target` is made of, if it is to be spoken. A Unix socket is reached through the file system, which says who may.
pub(crate) fn tls(target: &Target, security: &Security) -> Option<ClientTlsConfig> {
    target.uri("https").1.and_then(|name| security.tls(name))
}

/// Connects to `target`; an error says why that failed.
pub(crate) async fn connect(
    target: &Target,
    security: &Security,
    tuning: &Tuning,
) -> Result<Connection, String> {
    let tls = tls(target, security);
    let (uri, _) = target.uri(if tls.is_some() { "https" } else { "http" });
    let mut endpoint = Endpoint::from_shared(uri)
        .map_err(|error| error::chain(&error))?
        .connect_timeout(tuning.connect_timeout)
        .tcp_nodelay(true)
        .http2_adaptive_window(false)
        .initial_stream_window_size(tuning.receive_window_bytes)
        .initial_connection_window_size(tuning.receive_window_bytes)
        .max_frame_size(FRAME_BYTES)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls).map_err(|error| error::chain(&error))?;
    }
    let channel = tokio::time::timeout(tuning.connect_timeout, endpoint.connect())
        .await
        .map_err(|_elapsed| format!("no connection within {:?}", tuning.connect_timeout))?
        .map_err(|error| error::chain(&error))?;
    Ok(Connection { channel, security: security.clone() })
}

impl Connection {
    /// Asks the loader what it is. The stream of batches is called by `answers.rs`.
    pub(crate) async fn describe(&self) -> Result<Response<v1::DescribeResponse>, Status> {
        let mut headers = HeaderMap::new();
        self.security.authorize(&mut headers);
        let metadata = MetadataMap::from_headers(headers);
        let request = Request::from_parts(metadata, Extensions::default(), v1::DescribeRequest {});
        LoaderServiceClient::new(self.channel.clone())
            .max_decoding_message_size(limits::MAX_DESCRIPTION_BYTES)
            .max_encoding_message_size(limits::MAX_REQUEST_BYTES)
            .describe(request)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine_is_known() {
        for local in ["localhost:1", "127.0.0.1:1", "127.99.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(Target::Host(local.into()).is_local(), "{local}");
        }
        for far in ["10.0.0.7:1", "loader.data:1", "[2001:db8::1]:1", "localhost.example:1"] {
            assert!(!Target::Host(far.into()).is_local(), "{far}");
        }
        assert!(Target::Unix("/run/l".into()).is_local());
    }

    #[test]
    fn certificates_are_judged_by_what_the_user_gave() {
        let address = "10.0.0.7:5".parse().unwrap();
        for (target, uri, name) in [
            (Target::Host("loader.data:50051".into()), "https://loader.data:50051", Some("loader.data")),
            (Target::Host("[::1]:5".into()), "https://[::1]:5", Some("::1")),
            (Target::Named(address, "loader.data:5".into()), "https://10.0.0.7:5", Some("loader.data")),
            (Target::Unix("/run/l".into()), "unix:///run/l", None),
        ] {
            assert_eq!(target.uri("https"), (uri.to_owned(), name));
        }
    }
}
