//! A scripted loader on a loopback port, for the tests of everything that reads streams.
//!
//! It speaks `mixfeed.v1` over a real connection, makes batches whose content is a function of the
//! spec and the index alone, and misbehaves as its [`Script`] says. Each one runs on a thread with a runtime
//! of its own, so that it can be killed, or stopped in the middle of anything, as a process can.
//!
//! Its content is not that of a real loader: it knows nothing of images.
//!
//! [`Proxy`] stands between a client and any loader, and does what networks do. [`read_recorded`] is no fake but the
//! client itself, given what a loader sent without a connection.

// A fake lives on a thread of its own, so that it can be frozen.
#![allow(clippy::disallowed_methods)]

mod content;
mod parts;
mod proxy;
mod recorded;
mod service;

pub use content::{FakeData, batch};
pub use proxy::Proxy;
pub use recorded::read_recorded;

use mixfeed_proto::limits;
use mixfeed_proto::v1::loader_service_server::LoaderServiceServer;
use service::{Service, State};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;

/// How a fake loader behaves.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it serves.
    pub data: FakeData,
    /// Batches that it says it holds at most.
    pub window_batches: u32,
    /// Time that it takes for each batch, one after the other.
    pub latency: Duration,
    /// Whether it makes one batch only and sends that under every index: for measurements. Its samples are then
    /// not those of the index, and every batch must have the same number of rows.
    pub prepared: bool,
    /// Pixel bytes of a message, at most: larger batches go in parts to clients that take them.
    pub message_bytes: usize,
    /// What it does wrong.
    pub faults: Vec<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            data: FakeData::default(),
            window_batches: 4,
            latency: Duration::ZERO,
            prepared: false,
            message_bytes: limits::MAX_MESSAGE_PIXELS as usize,
            faults: Vec::new(),
        }
    }
}

impl Script {
    /// The same with one more fault.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// One thing that a fake loader does wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which batches it meets.
    pub at: At,
    /// What happens.
    pub kind: FaultKind,
    /// How often at most.
    pub times: u32,
}

impl Fault {
    /// Always, where `at` says.
    #[must_use]
    pub fn always(at: At, kind: FaultKind) -> Self {
        Self { at, kind, times: u32::MAX }
    }

    /// The first time that it meets such a batch.
    #[must_use]
    pub fn once(at: At, kind: FaultKind) -> Self {
        Self { at, kind, times: 1 }
    }
}

/// Which batches a fault meets.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// The batch of this index.
    Index(u64),
    /// Batches of this index or a later one.
    From(u64),
    /// Batches whose index is a multiple of this.
    Every(u64),
    /// The batches after the first so many that this loader served.
    Served(u64),
}

/// What a fake loader can do wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// Flips one bit of the pixels; the checksum tells.
    FlipBit,
    /// Sends other pixels under a checksum that fits them.
    OtherPixels,
    /// Sends one row less.
    MissingRow,
    /// Sends a label beyond the classes, under a checksum that fits.
    Label,
    /// Sends a lambda beyond 1, under a checksum that fits.
    Lambda,
    /// Sends a batch that was not asked for instead.
    Unasked,
    /// Sends the batch twice.
    Twice,
    /// Sends parts of the batch as they should not be.
    Parts(PartFault),
    /// Takes so much longer.
    Delay(Duration),
    /// Sends nothing more on this stream, and keeps it open.
    Stall,
    /// Ends the stream as a loader that shuts down.
    Drain,
    /// Ends the stream with an error.
    Break,
    /// Says that the data is damaged.
    DataLoss,
    /// Says that the data cannot be read now.
    Unavailable,
    /// Says that the data is not what it was.
    Changed,
    /// Says that it failed to make the batch.
    Internal,
    /// Refuses to open a stream, with this message; the batches do not matter.
    RefuseOpen(String),
    /// Answers `Describe` with UNAVAILABLE; the batches do not matter.
    Starting,
}

/// What a fake loader can do wrong with the parts of a batch.
#[derive(Clone, Copy, Debug)]
pub enum PartFault {
    /// Leaves one out.
    Missing,
    /// Sends one twice.
    Twice,
    /// Sends two in each other's place.
    Swapped,
    /// Sends them all once more before the end.
    TooMany,
    /// Sends one without a byte.
    Empty,
    /// Sends one of another batch in between.
    OfAnother,
    /// Sends another batch in between, whole.
    Between,
    /// Says in between that it fails to make another.
    Failure,
    /// Leaves out the end, and goes on with the next batch.
    NoEnd,
    /// Flips one bit in one of them; the checksum tells.
    FlipBit,
    /// Ends the stream in between, with an error.
    Break,
    /// Ends the stream in between as a loader that shuts down.
    Drain,
    /// Sends nothing more from there on, and keeps the stream open.
    Stall,
}

/// A fake loader that runs. Dropping it kills it.
#[derive(Debug)]
pub struct FakeLoader {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeLoader {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Errors
    /// Those of binding a socket and starting a thread.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// Starts one at `address`, as a process that is restarted.
    ///
    /// # Errors
    /// Those of binding a socket and starting a thread.
    pub fn start_at(address: SocketAddr, script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(script));
        let (stop, stopped) = oneshot::channel();
        let service = Service(state.clone());
        let freezing = state.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let service = LoaderServiceServer::new(service)
                    .max_encoding_message_size(limits::MAX_MESSAGE_BYTES)
                    .max_decoding_message_size(limits::MAX_REQUEST_BYTES);
                let server = tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
                tokio::select! {
                    _ = server => {}
                    () = freezing.freeze() => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("fake-loader".into()).spawn(serve)?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a client is given it.
    #[must_use]
    pub fn endpoint(&self) -> crate::Endpoint {
        self.address.into()
    }

    /// Batches that it sent.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.state.served.load(Ordering::SeqCst)
    }

    /// Streams that were opened at it.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.state.streams.load(Ordering::SeqCst)
    }

    /// Streams that are open at it.
    #[must_use]
    pub fn open_streams(&self) -> u64 {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Indices that it was asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<u64> {
        service::lock(&self.state.asked).clone()
    }

    /// Changes the time that it takes for each batch.
    pub fn set_latency(&self, latency: Duration) {
        service::lock(&self.state.script).latency = latency;
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        service::lock(&self.state.script).faults.push(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        service::lock(&self.state.script).faults.clear();
    }

    /// Stops it in the middle of whatever it does, with its connections open, as SIGSTOP does.
    pub fn freeze(&self) {
        self.state.frozen.store(true, Ordering::SeqCst);
        self.state.freeze.notify_one();
    }

    /// Lets it go on, as SIGCONT does.
    pub fn thaw(&self) {
        self.state.frozen.store(false, Ordering::SeqCst);
    }

    /// Ends all its streams in good order, as SIGTERM does; it accepts new ones.
    pub fn drain(&self) {
        self.state.drain.notify_waiters();
    }

    /// Ends it at once, and closes its connections, as SIGKILL does.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.thaw();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for FakeLoader {
    fn drop(&mut self) {
        self.end();
    }
}
