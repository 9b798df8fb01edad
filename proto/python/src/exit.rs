//! The end of the interpreter, and forks of it: who is inside a stream, and in which process it was opened.
//!
//! A thread that waits in a stream while the interpreter ends must not come back to it: it would be ended on the way, in
//! the middle of Rust. So all streams are ended before, their readers waited for, as long as it takes them to notice, and
//! nobody is let in again.

use crate::errors;
use crate::reader::MOMENT;
use mixfeed_client::Interrupt;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Time for readers to leave: some moments, and a busy machine.
const LEAVING: Duration = Duration::from_secs(2);

/// Streams that may have a reader. Locked with the interpreter held only, so that no fork finds it locked.
static OPEN: Mutex<Vec<Weak<Presence>>> = Mutex::new(Vec::new());

/// Whether the interpreter is ending. Changed and asked with the interpreter held.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Who is inside one stream.
pub(crate) struct Presence {
    pub(crate) interrupt: Interrupt,
    inside: AtomicUsize,
    process: u32,
}

/// A thread inside a stream.
pub(crate) struct Inside<'a>(&'a AtomicUsize);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Presence {
    pub(crate) fn new() -> Arc<Self> {
        let presence = Arc::new(Self {
            interrupt: Interrupt::default(),
            inside: AtomicUsize::new(0),
            process: std::process::id(),
        });
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(&presence));
        presence
    }

    /// Whether this is the process that the stream was opened in.
    pub(crate) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Lets a thread in; an error in a process that was forked since, where the stream has no threads.
    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<Inside<'_>> {
        if !self.is_here() {
            let text = format!(
                "this stream was opened in process {}, and its threads stayed there: open one after the fork, in this process",
                self.process
            );
            return Err(errors::named(py, "ForkError", &text));
        }
        if is_ending() {
            return Err(errors::named(py, "ClosedError", "the interpreter is ending"));
        }
        Ok(self.count())
    }

    /// Counts a thread that closes the stream, which nobody is refused.
    pub(crate) fn count(&self) -> Inside<'_> {
        self.inside.fetch_add(1, Ordering::Acquire);
        Inside(&self.inside)
    }
}

/// Whether the interpreter is ending, so that who gives it away does not get it back.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Ends all streams of this process; for the exit of the interpreter.
#[pyfunction]
pub(crate) fn close_all(py: Python<'_>) {
    ENDING.store(true, Ordering::Relaxed);
    let open: Vec<_> = OPEN.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    let open: Vec<_> = open.iter().filter_map(Weak::upgrade).filter(|presence| presence.is_here()).collect();
    for presence in &open {
        presence.interrupt.interrupt();
    }
    let deadline = Instant::now() + LEAVING;
    while open.iter().any(|presence| presence.inside.load(Ordering::Acquire) > 0) && Instant::now() < deadline
    {
        // They need the interpreter to leave.
        py.detach(|| std::thread::sleep(MOMENT / 20));
    }
}
