//! One connection to one replica, and the one file that knows how tonic makes it.
//!
//! A connection of its own per replica, never tonic's balancing: that picks at random, keeps dead
//! endpoints, and hides which replica answered.

use crate::config::Tuning;
use crate::error;
use mixfeed_proto::limits;
use mixfeed_proto::v1::loader_service_client::LoaderServiceClient;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

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
    Address(SocketAddr),
    Unix(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

/// Connects to `target`; an error says why that failed.
pub(crate) async fn connect(target: &Target, tuning: &Tuning) -> Result<Channel, String> {
    let uri = match target {
        Target::Host(host) => format!("http://{host}"),
        Target::Address(address) => format!("http://{address}"),
        Target::Unix(path) => format!("unix://{path}"),
    };
    let endpoint = Endpoint::from_shared(uri)
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
    tokio::time::timeout(tuning.connect_timeout, endpoint.connect())
        .await
        .map_err(|_elapsed| format!("no connection within {:?}", tuning.connect_timeout))?
        .map_err(|error| error::chain(&error))
}

/// The calls with one answer; the stream of batches is called by `answers.rs`.
pub(crate) fn client(channel: &Channel) -> LoaderServiceClient<Channel> {
    LoaderServiceClient::new(channel.clone())
        .max_decoding_message_size(limits::MAX_MESSAGE_BYTES)
        .max_encoding_message_size(limits::MAX_REQUEST_BYTES)
}
