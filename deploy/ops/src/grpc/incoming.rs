//! Taking connections: no more than there is room for, and none that keeps its place without greeting.
//!
//! One task accepts and starts a short task for each connection, which greets it. What it hands on are
//! connections that speak HTTP/2; a failing accept is waited out and never ends the server. Once nobody wants
//! connections any more, the listener is closed and those that have not greeted are dropped, so that none of
//! them holds up the end.

use super::burst::Burst;
use super::connection::{Connection, Io};
use super::greeting::{Refusal, greet};
use super::refused::{Reason, RefusedConnections};
use super::tls::ServerTls;
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpConnectInfo;

/// Connections at a time. A trainer has one to each loader, and a probe one for a moment; a thousand trainers
/// on one loader would each wait for ever.
const MAX_CONNECTIONS: usize = 1024;

/// Time for TLS and the first line of HTTP/2: two round trips and some arithmetic, so seconds only on the
/// worst of lines.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// After an accept that failed for want of something (file descriptors, memory) the next one waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that have greeted and wait to be taken on. That takes microseconds.
const QUEUE: usize = 16;

/// How many connections, and how long each may take to greet.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; those beyond it are closed at once.
    pub connections: usize,
    /// Time from accepting a connection to its first line of HTTP/2.
    pub greeting: Duration,
}

impl Default for Limits {
    /// 1024 connections, or half of the file descriptors that the process may open if that is less: the other
    /// half is for data, which is read while connections come.
    fn default() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let half = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
        Self { connections: MAX_CONNECTIONS.min(half), greeting: GREETING_TIMEOUT }
    }
}

/// Where connections come from.
pub enum Listener {
    /// TCP; each connection sends small packets at once.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Io>, TcpConnectInfo)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // It fails for a peer that is gone already, which reading will tell.
                let _ = stream.set_nodelay(true);
                if peer.ip().to_canonical().is_loopback() {
                    stay_within_the_machine(&stream);
                }
                let peer = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(peer) };
                Ok((Box::new(stream), peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), TcpConnectInfo { local_addr: None, remote_addr: None }))
            }
        }
    }
}

/// Bytes that wait in a connection to the same machine, of which Linux makes twice as many. A batch of the usual size is
/// 400 kB: with room for many, they are sent and taken in bursts, and a peer that shares its CPUs with the sender waits
/// between them.
const LOOPBACK_SEND_BUFFER: usize = 256 << 10;

/// Settings for a line that loses nothing and has no length. The system's own are for those that do, such as
/// pacing by a clock (BBR), which costs CPU time here.
///
/// The figures are in `deploy/docs/BENCHMARKS.md`. Where the system refuses, its own settings do as well.
fn stay_within_the_machine(stream: &TcpStream) {
    let _ = sockopt::set_socket_send_buffer_size(stream, LOOPBACK_SEND_BUFFER);
    #[cfg(target_os = "linux")]
    let _ = sockopt::set_tcp_congestion(stream, "cubic");
}

/// Connections that have greeted. It never yields an error, and never ends by itself.
pub type Incoming = ReceiverStream<io::Result<Connection>>;

/// Takes connections from `listener` until what is returned is dropped, and counts those that it does not take.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn incoming(
    listener: Listener,
    tls: Option<ServerTls>,
    limits: Limits,
    refused: RefusedConnections,
) -> Incoming {
    let (greeted, incoming) = mpsc::channel(QUEUE);
    tokio::spawn(accept(listener, tls, limits, refused, greeted));
    ReceiverStream::new(incoming)
}

async fn accept(
    listener: Listener,
    tls: Option<ServerTls>,
    limits: Limits,
    counted: RefusedConnections,
    greeted: mpsc::Sender<io::Result<Connection>>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    // Dropped with this task, which ends what has not greeted.
    let mut greetings = JoinSet::new();
    let (mut full, mut failed, mut refused) = (Burst::default(), Burst::default(), Burst::default());
    loop {
        let accepted = tokio::select! {
            () = greeted.closed() => return,
            Some(ended) = greetings.join_next() => {
                if let Ok((peer, Err(refusal))) = ended {
                    counted.count(Reason::from(&refusal));
                    tell(&mut refused, &peer, &refusal);
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((io, peer)) => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => {
                    let (tls, greeted) = (tls.clone(), greeted.clone());
                    greetings.spawn(async move {
                        let greeting = greet(io, tls, peer.clone(), slot);
                        let result = match tokio::time::timeout(limits.greeting, greeting).await {
                            Ok(Ok(connection)) => {
                                // The server is ending when nobody takes it.
                                drop(greeted.send(Ok(connection)).await);
                                Ok(())
                            }
                            Ok(Err(refusal)) => Err(refusal),
                            Err(_elapsed) => Err(Refusal::Late),
                        };
                        (peer, result)
                    });
                }
                Err(_full) => {
                    counted.count(Reason::Full);
                    if let Some(closed) = full.count() {
                        let limit = limits.connections;
                        tracing::warn!(limit, closed, "too many connections: new ones are closed at once");
                    }
                }
            },
            // The peer was gone before it was accepted.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                counted.count(Reason::Accept);
                if let Some(times) = failed.count() {
                    tracing::warn!(%error, times, "cannot accept connections for the moment");
                }
                tokio::select! {
                    () = greeted.closed() => return,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// A probe that connects and closes is nothing to speak of; anything else is somebody's mistake, or worse.
fn tell(burst: &mut Burst, peer: &TcpConnectInfo, refusal: &Refusal) {
    let peer = peer.remote_addr.map_or_else(|| "local".to_owned(), |address| address.to_string());
    if matches!(refusal, Refusal::Silent) {
        tracing::debug!(peer, reason = %refusal, "connection refused");
    } else if let Some(times) = burst.count() {
        tracing::warn!(peer, reason = %refusal, times, "connection refused");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_within_the_machine_holds_one_batch_and_is_not_paced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = async || TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        // What this process may choose is found out by choosing: it depends on the kernel's modules, on settings and on
        // privileges, and a network namespace does not show all settings.
        let probe = connect().await;
        sockopt::set_socket_send_buffer_size(&probe, LOOPBACK_SEND_BUFFER).unwrap();
        let size = sockopt::socket_send_buffer_size(&probe).unwrap();
        let _ = sockopt::set_tcp_congestion(&probe, "cubic");
        let control = sockopt::tcp_congestion(&probe).unwrap();

        let stream = connect().await;
        stay_within_the_machine(&stream);
        assert_eq!(sockopt::socket_send_buffer_size(&stream).unwrap(), size);
        assert_eq!(sockopt::tcp_congestion(&stream).unwrap(), control);
    }
}
