//! The wish to end early, from a signal to the training loop.
//!
//! The loop looks between steps and while it waits for a batch, so a step is never torn and no wait
//! outlasts the wish; a checkpoint is written, and the process ends with the signal's code.

use mixfeed_ops::signals::{self, Signal};
use std::sync::Arc;
use tokio::sync::watch;

/// A wish that is made once, by the first signal.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<Signal>>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// A wish that SIGINT and SIGTERM make; the second signal ends the process at once.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Stop::default();
        let wish = stop.clone();
        signals::on_first(move |signal| wish.request(signal))?;
        Ok(stop)
    }

    /// Asks for the end. Only the first wish counts.
    pub fn request(&self, signal: Signal) {
        self.0.send_if_modified(|wish| {
            let first = wish.is_none();
            wish.get_or_insert(signal);
            first
        });
    }

    /// The signal that asked for the end, if one did.
    #[must_use]
    pub fn requested(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Waits until the end is asked for. Cancel safe.
    ///
    /// # Panics
    /// Never: the sender is held by `self`.
    pub async fn wait(&self) -> Signal {
        let mut wishes = self.0.subscribe();
        let wish = wishes.wait_for(Option::is_some).await.expect("the sender lives as long as this");
        wish.expect("waited for one")
    }
}
