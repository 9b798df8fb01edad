//! Log lines of the client, and of loaders in this process, on their way to Python's `logging`.
//!
//! The client's threads never enter the interpreter, which may be busy, ending or gone: they leave their lines in the
//! queue of their stream, and the thread that reads the stream hands them on whenever it comes by. All loaders of this process
//! have one queue, which whoever waits for one of them empties.

use pyo3::prelude::*;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};

/// Lines that wait for a reader who is long in coming; the client logs transitions, which are few.
const WAITING_LINES: usize = 1024;

/// The loggers, in Python's terms.
const CLIENT: &str = "mixfeed.client";
const LOADER: &str = "mixfeed.loader";

/// How the client begins when an audit found two answers.
const CONTRADICTION: &str = "loaders contradict each other about a batch";

const DEBUG: u8 = 10;

/// The lowest of Python's levels that any reader wants to hear.
static WANTED: AtomicU8 = AtomicU8::new(2 * DEBUG);

thread_local! {
    /// Where the lines of this thread go: that of a stream's runtime has the queue of its stream.
    static QUEUE: RefCell<Option<Sender>> = const { RefCell::new(None) };
}

/// The queue of the lines that belong to no stream, once there is a loader: those are its threads'.
static OF_LOADERS: OnceLock<(Sender, Lines)> = OnceLock::new();

struct Line {
    level: u8,
    text: String,
}

/// The client's end of a queue.
#[derive(Clone)]
pub(crate) struct Sender {
    lines: SyncSender<Line>,
    lost: Arc<AtomicUsize>,
}

/// The reader's end.
pub(crate) struct Lines {
    logger: &'static str,
    /// What is said besides, once, where loaders contradict each other.
    on_contradiction: Mutex<Option<String>>,
    lines: Mutex<Receiver<Line>>,
    lost: Arc<AtomicUsize>,
}

/// Makes the queue of a stream, and asks Python how much it wants to hear. Of a stream with a transform of its loaders' own,
/// `transform` is its name.
pub(crate) fn queue(py: Python<'_>, transform: Option<String>) -> (Sender, Lines) {
    let (sender, lines) = queue_for(py, CLIENT);
    let on_contradiction = transform.map(|name| {
        format!(
            "the stream asks for the transform {name}: one that draws from anything but the generator that it is handed, or \
             that is not the same everywhere, makes loaders contradict each other"
        )
    });
    (sender, Lines { on_contradiction: Mutex::new(on_contradiction), ..lines })
}

/// Takes the lines of loaders from now on.
pub(crate) fn listen_to_loader(py: Python<'_>) {
    if OF_LOADERS.get().is_none() {
        // Asking Python may let another thread come first, whose queue is as good.
        let _ = OF_LOADERS.set(queue_for(py, LOADER));
    }
}

/// Hands on the lines of loaders that wait.
pub(crate) fn tell_of_loader(py: Python<'_>) -> PyResult<()> {
    OF_LOADERS.get().map_or(Ok(()), |(_, lines)| lines.hand_on(py))
}

fn queue_for(py: Python<'_>, name: &'static str) -> (Sender, Lines) {
    let wanted = || logger(py, name)?.call_method0("getEffectiveLevel")?.extract::<u8>();
    WANTED.fetch_min(wanted().unwrap_or(2 * DEBUG), Ordering::Relaxed);
    let (sender, lines) = sync_channel(WAITING_LINES);
    let lost = Arc::new(AtomicUsize::new(0));
    (
        Sender { lines: sender, lost: lost.clone() },
        Lines { logger: name, on_contradiction: Mutex::default(), lines: Mutex::new(lines), lost },
    )
}

/// The logger of streams.
pub(crate) fn client(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    logger(py, CLIENT)
}

fn logger<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("logging")?.call_method1("getLogger", (name,))
}

impl Sender {
    /// Makes this thread's lines those of the stream.
    pub(crate) fn take_thread(&self) {
        QUEUE.set(Some(self.clone()));
    }
}

/// Runs `work`, the lines of which are those of a stream.
pub(crate) fn within<T>(sender: &Sender, work: impl FnOnce() -> T) -> T {
    let before = QUEUE.replace(Some(sender.clone()));
    let done = work();
    QUEUE.set(before);
    done
}

impl Lines {
    /// Hands on what waits.
    pub(crate) fn hand_on(&self, py: Python<'_>) -> PyResult<()> {
        let lines: Vec<Line> = self.lines.lock().unwrap_or_else(PoisonError::into_inner).try_iter().collect();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lines.is_empty() && lost == 0 {
            return Ok(());
        }
        let logger = logger(py, self.logger)?;
        for Line { level, text } in lines {
            let mut besides = None;
            if text.starts_with(CONTRADICTION) {
                besides = self.on_contradiction.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            for text in std::iter::once(text).chain(besides) {
                logger.call_method1("log", (level, "%s", text))?;
            }
        }
        if lost > 0 {
            logger.call_method1("warning", ("%d log lines were lost: nobody took them", lost))?;
        }
        Ok(())
    }
}

/// Takes the lines of this module's crates, once for the process.
pub(crate) fn install() {
    // A second interpreter that imports the module finds it done.
    let _ = set_global_default(Forward);
}

struct Forward;

impl Forward {
    fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("mixfeed") && metadata.is_event()
    }
}

impl Subscriber for Forward {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // How much is wanted may change.
        if Self::wants(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::wants(metadata) && number(*metadata.level()) >= WANTED.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let line = Line { level: number(*event.metadata().level()), text: text.message + &text.fields };
        QUEUE.with_borrow(|queue| {
            // A thread that belongs to neither a stream nor a loader has nobody to tell.
            if let Some(queue) = queue.as_ref().or(OF_LOADERS.get().map(|(of_loaders, _)| of_loaders))
                && queue.lines.try_send(line).is_err()
            {
                queue.lost.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    // Spans tell streams apart, which have queues of their own here.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Python's number of a level.
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => DEBUG,
        _ => DEBUG / 2,
    }
}

/// An event as text: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => self.fields.push_str(&format!(" {name}={value}")),
        }
    }
}
