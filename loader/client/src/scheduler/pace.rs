//! How fast one replica is, learnt from its own deliveries.
//!
//! Three running means: the time between two deliveries while it owes something (its pace), what a
//! first answer takes beyond that (its delay), and how far it strays from what is expected of it.

use super::words::Micros;

/// Weight of a new measurement. Sixteen deliveries are a few milliseconds of a fast replica and
/// smooth over the bursts in which messages arrive.
const WEIGHT: f64 = 1.0 / 16.0;

/// One measurement counts at most this many times the mean, so that a single stall does not make a fast
/// replica look slow, or its lateness look normal, for long. A lasting change still shows: the mean grows
/// by half each time.
const OUTLIER: f64 = 8.0;

/// The same for the deviation, which is itself made of what strays.
const OUTLIER_DEVIATION: f64 = 3.0;

/// Deliveries after which the means are used.
pub(super) const WARM: u32 = 4;

/// A delivery is late when it strays this many mean deviations from what is expected, as in TCP.
const LATE_DEVIATIONS: f64 = 4.0;

/// The least lateness that is acted upon. Below it, asking again costs more than waiting.
const LEAST_LATENESS: f64 = 20_000.0;

/// How long a replica of unknown speed may take before it is late, in times that others take; and as long as
/// nothing is known of others, which is longer than one that is at work says nothing of its progress.
const UNKNOWN_TIMES: f64 = 4.0;
const UNKNOWN_LATENESS: Micros = 1_500_000;

/// A batch of which a share is done is late when it takes this many times what that share tells.
const PROJECTED_TIMES: f64 = 1.25;

#[derive(Clone, Debug)]
pub(super) struct Pace {
    assumed: f64,
    interval: f64,
    delay: f64,
    deviation: f64,
    deliveries: u32,
    /// When it last delivered, or last began to owe something.
    since: Micros,
    /// When it is expected to have delivered all that it owes.
    free_at: Micros,
}

/// What is expected for one index, noted when it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRequest {
    pub(super) at: Micros,
    expected: Micros,
    /// When it is worth asking one who has nothing else to do.
    pub(super) overdue_at: Micros,
    /// When it is worth asking one who has.
    pub(super) late_at: Micros,
    ahead: usize,
    /// Rows of it that are built, as far as the replica has said.
    rows_done: u32,
}

impl PendingRequest {
    /// Notes the rows that are built. True when they are more than before.
    pub(super) fn has_got_on(&mut self, rows_done: u32) -> bool {
        let more = rows_done > self.rows_done;
        self.rows_done = self.rows_done.max(rows_done);
        more
    }

    /// When it is expected.
    pub(super) fn expected_at(&self) -> Micros {
        self.expected
    }

    fn wait_until(&mut self, late_at: Micros) {
        self.late_at = self.late_at.max(late_at);
        self.overdue_at = self.overdue_at.max(late_at);
    }
}

impl Pace {
    /// A replica that is taken to need `assumed` for an answer until it has given one.
    pub(super) fn new(now: Micros, assumed: f64) -> Self {
        Self { assumed, interval: 0.0, delay: 0.0, deviation: 0.0, deliveries: 0, since: now, free_at: now }
    }

    pub(super) fn is_known(&self) -> bool {
        self.deliveries >= WARM
    }

    pub(super) fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// What it takes from one delivery to the next, once that is known; before, what its first answers took.
    pub(super) fn measured(&self) -> Option<Micros> {
        match self.deliveries {
            0 => None,
            1..WARM => Some(self.service()),
            _ => Some(self.interval as Micros),
        }
    }

    /// How long it has let us wait for an answer that was asked for at `asked_at`.
    pub(super) fn waited(&self, now: Micros, asked_at: Micros) -> Micros {
        now.saturating_sub(asked_at.max(self.since))
    }

    /// Microseconds between two deliveries, at least one.
    pub(super) fn interval(&self) -> f64 {
        self.interval.max(1.0)
    }

    /// Microseconds until an idle replica answers.
    pub(super) fn service(&self) -> Micros {
        if self.deliveries == 0 { self.assumed as Micros } else { (self.interval + self.delay) as Micros }
    }

