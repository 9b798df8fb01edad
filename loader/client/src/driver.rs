//! The task that owns a stream: it brings together what is found, what replicas report, what the
//! scheduler wants and what the consumer takes.
//!
//! Sessions report events, the driver feeds them to the scheduler, and carries out what that asks for.
//! It never waits for a replica, and for the consumer only while it listens to everything else. What a stream needs to be
//! opened is in `opening.rs`, how long it waits in `patience.rs`.

mod clock;
mod replicas;
mod verdicts;

use crate::batch::Batch;
use crate::config::StreamConfig;
use crate::discovery::{self, Resolution};
use crate::error::StreamError;
use crate::failures::FailureLog;
use crate::identity::StreamInfo;
use crate::mailbox::Mailbox;
use crate::opening::Opening;
use crate::patience::Patience;
use crate::roster::{Roster, Running};
use crate::scheduler::{Delivered, Lost, Micros, ReplicaKey, Scheduler, Taken};
use crate::security::Security;
use crate::session::{Common, EVENTS, Event, News, Session};
use crate::stats::Counters;
use clock::Clock;
use mixfeed_streamspec::Split;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::Instrument as _;

/// Answers of look-ups that the driver has not read.
const FOUND: usize = 16;

/// Events handled before the consumer is served again.
const EVENTS_AT_ONCE: usize = 32;

/// What is learnt of replicas is taken into the history this often, so that little is lost with a process that is killed.
const REMEMBER_EVERY: Micros = 1_000_000;

pub(crate) type Item = Result<Batch, StreamError>;

pub(crate) struct Driver {
    config: StreamConfig,
    common: Arc<Common>,
    /// The same for the arbiter, which is of this machine.
    common_of_arbiter: Arc<Common>,
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
    clock: Clock,
    sessions: u64,
    failures: FailureLog,
    patience: Patience,
    /// What there was to say of contradictions, in lines.
    contradictions: u64,
    /// When what was learnt of the replicas is taken into the history next.
    remember_at: Micros,
    /// Bytes of the largest batch, once the stream is open.
    batch_bytes: u64,
    /// Why the stream must end, though it could go on.
    verdict: Option<StreamError>,
}

impl Driver {
    pub(crate) fn new(
        config: StreamConfig,
        counters: Arc<Counters>,
        out: mpsc::Sender<Item>,
        reply: oneshot::Sender<Result<StreamInfo, StreamError>>,
    ) -> Self {
        let common = |security: &Security| {
            Arc::new(Common {
                message: (&config.spec).into(),
                spec_digest: mixfeed_proto::digest_of(&config.spec),
                spec: config.spec,
                run_id: config.run_id.clone(),
                security: security.clone(),
                tuning: config.tuning.clone(),
            })
        };
        let (common, common_of_arbiter) = (common(&config.security), common(&Security::default()));
        let (report, events) = mpsc::channel(EVENTS);
        let (found_sender, found) = mpsc::channel(FOUND);
        let mut tasks = JoinSet::new();
        let names =
            discovery::start(&config.loaders, config.tuning.resolve_interval, &mut tasks, &found_sender);
        let mut roster = Roster::new(config.tuning.clone(), config.history.clone())
            .with_token_in_clear(config.security.sends_token_in_clear());
        for (position, target) in discovery::fixed(&config.loaders) {
            roster.add(0, position, target);
        }
        for (_, target) in discovery::fixed(config.arbiter.as_slice()) {
            roster.add_arbiter(0, config.loaders.len(), &target);
        }
        Self {
            opening: Opening::new(names, &config),
            roster,
            common,
            common_of_arbiter,
            scheduler: None,
            counters,
            reply: Some(reply),
            out,
            events,
            report,
            found,
            tasks,
            clock: Clock::default(),
            sessions: 0,
            failures: FailureLog::default(),
            patience: Patience::new(config.loader_timeout, config.tuning.idle_timeout),
            contradictions: 0,
            remember_at: REMEMBER_EVERY,
            batch_bytes: 0,
            verdict: None,
            config,
        }
    }

    fn now(&self) -> Micros {
        self.clock.now()
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
            let wakeup = self.clock.at(self.wakeup());
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
            Some(Ok(Taken { index, payload, unconfirmed })) => {
                if self.common.spec.split == Split::Train
                    && let Some(entry) = unconfirmed.and_then(|replica| self.roster.get_mut(replica))
                {
                    entry.unconfirmed.count(index);
                }
                (Ok(payload), false)
            }
            Some(Err(Lost { index, message, changed, found_by })) => {
                let loaders = self.names(&found_by);
                let error = match changed {
                    false => StreamError::DataLoss { index, message, loaders },
                    true => StreamError::DataChanged { index, message, loaders },
                };
                (Err(error), true)
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
        self.roster.hurry(now);
        if now >= self.remember_at {
            self.remember_at = now + REMEMBER_EVERY;
            self.remember_all(now);
        }
        while let Some(key) = self.roster.due(now) {
            self.start_session(key);
        }
        self.opening.decide(now, &mut self.roster);
        if let Some(scheduler) = &mut self.scheduler
            && scheduler.is_head_held()
        {
            scheduler.awaits_more(now, self.roster.awaits_more());
        }
        if let Some(scheduler) = &mut self.scheduler
            && scheduler.next_wakeup().is_some_and(|at| at <= now)
        {
            scheduler.poll(now);
        }
        if self.is_waiting() && self.patience.log_is_due(now) {
            let waited_seconds = self.patience.waited(now).as_secs();
            let what = if self.roster.serving() == 0 { "loader" } else { "batch" };
            tracing::warn!(waited_seconds, troubles = self.roster.troubles(), "waiting for a {what}");
        }
    }

    /// When something must be done though nothing happens.
    fn wakeup(&self) -> Micros {
        let scheduler = self.scheduler.as_ref().and_then(Scheduler::next_wakeup);
        // Each time is one at which something will be done, or the loop would turn without rest.
        let serving = self.roster.serving();
        let patience = self.is_starved().then(|| self.patience.ends_at(serving));
        let waiting = self.is_waiting().then(|| self.patience.log_at());
        [self.roster.next_retry(), self.opening.decide_at(), scheduler, patience, waiting]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Micros::MAX)
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
            common: if entry.is_arbiter { &self.common_of_arbiter } else { &self.common }.clone(),
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
            News::Opened { geometry, window_batches, instance } => {
                self.opened(now, replica, &geometry, window_batches, &instance);
            }
            News::Batch { batch, checksum } => {
                let Some(scheduler) = &mut self.scheduler else { return };
                let index = batch.index;
                let checksum = if scheduler.audits(index) {
                    u128::from_le_bytes(*batch.digest().first_chunk().expect("32 bytes"))
                } else {
                    u128::from(checksum)
                };
                if scheduler.deliver(now, replica, index, checksum, batch) == Delivered::Used {
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

    /// Whether the consumer could not be given anything, so that the time counts.
    fn is_starved(&self) -> bool {
        self.scheduler.as_ref().is_none_or(|scheduler| !scheduler.is_ready() && !scheduler.is_finished())
    }

    /// Whether it gets nowhere for want of loaders, or of what they owe.
    fn is_waiting(&self) -> bool {
        self.roster.serving() == 0 || self.is_starved()
    }

    /// Why the stream cannot go on, if so.
    fn failure(&self) -> Option<StreamError> {
        if self.verdict.is_some() {
            return self.verdict.clone();
        }
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
