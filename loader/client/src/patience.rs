//! How long a stream waits for its loaders, and when it is given up.
//!
//! While any loader delivers, a stream never fails. The time counts from the last batch that was
//! delivered or taken.

use crate::driver::{Driver, micros};
use crate::error::StreamError;
use crate::scheduler::Micros;
use std::time::Duration;

/// A stream whose loaders are connected but deliver nothing is given up after this many idle timeouts at the
/// earliest, so that each of them can be found silent and be replaced first.
const STUCK_IDLE_TIMEOUTS: u32 = 20;

/// A loader that comes back just before the time is up has its chance; but only so many in a row that deliver
/// nothing.
const MOST_OPENED_IN_VAIN: u32 = 10;

impl Driver {
    /// How long the stream has got nowhere.
    pub(crate) fn waited(&self, now: Micros) -> Duration {
        Duration::from_micros(now.saturating_sub(self.progress_at))
    }

    /// Whether the consumer could not be given anything, so that the time counts.
    pub(crate) fn is_starved(&self) -> bool {
        self.scheduler.as_ref().is_none_or(|scheduler| !scheduler.is_ready() && !scheduler.is_finished())
    }

    /// A stream was opened: it has time to deliver, even when the stream was about to be given up.
    pub(crate) fn grant_time(&mut self, now: Micros) {
        if self.opened_in_vain < MOST_OPENED_IN_VAIN {
            self.opened_in_vain += 1;
            let chance = micros(self.config.tuning.idle_timeout * STUCK_IDLE_TIMEOUTS);
            let latest = now.saturating_sub(micros(self.patience()).saturating_sub(chance));
            self.progress_at = self.progress_at.max(latest);
        }
    }

    /// How long it may get nowhere.
    pub(crate) fn patience(&self) -> Duration {
        let timeout = self.config.loader_timeout;
        if self.roster.serving() == 0 {
            timeout
        } else {
            timeout.max(self.config.tuning.idle_timeout * STUCK_IDLE_TIMEOUTS)
        }
    }

    /// Why the stream cannot go on, if so.
    pub(crate) fn failure(&self) -> Option<StreamError> {
        let now = self.now();
        if self.reply.is_some()
            && let Some(error) = self.opening.refusal(&self.roster)
        {
            return Some(error);
        }
        let waited = self.waited(now);
        (self.is_starved() && waited >= self.patience()).then(|| self.opening.nobody(&self.roster, waited))
    }
}
