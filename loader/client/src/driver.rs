//! The task that owns a stream: it brings together what is found, what replicas report, what the
//! scheduler wants and what the consumer takes.
//!
//! Sessions report events, the driver feeds them to the scheduler, and carries out what that asks for.
//! It never waits for a replica, and for the consumer only while it listens to everything else. What a stream needs to be
//! opened is in `opening.rs`, how long it waits in `patience.rs`.

use crate::batch::Batch;
use crate::config::StreamConfig;
use crate::discovery::{self, Resolution};
use crate::error::StreamError;
use crate::failures::FailureLog;
use crate::geometry::Geometry;
use crate::identity::StreamInfo;
use crate::mailbox::Mailbox;
use crate::opening::{self, Opening};
use crate::patience::Patience;
use crate::roster::{Roster, Running};
use crate::scheduler::{Action, Delivered, Distrust, Lost, Micros, ReplicaKey, Scheduler, micros};
use crate::session::{Common, EVENTS, Ending, Event, News, Session};
use crate::stats::Counters;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::Instrument as _;

/// Answers of look-ups that the driver has not read.
const FOUND: usize = 16;

/// The loop looks around this often even when nothing is expected.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Events handled before the consumer is served again.
const EVENTS_AT_ONCE: usize = 32;

pub(crate) type Item = Result<Batch, StreamError>;

pub(crate) struct Driver {
    config: StreamConfig,
    common: Arc<Common>,
    roster: Roster,
    opening: Opening,
    scheduler: Option<Scheduler<Batch>>,
    counters: Arc<Counters>,
    /// Where the result of opening goes; taken once the stream is open.
    reply: Option<oneshot::Sender<Result<StreamInfo, StreamError>>>,
    out: mpsc::Sender<Item>,
    events: mpsc::Receiver<Event>,
    report: mpsc::Sender<Event>,
    found: mpsc::Receiver<Resolution>,
    /// All tasks of the stream; they end with the driver.
    tasks: JoinSet<()>,
    started: Instant,
    sessions: u64,
    failures: FailureLog,
    patience: Patience,
}

impl Driver {
    pub(crate) fn new(
        config: StreamConfig,
        counters: Arc<Counters>,
        out: mpsc::Sender<Item>,
        reply: oneshot::Sender<Result<StreamInfo, StreamError>>,
    ) -> Self {
        let common = Arc::new(Common {
            message: (&config.spec).into(),
            spec_digest: mixfeed_proto::digest_of(&config.spec),
            spec: config.spec,
            run_id: config.run_id.clone(),
            security: config.security.clone(),
            tuning: config.tuning.clone(),
        });
        let (report, events) = mpsc::channel(EVENTS);
        let (found_sender, found) = mpsc::channel(FOUND);
        let mut tasks = JoinSet::new();
        let names =
            discovery::start(&config.loaders, config.tuning.resolve_interval, &mut tasks, &found_sender);
        let mut roster = Roster::new(config.tuning.clone());
        for (position, target) in discovery::fixed(&config.loaders) {
            roster.add(0, position, target);
        }
        Self {
            opening: Opening::new(names, &config),
            roster,
            common,
            scheduler: None,
            counters,
            reply: Some(reply),
            out,
            events,
            report,
            found,
            tasks,
            started: Instant::now(),
            sessions: 0,
            failures: FailureLog::default(),
            patience: Patience::new(config.loader_timeout, config.tuning.idle_timeout),
            config,
        }
    }

    fn now(&self) -> Micros {
        micros_since(self.started)
    }

    /// Runs the stream to its end.
    pub(crate) async fn run(mut self) {
        let interrupt = self.config.interrupt.clone();
        loop {
            self.counters.turns.fetch_add(1, Relaxed);
            self.pass_time();
            self.act();
            if let Some(error) = self.failure() {
                return self.end(error).await;
            }
            if self.scheduler.as_ref().is_some_and(Scheduler::is_finished) {
                self.counters.ended.store(true, Relaxed);
                return;
            }
            let ready = self.scheduler.as_ref().is_some_and(Scheduler::is_ready);
            let wakeup = self.started + Duration::from_micros(self.wakeup());
            tokio::select! {
                Some(event) = self.events.recv() => self.handle_some(event),
                room = async { self.out.reserve().await.is_ok() }, if ready => {
                    if !room || !self.hand_out() {
                        return;
                    }
                }
                Some(found) = self.found.recv() => self.found(found),
                Some(finished) = self.tasks.join_next_with_id() => self.reap(finished),
                () = self.out.closed() => return,
                () = interrupt.interrupted() => return self.end(StreamError::Interrupted).await,
                () = tokio::time::sleep_until(wakeup) => {}
            }
        }
    }

