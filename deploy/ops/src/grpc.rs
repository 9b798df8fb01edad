//! The serving end of gRPC, as both binaries have it: who gets a connection, and what a connection may do.
//!
//! In the order a caller meets them: [`incoming()`] takes connections from the listener and hands on those that
//! greet in time, [`ServerTls`] encrypts them, [`transport()`] bounds what HTTP/2 may ask of them, and
//! [`Token`] tells whose calls are answered; [`Access`] is what flags say of that. [`Credentials`] is the same for the
//! calling end.
//!
//! What is deliberately not here: the services, and everything about their messages.

mod access;
mod burst;
mod connection;
mod credentials;
mod error;
mod greeting;
mod incoming;
mod refused;
mod secret_file;
mod tls;
mod token;

pub use access::{Access, Reach};
pub use connection::Connection;
pub use credentials::{Bearer, CredentialFiles, Credentials, TlsCredentials, root_cause};
pub use error::SecurityError;
pub use incoming::{Incoming, Limits, Listener, incoming};
pub use refused::RefusedConnections;
pub use tls::ServerTls;
pub use token::{Guard, Token};

use std::time::Duration;
use tonic::transport::Server;

/// Streams that the peer reset before they were accepted, and errors of the peer's making, before the
/// connection is closed: hyper's defaults, which tonic would otherwise take away.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;

/// Bytes of one request's header list: a token of the longest kind fits four times.
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;

/// Bytes of requests that a connection, and each call on it, may have on the way unread. Requests are lists of
/// indices: what is not read yet must not add up to much when every connection is taken.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
const CALL_WINDOW_BYTES: u32 = 128 << 10;

/// What a connection may take at most, beside the calls on it that are let in: requests on the way unread, and
/// buffers for frames, headers and TLS. A quiet one takes 17 KiB.
pub const CONNECTION_BYTES: u64 = CONNECTION_WINDOW_BYTES as u64 + (64 << 10);

/// Quiet time after which a connection is checked, and the time that the check may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a server with every bound set by name; `calls` is how many a connection may have open. hyper's own
/// cap of 200 is lifted by tonic unless this is set.
pub fn transport(calls: u32) -> Server {
    Server::builder()
        .accept_http1(false)
        .max_concurrent_streams(calls)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .http2_adaptive_window(Some(false))
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}
