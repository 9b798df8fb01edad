//! What a stream holds of the loader for as long as it is open.

use super::admission::Window;
use crate::metrics::LoaderMetrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a stream holds of the loader. It is given back when both are gone: the session, and the
/// queue of finished batches that its client has not read.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) window: Window,
    _open: OpenStream,
}

impl Lease {
    /// That of a stream which is being opened.
    pub(super) fn new(window: Window, open: &Arc<AtomicU32>, metrics: &Arc<LoaderMetrics>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        metrics.streams.increment(1.0);
        let open = OpenStream { open: Arc::clone(open), metrics: Arc::clone(metrics) };
        Self { window, _open: open }
    }

    #[cfg(test)]
    pub(super) fn of(window: Window) -> Self {
        Self::new(window, &Arc::default(), &Arc::default())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        mixfeed_ops::memory::note_freed();
    }
}

/// Counts a stream for as long as it is open.
#[derive(Debug)]
struct OpenStream {
    open: Arc<AtomicU32>,
    metrics: Arc<LoaderMetrics>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.metrics.streams.decrement(1.0);
    }
}