    /// Hands out the next batch, for which there is room. False when the stream ends with it.
    fn hand_out(&mut self) -> bool {
        let now = self.now();
        self.patience.taken(now);
        let (item, last) = match self.scheduler.as_mut().and_then(|scheduler| scheduler.take(now)) {
            Some(Ok((_, batch))) => (Ok(batch), false),
            Some(Err(Lost { index, message, changed: false })) => {
                (Err(StreamError::DataLoss { index, message }), true)
            }
            Some(Err(Lost { index, message, changed: true })) => {
                (Err(StreamError::DataChanged { index, message }), true)
            }
            None => return true,
        };
        self.counters.batches.fetch_add(u64::from(item.is_ok()), Relaxed);
        self.counters.ended.store(last, Relaxed);
        self.out.try_send(item).is_ok() && !last
    }

    /// Starts the sessions that are due and lets the scheduler look at the clock.
    fn pass_time(&mut self) {
        let now = self.now();
        while let Some(key) = self.roster.due(now) {
            self.start_session(key);
        }
        self.opening.decide(now, &mut self.roster);
        if let Some(scheduler) = &mut self.scheduler
            && scheduler.next_wakeup().is_some_and(|at| at <= now)
        {
            scheduler.poll(now);
        }
        if self.roster.serving() == 0 && self.patience.log_is_due(now) {
            let waited_seconds = self.patience.waited(now).as_secs();
            tracing::warn!(waited_seconds, troubles = self.roster.troubles(), "waiting for a loader");
        }
    }

