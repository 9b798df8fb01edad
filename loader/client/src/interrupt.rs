//! Ending a stream from outside while its reader waits.

use std::sync::Arc;
use tokio::sync::watch;

/// Ends the streams that were given a clone of it. The reader of such a stream gets
/// [`StreamError::Interrupted`](crate::StreamError::Interrupted), in `open` too, however long it would wait
/// for a loader otherwise.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<watch::Sender<bool>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Interrupt {
    /// Ends the streams, now and for good. Safe to call from any thread, and more than once.
    pub fn interrupt(&self) {
        self.0.send_replace(true);
    }

    /// Completes once it was interrupted. Cancel safe.
    pub(crate) async fn interrupted(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|interrupted| *interrupted).await;
    }
}
