//! Replicas that open their stream, and those that go.

use super::Driver;
use crate::geometry::Geometry;
use crate::opening;
use crate::scheduler::{Micros, ReplicaKey, Scheduler};
use crate::session::Ending;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::task::JoinError;

impl Driver {
    /// A replica's stream is open: it gets work.
    pub(super) fn opened(
        &mut self,
        now: Micros,
        replica: ReplicaKey,
        geometry: &Arc<Geometry>,
        window_batches: u32,
        instance: &str,
    ) {
        let opened = self.opening.opened(now, replica, instance, &mut self.roster);
        let (Some(identity), Some(entry)) = (opened, self.roster.get(replica)) else { return };
        let (is_arbiter, loader) = (entry.is_arbiter, entry.position.1.to_string());
        if !entry.seen && !is_arbiter {
            self.counters.replicas_seen.fetch_add(1, Relaxed);
        }
        self.roster.opened(replica, &identity.release, identity.workers);
        self.counters.replicas_serving.store(self.roster.serving() as u64, Relaxed);
        let config = &self.config;
        let scheduler =
            self.scheduler.get_or_insert_with(|| Scheduler::new(opening::bounds(config, geometry)));
        // The first answer is not to pass alone while others are being connected.
        let awaits_more = self.roster.awaits_more();
        if is_arbiter {
            scheduler.join_arbiter(now, replica);
            return scheduler.awaits_more(now, awaits_more);
        }
        let limit = opening::max_owed(&config.tuning, geometry, identity.max_wanted, window_batches);
        let pace = self.config.history.nanoseconds_per_byte(&loader);
        let known = pace.map(|pace| (pace * geometry.batch_bytes() as f64 / 1000.0) as Micros);
        scheduler.join(now, replica, limit, known);
        scheduler.awaits_more(now, awaits_more);
        self.batch_bytes = geometry.batch_bytes();
        self.patience.opened(now, self.roster.serving());
        self.config.history.served();
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(Ok(identity.into_info(geometry)));
        }
    }

    pub(super) fn ended(&mut self, now: Micros, replica: ReplicaKey, ending: Ending) {
        if matches!(ending, Ending::Bad(_)) {
            self.counters.count_corrupt();
        }
        if let Ending::Refused(message) = &ending {
            self.opening.spec_refused(replica, message, &self.roster);
        }
        self.opening.forget(replica);
        self.roster.ended(now, replica, ending);
        self.left(now, replica);
    }

    /// Takes the work of a replica that no longer serves.
    pub(super) fn left(&mut self, now: Micros, replica: ReplicaKey) {
        self.remember(now, replica);
        self.roster.release_twins(now, replica);
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.leave(now, replica);
        }
        self.counters.replicas_serving.store(self.roster.serving() as u64, Relaxed);
    }

    /// A task ended. Sessions report their end themselves, unless they panicked.
    pub(super) fn reap(&mut self, finished: Result<(tokio::task::Id, ()), JoinError>) {
        let Err(error) = finished else { return };
        if !error.is_panic() {
            return;
        }
        let key = self.roster.entries().find_map(|(key, entry)| {
            entry.running.as_ref().is_some_and(|running| running.task.id() == error.id()).then_some(key)
        });
        if let Some(key) = key {
            let now = self.now();
            self.ended(now, key, Ending::Lost(format!("its session failed: {error}")));
        }
    }

    /// Takes into the history what this stream has learnt of a replica.
    fn remember(&mut self, now: Micros, replica: ReplicaKey) {
        let pace = self.scheduler.as_ref().and_then(|scheduler| scheduler.pace(now, replica));
        let each = pace.filter(|_| self.batch_bytes > 0);
        self.roster.remember(replica, each.map(|pace| pace as f64 * 1000.0 / self.batch_bytes as f64));
    }

    pub(super) fn remember_all(&mut self, now: Micros) {
        for replica in self.roster.entries().map(|(key, _)| key).collect::<Vec<_>>() {
            self.remember(now, replica);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let now = self.now();
        self.remember_all(now);
    }
}