    /// When something must be done though nothing happens.
    fn wakeup(&self) -> Micros {
        let scheduler = self.scheduler.as_ref().and_then(Scheduler::next_wakeup);
        // Each time is one at which something will be done, or the loop would turn without rest.
        let serving = self.roster.serving();
        let patience = self.is_starved().then(|| self.patience.ends_at(serving));
        let waiting = (serving == 0).then(|| self.patience.log_at());
        [self.roster.next_retry(), self.opening.decide_at(), scheduler, patience, waiting]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| self.now().saturating_add(micros(LONGEST_REST)))
    }

    fn start_session(&mut self, replica: ReplicaKey) {
        let idle_timeout = self.roster.idle_timeout(replica);
        let Some(entry) = self.roster.get_mut(replica) else { return };
        self.sessions += 1;
        let number = self.sessions;
        let mailbox = Mailbox::default();
        let session = Session {
            replica,
            number,
            target: entry.position.1.clone(),
            idle_timeout,
            common: self.common.clone(),
            mailbox: mailbox.clone(),
            events: self.report.clone(),
        };
        let task = self.tasks.spawn(session.run().in_current_span());
        entry.running = Some(Running { number, mailbox, task });
    }

    fn handle_some(&mut self, event: Event) {
        self.handle(event);
        for _ in 1..EVENTS_AT_ONCE {
            let Ok(event) = self.events.try_recv() else { break };
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        let Event { replica, session, news } = event;
        let current = self.roster.get(replica).and_then(|entry| entry.running.as_ref());
        if current.is_none_or(|running| running.number != session) {
            return;
        }
        let now = self.now();
        match news {
            News::Described(identity) => self.opening.described(now, replica, *identity, &mut self.roster),
            News::Opened { geometry, window_batches } => self.opened(now, replica, &geometry, window_batches),
            News::Batch { batch, checksum } => {
                let Some(scheduler) = &mut self.scheduler else { return };
                let index = batch.index;
                if scheduler.deliver(now, replica, index, u64::from(checksum), batch) == Delivered::Used {
                    self.patience.delivered(now);
                }
                self.roster.delivered(replica);
            }
            News::Progress(progress) => {
                if self.scheduler.as_mut().is_some_and(|known| known.progress(now, replica, progress)) {
                    self.patience.got_on(now);
                }
            }
            News::Failure { index, kind, message } => {
                if let Some(entry) = self.roster.get_mut(replica) {
                    self.failures.report(now, &entry.position.1, index, &message);
                    entry.trouble.clone_from(&message);
                }
                if let Some(scheduler) = &mut self.scheduler {
                    scheduler.fail(now, replica, index, kind, message);
                }
            }
            News::Ended(ending) => self.ended(now, replica, ending),
        }
    }

    /// A replica's stream is open: it gets work.
    fn opened(&mut self, now: Micros, replica: ReplicaKey, geometry: &Arc<Geometry>, window_batches: u32) {
        let Some(identity) = self.opening.opened(now, replica, geometry, &mut self.roster) else { return };
        if self.roster.get(replica).is_some_and(|entry| !entry.seen) {
            self.counters.replicas_seen.fetch_add(1, Relaxed);
        }
        self.roster.opened(replica, &identity.release, identity.workers);
        self.counters.replicas_serving.store(self.roster.serving() as u64, Relaxed);
        let config = &self.config;
        let scheduler =
            self.scheduler.get_or_insert_with(|| Scheduler::new(opening::bounds(config, geometry)));
        let limit = opening::max_owed(&config.tuning, geometry, identity.max_wanted, window_batches);
        scheduler.join(now, replica, limit);
        self.patience.opened(now, self.roster.serving());
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(Ok(identity.into_info(geometry)));
        }
    }

    fn ended(&mut self, now: Micros, replica: ReplicaKey, ending: Ending) {
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
    fn left(&mut self, now: Micros, replica: ReplicaKey) {
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.leave(now, replica);
        }
        self.counters.replicas_serving.store(self.roster.serving() as u64, Relaxed);
    }

    /// A task ended. Sessions report their end themselves, unless they panicked.
    fn reap(&mut self, finished: Result<(tokio::task::Id, ()), JoinError>) {
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

    fn found(&mut self, found: Resolution) {
        let now = self.now();
        match found.targets {
            Ok(targets) => {
                self.opening.looked_up(found.position, None);
                self.roster.resolved(now, found.position, targets);
            }
            Err(reason) => {
                if self.opening.looked_up(found.position, Some(reason.clone())) {
                    tracing::warn!(reason, "loader name not resolved");
                }
            }
        }
    }

    /// Carries out what the scheduler wants.
    fn act(&mut self) {
        while let Some(action) = self.scheduler.as_mut().and_then(Scheduler::next_action) {
            match action {
                Action::Ask { replica, index } => self.post(replica, |mailbox| mailbox.want(index)),
                Action::Withdraw { replica, index } => self.post(replica, |mailbox| mailbox.withdraw(index)),
                Action::Disputed { index, replicas } => {
                    let name = |key: &ReplicaKey| self.roster.get(*key).map(|e| e.position.1.to_string());
                    let loaders: Vec<_> = replicas.iter().filter_map(name).collect();
                    tracing::error!(index, ?loaders, "loaders disagree on a batch; asking a third");
                }
                Action::Distrust { replica, index, why } => self.distrust(replica, index, why),
            }
        }
        if let Some(scheduler) = &self.scheduler {
            self.counters.publish(&scheduler.tally());
        }
    }

    fn post(&self, replica: ReplicaKey, order: impl FnOnce(&Mailbox)) {
        if let Some(running) = self.roster.get(replica).and_then(|entry| entry.running.as_ref()) {
            order(&running.mailbox);
        }
    }

    fn distrust(&mut self, replica: ReplicaKey, index: u64, why: Distrust) {
        let now = self.now();
        let reason = match why {
            Distrust::Unasked => format!("it sent batch {index}, which it was not asked for"),
            Distrust::Differs => format!("its batch {index} differs from that of other loaders"),
            Distrust::Failing => {
                let trouble = self.roster.get(replica).map_or("", |entry| &entry.trouble);
                format!("it fails to make batches: {trouble}")
            }
        };
        if why != Distrust::Failing {
            self.counters.count_corrupt();
        }
        // Wrong bytes under a right checksum are no accident on the way: that loader computes wrongly.
        self.roster.quarantine(now, replica, reason, why == Distrust::Differs);
        self.left(now, replica);
    }

    /// Whether the consumer could not be given anything, so that the time counts.
    fn is_starved(&self) -> bool {
        self.scheduler.as_ref().is_none_or(|scheduler| !scheduler.is_ready() && !scheduler.is_finished())
    }

    /// Why the stream cannot go on, if so.
    fn failure(&self) -> Option<StreamError> {
        let now = self.now();
        if self.reply.is_some()
            && let Some(error) = self.opening.refusal(&self.roster)
        {
            return Some(error);
        }
        let is_over = self.is_starved() && self.patience.ends_at(self.roster.serving()) <= now;
        is_over.then(|| self.opening.nobody(&self.roster, self.patience.waited(now)))
    }

    async fn end(mut self, error: StreamError) {
        self.counters.ended.store(true, Relaxed);
        match self.reply.take() {
            Some(reply) => {
                let _ = reply.send(Err(error));
            }
            None => {
                let _ = self.out.send(Err(error)).await;
            }
        }
    }
}

fn micros_since(start: Instant) -> Micros {
    micros(start.elapsed())
}
