//! The server: a listener, the services, health, and a graceful end.

mod listen;

pub use listen::{Listen, ListenError};

use crate::service::{Openings, Service, hand_over};
use listen::Socket;
use mixfeed_ops::address::BindError;
use mixfeed_ops::grpc::{Guard, Limits, Listener, ServerTls, Token, incoming, transport};
use mixfeed_proto::limits::{MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES};
use mixfeed_proto::v1::loader_service_server::LoaderServiceServer;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::service::interceptor::InterceptedService;
use tonic::service::{InterceptorLayer, LayerExt as _};
use tonic_health::ServingStatus;
use tower::util::MapResponseLayer;

/// Name of the service in `grpc.health.v1`.
pub(crate) const SERVICE: &str = "mixfeed.v1.LoaderService";

/// Streams on one connection: a trainer opens two (train and test).
const MAX_STREAMS_PER_CONNECTION: u32 = 64;

/// Time until a call is answered or, if it is a stream, begins: nothing here takes longer than to wait for what opens
/// a stream, and whoever sends its request slowly takes the place of others.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Calls on one connection to the listener for probes, each of which makes one.
const MAX_PROBES_PER_CONNECTION: u32 = 8;

/// Why a server did not start or ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is not available.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The transport failed.
    #[error("server: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// No connections are taken any more although nobody asked for the end.
    #[error("server: the listener ended by itself; the log says why")]
    ListenerEnded,
}

/// What a server offers, and to whom.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Whether to offer server reflection.
    pub reflection: bool,
    /// Time that calls may take to end once the server drains.
    pub grace: Duration,
    /// TLS on TCP connections, if wanted.
    pub tls: Option<ServerTls>,
    /// The token that every call must carry, if any.
    pub token: Option<Token>,
}

/// A bound listener. Connections wait until [`Server::serve`] is called.
pub struct Server {
    listener: Listener,
    listen: Listen,
    /// The file by which the listener is found, if there is one.
    socket: Option<Socket>,
    /// For probes: plain, without a token, and nothing but health.
    health: Option<(Listener, Listen)>,
}

impl Server {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(listen: Listen) -> Result<Self, ServerError> {
        let (listener, listen) = bind(listen).await?;
        let socket = Socket::of(&listen);
        Ok(Self { listener, listen, socket, health: None })
    }

    /// Binds another listener that serves `grpc.health.v1` alone, without TLS or token.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn with_health(self, address: SocketAddr) -> Result<Self, ServerError> {
        Ok(Self { health: Some(bind(Listen::Tcp(address)).await?), ..self })
    }

    /// Returns how many connections are taken at a time, by all listeners.
    #[must_use]
    pub fn connections(&self) -> usize {
        Limits::default().connections * (1 + usize::from(self.health.is_some()))
    }

    /// Returns the bound address, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> &Listen {
        &self.listen
    }

    /// Returns the bound address of the listener for probes, if there is one.
    #[must_use]
    pub fn health_address(&self) -> Option<&Listen> {
        self.health.as_ref().map(|(_, listen)| listen)
    }

    /// Serves until `drain` turns true and all calls have ended, or the time for that has passed since.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(
        self,
        service: Service,
        options: ServerOptions,
        mut drain: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let ServerOptions { reflection, grace, tls, token } = options;
        let refused = service.metrics().refused_connections.clone();
        let service = calls(service);
        let (health, health_service) = tonic_health::server::health_reporter();
        // "" is alive and the service ready from here on: the data was read before the bind.
        health.set_service_status(SERVICE, ServingStatus::Serving).await;
        let limits = Limits::default();
        let probes = self.health.map(|(listener, _)| {
            transport(MAX_PROBES_PER_CONNECTION)
                .add_service(health_service.clone())
                .serve_with_incoming(incoming(listener, None, limits, refused.clone()))
        });
        let router = transport(MAX_STREAMS_PER_CONNECTION)
            .timeout(CALL_TIMEOUT)
            .layer(InterceptorLayer::new(Guard::new(token)))
            .add_service(InterceptedService::new(service, Openings::of_batches()))
            // Asking whether the loader is well is no matter of how many streams are being opened.
            .add_service(InterceptedService::new(health_service, Openings::of_probes()))
            .add_optional_service(
                reflection.then(|| InterceptedService::new(reflection_service(), Openings::of_probes())),
            );

        let mut draining = drain.clone();
        let shutdown = async move {
            drop(draining.wait_for(|drain| *drain).await);
            health.set_service_status(SERVICE, ServingStatus::NotServing).await;
        };
        // A socket is reached through the file system, which says who may.
        let tls = tls.filter(|_| matches!(self.listen, Listen::Tcp(_)));
        let connections = incoming(self.listener, tls, limits, refused);
        let serving = router.serve_with_incoming_shutdown(connections, shutdown);
        let probing = async {
            match probes {
                Some(probes) => probes.await,
                None => std::future::pending().await,
            }
        };
        let asked = drain.clone();
        let overdue = async {
            drop(drain.wait_for(|drain| *drain).await);
            tokio::time::sleep(grace).await;
        };
        // Ready, and nobody taken in, is worse than no loader: the process ends.
        let is_asked = || *asked.borrow() || asked.has_changed().is_err();
        let ended = |result: Result<(), tonic::transport::Error>| match result {
            Ok(()) if !is_asked() => Err(ServerError::ListenerEnded),
            result => result.map_err(ServerError::from),
        };
        let result = tokio::select! {
            result = serving => ended(result),
            result = probing => ended(result),
            () = overdue => {
                tracing::warn!(grace_seconds = grace.as_secs_f64(), "connections still open after the grace period");
                Ok(())
            }
        };
        drop(self.socket);
        result
    }
}

async fn bind(listen: Listen) -> Result<(Listener, Listen), ServerError> {
    match listen.bind().await {
        Ok(bound) => Ok(bound),
        Err(source) => Err(BindError::new(listen, source).into()),
    }
}

/// What takes calls, whatever carries them.
pub trait Calls:
    tonic::codegen::Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error = std::convert::Infallible,
        Future: Send,
    > + tonic::server::NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Calls for T where
    T: tonic::codegen::Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = std::convert::Infallible,
            Future: Send,
        > + tonic::server::NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The loader's calls as a server has them, within the limits of its messages.
pub fn calls(service: Service) -> impl Calls {
    let service = LoaderServiceServer::new(service)
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    MapResponseLayer::new(hand_over).named_layer(service)
}

fn reflection_service() -> impl Calls {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(mixfeed_proto::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("our own descriptors are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // What a killed process leaves.
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap());
        let _live = Server::bind(listen.clone()).await.unwrap();
        assert!(Server::bind(listen).await.is_err());
    }
}