    /// When an index asked for now is expected, with others owed before it. A replica that is overdue
    /// by some time is expected to be so for as long again: stalls have heavy tails.
    pub(super) fn eta(&self, now: Micros) -> Micros {
        let overdue = now.saturating_sub(self.free_at);
        self.free_at.max(now) + overdue + self.service()
    }

    /// Notes that an index is asked for while `ahead` others are owed; `typical` is what all replicas take for
    /// one, 0 while unknown.
    pub(super) fn ask(&mut self, now: Micros, ahead: usize, typical: f64) -> PendingRequest {
        let expected = if ahead == 0 {
            self.since = now;
            now + self.service()
        } else {
            self.free_at.max(now) + self.interval as Micros
        };
        self.free_at = expected;
        let late_at = if self.is_known() {
            expected + (LATE_DEVIATIONS * self.deviation).max(LEAST_LATENESS) as Micros
        } else if typical > 0.0 {
            now + (UNKNOWN_TIMES * typical).max(LEAST_LATENESS) as Micros
        } else {
            now + UNKNOWN_LATENESS
        };
        let overdue_at = late_at.min(expected.max(now + typical as Micros) + LEAST_LATENESS as Micros);
        PendingRequest { at: now, expected, overdue_at, late_at, ahead, rows_done: 0 }
    }

    /// Notes that a share of the first of the indices that are owed is done. As long as nothing else is known, that
    /// tells when they are late.
    pub(super) fn project<'a>(
        &self,
        now: Micros,
        share_done: f64,
        owed: impl Iterator<Item = &'a mut PendingRequest>,
    ) {
        let each = now.saturating_sub(self.since) as f64 / share_done * PROJECTED_TIMES;
        for (asked, count) in owed.zip(1_u32..) {
            asked.wait_until(self.since.saturating_add((each * f64::from(count)) as Micros));
        }
    }

    /// Notes a delivery; `left` are still owed.
    pub(super) fn deliver(&mut self, now: Micros, asked: Option<PendingRequest>, left: usize) {
        let mut gap = now.saturating_sub(self.since) as f64;
        self.since = now;
        let weight = (1.0 / f64::from(self.deliveries + 1)).max(WEIGHT);
        if self.is_known() {
            gap = gap.min(self.interval() * OUTLIER);
        }
        self.interval += weight * (gap - self.interval);
        if let Some(asked) = asked {
            let mut strayed = now.abs_diff(asked.expected) as f64;
            if self.is_known() {
                strayed = strayed.min(OUTLIER_DEVIATION * self.deviation.max(self.interval()));
            }
            if self.deliveries > 0 {
                self.deviation += weight * (strayed - self.deviation);
            }
            let took = now.saturating_sub(asked.at) as f64;
            let mut delay = (took - self.interval * (asked.ahead + 1) as f64).max(0.0);
            if self.is_known() {
                delay = delay.min(OUTLIER * self.delay.max(self.interval()));
            }
            self.delay += weight * (delay - self.delay);
        }
        self.deliveries = self.deliveries.saturating_add(1);
        self.free_at = now + (self.interval * left as f64) as Micros;
    }

    /// Notes that fewer are owed than before, without a delivery.
    pub(super) fn forgive(&mut self, now: Micros, left: usize) {
        self.free_at = now.max(self.since) + (self.interval * left as f64) as Micros;
    }
}

/// How fast the consumer takes batches when it need not wait for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Consumer {
    interval: f64,
    taken: u32,
    last: Micros,
}

impl Consumer {
    /// Notes that a batch was taken that was ready at `ready_at`. When it was not ready at once, the gap says
    /// nothing of a consumer that is slower than the loaders, only that this one may be faster.
    pub(super) fn take(&mut self, now: Micros, ready_at: Micros) {
        let mut gap = now.saturating_sub(self.last) as f64;
        if ready_at > self.last {
            gap = gap.min(self.interval);
        }
        self.last = now;
        if self.taken > 0 {
            let weight = (1.0 / f64::from(self.taken)).max(WEIGHT);
            self.interval += weight * (gap - self.interval);
        }
        self.taken = self.taken.saturating_add(1);
    }

    /// Batches a microsecond.
    pub(super) fn rate(&self) -> f64 {
        1.0 / self.interval.max(0.001)
    }
}
