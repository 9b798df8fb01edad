//! The server: a listener, the HTTP/2 settings, health, and a graceful end.

use crate::service::{Service, hand_over};
use mixfeed_proto::limits::{MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES};
use mixfeed_proto::v1::loader_service_server::LoaderServiceServer;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::LayerExt as _;
use tonic::transport::Server as Transport;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tower::util::MapResponseLayer;

/// Name of the service in `grpc.health.v1`.
pub(crate) const SERVICE: &str = "mixfeed.v1.LoaderService";

/// Streams on one connection: a trainer opens two (train and test). hyper's own cap of 200 is
/// lifted by tonic unless this is set.
const MAX_STREAMS_PER_CONNECTION: u32 = 64;

/// Streams reset by the peer before they were accepted, and errors of the peer's making, before
/// the connection is closed: hyper's defaults, which tonic would otherwise take away.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;

/// Bytes of one request's header list.
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;

/// Quiet time after which a connection is checked, and the time that the check may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to listen: `host:port`, or `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// TCP; port 0 picks a free one.
    Tcp(SocketAddr),
    /// A Unix socket, made anew and removed at the end.
    Unix(PathBuf),
}

/// Text that is no place to listen.
#[derive(Debug, thiserror::Error)]
#[error("listen address {0:?}: expected an IP address and a port, as in 127.0.0.1:50051, or unix:///path")]
pub struct ListenError(String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(ListenError(text.into())) };
        }
        text.parse().map(Self::Tcp).map_err(|_not_an_address| ListenError(text.into()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Why a server did not start or ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {listen}: {source}")]
    Bind {
        /// The address.
        listen: Listen,
        /// What the system said.
        source: std::io::Error,
    },
    /// The transport failed.
    #[error("server: {0}")]
    Transport(#[from] tonic::transport::Error),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A bound listener. Connections wait until [`Server::serve`] is called.
pub struct Server {
    listener: Listener,
    listen: Listen,
}

impl Server {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(listen: Listen) -> Result<Self, ServerError> {
        let bound = match &listen {
            Listen::Tcp(address) => bind_tcp(*address).await,
            Listen::Unix(path) => bind_unix(path),
        };
        match bound {
            Ok((listener, listen)) => Ok(Self { listener, listen }),
            Err(source) => Err(ServerError::Bind { listen, source }),
        }
    }

    /// Returns the bound address, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> &Listen {
        &self.listen
    }

    /// Serves until `drain` turns true and all calls have ended, or `grace` has passed since.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(
        self,
        service: Service,
        reflection: bool,
        mut drain: watch::Receiver<bool>,
        grace: Duration,
    ) -> Result<(), ServerError> {
        let service = LoaderServiceServer::new(service)
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let service = MapResponseLayer::new(hand_over).named_layer(service);
        let (health, health_service) = tonic_health::server::health_reporter();
        // "" is alive and the service ready from here on: the data was read before the bind.
        health.set_service_status(SERVICE, ServingStatus::Serving).await;
        let reflection = reflection.then(reflection_service);
        let router =
            transport().add_service(service).add_service(health_service).add_optional_service(reflection);

        let mut draining = drain.clone();
        let shutdown = async move {
            drop(draining.wait_for(|drain| *drain).await);
            health.set_service_status(SERVICE, ServingStatus::NotServing).await;
        };
        let path = if let Listen::Unix(path) = &self.listen { Some(path.clone()) } else { None };
        let serving = async {
            match self.listener {
                Listener::Tcp(listener) => {
                    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                    router.serve_with_incoming_shutdown(incoming, shutdown).await
                }
                Listener::Unix(listener) => {
                    router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), shutdown).await
                }
            }
        };
        let overdue = async {
            drop(drain.wait_for(|drain| *drain).await);
            tokio::time::sleep(grace).await;
        };
        let result = tokio::select! {
            result = serving => result.map_err(ServerError::from),
            () = overdue => {
                tracing::warn!(grace_seconds = grace.as_secs_f64(), "connections still open after the grace time");
                Ok(())
            }
        };
        if let Some(path) = path {
            remove(&path);
        }
        result
    }
}

fn transport() -> Transport {
    Transport::builder()
        .accept_http1(false)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

fn reflection_service() -> impl tonic::codegen::Service<
    tonic::codegen::http::Request<tonic::body::Body>,
    Response = tonic::codegen::http::Response<tonic::body::Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + tonic::server::NamedService
+ Clone
+ Send
+ Sync {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(mixfeed_proto::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("our own descriptors are valid")
}

async fn bind_tcp(address: SocketAddr) -> std::io::Result<(Listener, Listen)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((Listener::Tcp(listener), Listen::Tcp(bound)))
}

/// A socket that nobody listens on any more is replaced; one in use is not.
fn bind_unix(path: &PathBuf) -> std::io::Result<(Listener, Listen)> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    remove(path);
    Ok((Listener::Unix(UnixListener::bind(path)?), Listen::Unix(path.clone())))
}

/// Removes a socket, and nothing but a socket.
#[allow(clippy::disallowed_methods)]
fn remove(path: &PathBuf) {
    use std::os::unix::fs::FileTypeExt as _;
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        drop(std::fs::remove_file(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen_are_read() {
        assert_eq!("127.0.0.1:0".parse::<Listen>().unwrap().to_string(), "127.0.0.1:0");
        assert_eq!("[::1]:5".parse::<Listen>().unwrap().to_string(), "[::1]:5");
        assert_eq!("unix:///run/x.sock".parse::<Listen>().unwrap().to_string(), "unix:///run/x.sock");
        for wrong in ["", "50051", "localhost", "unix://relative", "127.0.0.1"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let taken = first.address().clone();
        let message = Server::bind(taken.clone()).await.err().unwrap().to_string();
        assert!(message.starts_with(&format!("cannot listen on {taken}: ")), "{message}");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let listen: Listen = format!("unix://{}/s", folder.path().display()).parse().unwrap();
        drop(Server::bind(listen.clone()).await.unwrap());
        let _live = Server::bind(listen.clone()).await.unwrap();
        assert!(Server::bind(listen).await.is_err());
    }
}
