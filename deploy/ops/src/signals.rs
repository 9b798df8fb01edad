//! Asking a process to stop, once politely and twice at once.
//!
//! The first SIGTERM or SIGINT is handed to the caller, who drains and ends in its own time. A
//! second one ends the process on the spot: whoever asks twice does not want to wait.

use crate::exit;
use std::future::Future;
use std::io;
use tokio::signal::unix::{self, SignalKind};

/// The signal that asked the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, from the keyboard.
    Interrupt,
    /// SIGTERM, from a supervisor.
    Terminate,
}

impl Signal {
    /// The exit code by which a shell knows that this signal ended the process.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => exit::INTERRUPTED,
            Signal::Terminate => exit::TERMINATED,
        }
    }
}

/// Takes over both signals now; the future resolves with the first that comes. From then on a
/// second one exits the process at once with its code, for as long as the runtime lives.
///
/// # Errors
/// When the operating system refuses the handlers.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn first() -> io::Result<impl Future<Output = Signal> + Send + 'static> {
    let mut both = Both::listen()?;
    Ok(async move {
        let signal = both.next().await;
        tokio::spawn(async move {
            let again = both.next().await;
            std::process::exit(i32::from(again.exit_code()));
        });
        signal
    })
}

/// The same for a program that is not asynchronous: a small thread of its own waits, and calls
/// `stop` with the first signal.
///
/// # Errors
/// When the operating system refuses the handlers or the thread.
pub fn on_first(stop: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut both = {
        let _inside = runtime.enter();
        Both::listen()?
    };
    // The one thread that outlives its starter: it owns nothing, and ends with the process.
    #[allow(clippy::disallowed_methods)]
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        stop(runtime.block_on(both.next()));
        let again = runtime.block_on(both.next());
        std::process::exit(i32::from(again.exit_code()));
    })?;
    Ok(())
}

struct Both {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Both {
    fn listen() -> io::Result<Self> {
        Ok(Both {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}
