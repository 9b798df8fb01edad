//! Asking a process to stop, once politely and twice at once; and to save what it has.
//!
//! The first SIGTERM, SIGINT or SIGHUP is handed to the caller, who drains and ends in its own time. A
//! second SIGTERM or SIGINT ends the process on the spot: whoever asks twice does not want to wait.
//! SIGHUP never counts as the second, nor as the first of two: it comes from a terminal that is gone, often twice (from
//! the system and from the shell) and together with a supervisor's SIGTERM. Where it is ignored from the
//! start, as under `nohup`, it stays ignored.
//!
//! SIGUSR1 and SIGUSR2, by which schedulers announce the end of a job's time, end nothing: from the first line of `main`
//! on ([`keep_user_signals`]), since a scheduler does not ask how far a process has come.

use crate::exit;
use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::signal::unix::{self, SignalKind};

/// The signal that asked the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, from the keyboard.
    Interrupt,
    /// SIGTERM, from a supervisor.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
}

impl Signal {
    /// The exit code by which a shell knows that this signal ended the process.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => exit::INTERRUPTED,
            Signal::Terminate => exit::TERMINATED,
            Signal::Hangup => exit::HUNG_UP,
        }
    }
}

/// SIGUSR1 and SIGUSR2 as they were taken over at the start, until somebody listens.
static KEPT: Mutex<Option<[unix::Signal; 2]>> = Mutex::new(None);

/// Takes over SIGUSR1 and SIGUSR2, which would end the process, and keeps them for [`first`] or [`on_first`]: they are told
/// what comes in between. For the first line of `main`.
///
/// # Errors
/// When the operating system refuses the handlers.
pub fn keep_user_signals() -> io::Result<()> {
    // Handlers stay when their runtime goes; whichever is next reads what they left.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    let user = user_signals()?;
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
    Ok(())
}

fn user_signals() -> io::Result<[unix::Signal; 2]> {
    Ok([unix::signal(SignalKind::user_defined1())?, unix::signal(SignalKind::user_defined2())?])
}

/// Takes over the signals now; the future resolves with the first that asks for the end. From then on a
/// second one exits the process at once with its code, for as long as the runtime lives.
///
/// # Errors
/// When the operating system refuses the handlers.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn first() -> io::Result<impl Future<Output = Signal> + Send + 'static> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        let first = signals.first(|| {}).await;
        tokio::spawn(async move { exit(signals.second(first, || {}).await) });
        first
    })
}

/// The same for a program that is not asynchronous: a small thread of its own waits, and calls
/// `stop` with the first signal that asks for the end, and `save` with each that asks to save.
///
/// # Errors
/// When the operating system refuses the handlers or the thread.
pub fn on_first(
    stop: impl FnOnce(Signal) + Send + 'static,
    mut save: impl FnMut() + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    // The one thread that outlives its starter: it owns nothing, and ends with the process.
    #[allow(clippy::disallowed_methods)]
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let first = runtime.block_on(signals.first(&mut save));
        stop(first);
        exit(runtime.block_on(signals.second(first, save)));
    })?;
    Ok(())
}

/// Without what libraries have left to be done at an exit: other threads still work with what that would take from them.
fn exit(signal: Signal) {
    signal_hook::low_level::exit(i32::from(signal.exit_code()))
}

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    End(Signal),
    Save,
}

struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    /// None where it is ignored.
    hangup: Option<unix::Signal>,
    user: [unix::Signal; 2],
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let hangup = SignalKind::hangup();
        let hangup = if is_ignored(hangup) { None } else { Some(unix::signal(hangup)?) };
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Signals {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup,
            user: kept.map_or_else(user_signals, Ok)?,
        })
    }

    /// The first that asks for the end.
    async fn first(&mut self, mut save: impl FnMut()) -> Signal {
        loop {
            match self.next().await {
                Heard::End(signal) => return signal,
                Heard::Save => save(),
            }
        }
    }

    /// The one that does not want to wait.
    async fn second(&mut self, first: Signal, mut save: impl FnMut()) -> Signal {
        let mut asked = first != Signal::Hangup;
        loop {
            match self.next().await {
                Heard::End(Signal::Hangup) => {}
                Heard::End(signal) if asked => return signal,
                Heard::End(_) => asked = true,
                Heard::Save => save(),
            }
        }
    }

    async fn next(&mut self) -> Heard {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let [first, second] = &mut self.user;
        tokio::select! {
            _ = self.interrupt.recv() => Heard::End(Signal::Interrupt),
            _ = self.terminate.recv() => Heard::End(Signal::Terminate),
            _ = hangup => Heard::End(Signal::Hangup),
            _ = first.recv() => Heard::Save,
            _ = second.recv() => Heard::Save,
        }
    }
}

/// Whether this process ignores a signal, so far by the will of whoever started it. Where the system does not tell, it
/// counts as ignored: its own way with the signal stays.
pub(crate) fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status");
    status.ok().and_then(|status| ignored(&status, signal.as_raw_value())).unwrap_or(true)
}

/// Reads the mask of ignored signals, in which the lowest bit is signal 1 (proc(5)).
fn ignored(status: &str, signal: i32) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_their_mask() {
        let status =
            |mask: &str| format!("Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        for (mask, hangup, pipe) in [
            ("0000000000000000", false, false),
            ("0000000000000001", true, false),
            ("0000000000001000", false, true),
            ("0000000000001001", true, true),
            ("fffffffffffffffe", false, true),
        ] {
            assert_eq!(ignored(&status(mask), 1), Some(hangup), "{mask}");
            assert_eq!(ignored(&status(mask), 13), Some(pipe), "{mask}");
        }
        assert_eq!(ignored("Name:\tx\n", 1), None);
        assert_eq!(ignored(&status("x"), 1), None);
    }
}
