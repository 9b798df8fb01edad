//! A scripted loader on a loopback port, for the tests of everything that reads streams.
//!
//! It speaks `mixfeed.v1` over a real connection, makes batches whose content is a function of the
//! spec and the index alone, and misbehaves as its [`Script`] says. Each one runs on a thread with a runtime
//! of its own, so that it can be killed, or stopped in the middle of anything, as a process can.
//!
//! Its content is not that of a real loader: it knows nothing of images.
//!
//! [`Proxy`] stands between a client and any loader, and does what networks do.

// A fake lives on a thread of its own, so that it can be frozen.
#![allow(clippy::disallowed_methods)]

mod content;
mod description;
mod liar;
mod parts;
mod proxy;
mod running;
mod script;
mod service;

pub use content::{FakeData, batch};
pub use liar::Liar;
pub use proxy::Proxy;
pub use script::{At, Fault, FaultKind, Lie, PartFault, Point, Script};

use running::Running;
use service::{Service, State};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A fake loader that runs. Dropping it kills it.
#[derive(Debug)]
pub struct FakeLoader {
    state: Arc<State>,
    running: Running,
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
        let state = Arc::new(State::new(script));
        let (service, freezing) = (Service(state.clone()), state.clone());
        let running = Running::start(address, || service, async move { freezing.freeze().await })?;
        Ok(Self { state, running })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Answers to `Describe`.
    #[must_use]
    pub fn described(&self) -> u64 {
        self.state.described.load(Ordering::SeqCst)
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
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for FakeLoader {
    fn drop(&mut self) {
        // One that is frozen would never see that it is to end.
        self.thaw();
    }
}
