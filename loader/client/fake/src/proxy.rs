//! A proxy that does to a connection what networks do: for tests with fake loaders and with real ones.
//!
//! It forwards bytes between a client and a loader, and is told while it runs to be slow, narrow, deaf,
//! or to damage what passes. It knows nothing of what it forwards.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

/// Bytes forwarded at a time.
const PIECE: usize = 16 << 10;

/// Pieces that are on their way, so that a delay does not also narrow the line.
const PIECES: usize = 1024;

/// A proxy in front of one loader. Dropping it closes its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the line does at the moment.
#[derive(Debug, Default)]
struct Line {
    latency: Mutex<Duration>,
    /// Bytes a second, each way and for each connection; 0 for no bound.
    bandwidth: AtomicU64,
    deaf: AtomicBool,
    heard: Notify,
    /// Bytes to the client until one bit is flipped or the connection is cut; `u64::MAX` for never.
    flip_after: AtomicU64,
    cut_after: AtomicU64,
    reset: Notify,
    connections: AtomicU64,
}

impl Proxy {
    /// Starts a proxy for `target` on a free port of the loopback interface.
    ///
    /// # Errors
    /// Those of binding a socket and starting a thread.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let line = Arc::new(Line {
            flip_after: AtomicU64::new(u64::MAX),
            cut_after: AtomicU64::new(u64::MAX),
            ..Line::default()
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = line.clone();
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let accept = async {
                    while let Ok((near, _)) = listener.accept().await {
                        tokio::spawn(connect(near, target, shared.clone()));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("fake-proxy".into()).spawn(serve)?;
        Ok(Self { address, line, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that were made through it.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.line.connections.load(Ordering::SeqCst)
    }

    /// Delays every byte by so much, each way.
    pub fn set_latency(&self, latency: Duration) {
        *self.line.latency.lock().unwrap_or_else(PoisonError::into_inner) = latency;
    }

    /// Lets so many bytes a second pass, each way and for each connection; 0 for no bound.
    pub fn set_bandwidth(&self, bytes_per_second: u64) {
        self.line.bandwidth.store(bytes_per_second, Ordering::SeqCst);
    }

    /// Forwards nothing, but keeps connections open and accepts new ones: a half-open line.
    pub fn go_deaf(&self) {
        self.line.deaf.store(true, Ordering::SeqCst);
    }

    /// Forwards again, what was held back first.
    pub fn hear(&self) {
        self.line.deaf.store(false, Ordering::SeqCst);
        self.line.heard.notify_waiters();
    }

    /// Flips one bit in what the loader sends, after so many further bytes.
    pub fn flip_bit_after(&self, bytes: u64) {
        self.line.flip_after.store(bytes, Ordering::SeqCst);
    }

    /// Closes one connection in the middle of what the loader sends, after so many further bytes.
    pub fn cut_after(&self, bytes: u64) {
        self.line.cut_after.store(bytes, Ordering::SeqCst);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.line.reset.notify_waiters();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn connect(near: TcpStream, target: SocketAddr, line: Arc<Line>) {
    line.connections.fetch_add(1, Ordering::SeqCst);
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    // A connection that is dropped with this set is reset and not closed in good order.
    let _ = (near.set_zero_linger(), far.set_zero_linger());
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = forward(near_read, far_write, &line, false) => {}
        () = forward(far_read, near_write, &line, true) => {}
        () = line.reset.notified() => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: &Line, to_client: bool) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let read = async move {
        let mut free_at = Instant::now();
        loop {
            let mut piece = vec![0; PIECE];
            let Ok(length @ 1..) = from.read(&mut piece).await else { return };
            piece.truncate(length);
            let bandwidth = line.bandwidth.load(Ordering::SeqCst);
            if bandwidth > 0 {
                let time = Duration::from_secs_f64(length as f64 / bandwidth as f64);
                free_at = free_at.max(Instant::now()) + time;
                tokio::time::sleep_until(free_at).await;
            }
            let latency = *line.latency.lock().unwrap_or_else(PoisonError::into_inner);
            if sender.send((Instant::now() + latency, piece)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, mut piece)) = pieces.recv().await {
            if at > Instant::now() {
                tokio::time::sleep_until(at).await;
            }
            loop {
                let heard = line.heard.notified();
                if !line.deaf.load(Ordering::SeqCst) {
                    break;
                }
                heard.await;
            }
            if to_client {
                if let Some(at) = falls_in(&line.flip_after, piece.len()) {
                    piece[at] ^= 0x10;
                }
                if let Some(at) = falls_in(&line.cut_after, piece.len()) {
                    let _ = to.write_all(&piece[..at]).await;
                    return;
                }
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

/// Counts a piece of `length` bytes down; the place in it where the count ends, if it does.
fn falls_in(after: &AtomicU64, length: usize) -> Option<usize> {
    let left = after.load(Ordering::SeqCst);
    if left == u64::MAX {
        return None;
    }
    let length = length as u64;
    after.store(if left < length { u64::MAX } else { left - length }, Ordering::SeqCst);
    (left < length).then_some(left as usize)
}
