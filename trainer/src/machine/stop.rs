//! The wish to end early, or to save, from a signal or another process to the training loop.
//!
//! The loop looks between steps and while it waits for a batch, so a step is never torn and no wait
//! outlasts the wish; a checkpoint is written, and the process ends: after a signal at once and with the
//! signal's code, after `mixfeed-trainer stop` with an evaluation and with success. After SIGUSR1 and
//! SIGUSR2 a checkpoint is written and training continues.

use mixfeed_ops::signals::{self, Signal};
use std::sync::Arc;
use tokio::sync::watch;

/// Who asked for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// A signal.
    Signal(Signal),
    /// `mixfeed-trainer stop`, or whoever else calls the service.
    Call,
}

impl From<Signal> for StopCause {
    fn from(signal: Signal) -> Self {
        StopCause::Signal(signal)
    }
}

impl std::fmt::Display for StopCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StopCause::Signal(_) => "by a signal",
            StopCause::Call => "as asked for",
        })
    }
}

/// A wish that is made once; a signal overrides a call, which leaves time for an evaluation.
#[derive(Clone, Debug)]
pub struct Stop {
    wish: Arc<watch::Sender<Option<StopCause>>>,
    save: Arc<watch::Sender<bool>>,
    signals_only: bool,
}

impl Default for Stop {
    fn default() -> Self {
        Stop {
            wish: Arc::new(watch::Sender::new(None)),
            save: Arc::new(watch::Sender::new(false)),
            signals_only: false,
        }
    }
}

impl Stop {
    /// A wish that SIGINT, SIGTERM and SIGHUP make; a second SIGINT or SIGTERM ends the process at once.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Stop::default();
        let (wish, save) = (stop.clone(), stop.clone());
        signals::on_first(move |signal| wish.request(signal), move || save.request_save())?;
        Ok(stop)
    }

    /// The same wish for a part of the work that a call does not cut short.
    #[must_use]
    pub fn of_signals_only(&self) -> Self {
        Stop { signals_only: true, ..self.clone() }
    }

    /// Asks for the end. The first wish counts, or the first signal.
    pub fn request(&self, asked: impl Into<StopCause>) {
        let asked = asked.into();
        self.wish.send_if_modified(|wish| {
            let counts = match wish {
                None => true,
                Some(StopCause::Call) => asked != StopCause::Call,
                Some(StopCause::Signal(_)) => false,
            };
            if counts {
                *wish = Some(asked);
            }
            counts
        });
    }

    /// Asks for a checkpoint.
    pub fn request_save(&self) {
        self.save.send_replace(true);
    }

    /// Whether a checkpoint was asked for since this was called last.
    #[must_use]
    pub fn take_save(&self) -> bool {
        self.save.send_replace(false)
    }

    /// Waits until a checkpoint is asked for. Cancel safe.
    ///
    /// # Panics
    /// Never: the sender is held by `self`.
    pub async fn wait_save(&self) {
        let mut wishes = self.save.subscribe();
        wishes.wait_for(|wish| *wish).await.expect("the sender lives as long as this");
    }

    /// Who asked for the end, if anyone did.
    #[must_use]
    pub fn requested(&self) -> Option<StopCause> {
        self.wish.borrow().filter(|asked| self.heeds(*asked))
    }

    /// Waits until the end is asked for. Cancel safe.
    ///
    /// # Panics
    /// Never: the sender is held by `self`.
    pub async fn wait(&self) -> StopCause {
        let mut wishes = self.wish.subscribe();
        let heard = wishes.wait_for(|wish| wish.is_some_and(|asked| self.heeds(asked)));
        let wish = *heard.await.expect("the sender lives as long as this");
        wish.expect("waited for one")
    }

    fn heeds(&self, asked: StopCause) -> bool {
        !self.signals_only || asked != StopCause::Call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_overrides_a_call_and_nothing_overrides_a_signal() {
        let stop = Stop::default();
        assert_eq!(stop.requested(), None);
        stop.request(StopCause::Call);
        assert_eq!(stop.requested(), Some(StopCause::Call));
        let patient = stop.of_signals_only();
        assert_eq!(patient.requested(), None, "a call does not cut this short");
        stop.request(Signal::Terminate);
        stop.request(Signal::Interrupt);
        stop.request(StopCause::Call);
        for stop in [stop, patient] {
            assert_eq!(stop.requested(), Some(StopCause::Signal(Signal::Terminate)));
        }
    }

    #[test]
    fn a_wish_to_save_is_met_once_and_ends_nothing() {
        let stop = Stop::default();
        assert!(!stop.take_save());
        stop.request_save();
        stop.request_save();
        assert_eq!(stop.requested(), None);
        assert!(stop.of_signals_only().take_save());
        assert!(!stop.take_save());
    }
}
