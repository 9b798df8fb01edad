//! A fleet of loaders, a network and a trainer, in simulated time: what the scheduler does at a scale
//! that no test with sockets reaches.
//!
//! Everything is drawn from a seed, so that a failure can be replayed. The machines here have worker
//! threads, a queue, latencies with a heavy tail, a distance, and a fate: they are killed, stopped, slowed
//! down and started again.

mod liars;
mod setting;
mod tests;

use super::*;
use crate::audit::AuditKey;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

pub(super) use setting::{Draw, Kind, MILLI, Report, SECOND, Setting};

struct Machine {
    kind: Kind,
    generation: u64,
    up: bool,
    stopped: bool,
    slow: u64,
    queue: VecDeque<u64>,
    busy: usize,
    /// Batches that a stopped machine had in hand.
    held: Vec<u64>,
    last_heard: Micros,
    banned: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Happening {
    Request { machine: u32, generation: u64, index: u64, wanted: bool },
    Made { machine: u32, generation: u64, index: u64 },
    Arrived { machine: u32, generation: u64, index: u64 },
    Silence { machine: u32, generation: u64 },
    Join { machine: u32 },
    Recover { machine: u32 },
    Fate,
    Step,
    Tick,
}

pub(super) struct World {
    setting: Setting,
    now: Micros,
    draw: Draw,
    agenda: BinaryHeap<Reverse<(Micros, u64, Happening)>>,
    sequence: u64,
    machines: Vec<Machine>,
    pub(super) scheduler: Scheduler<u64>,
    expected: u64,
    trainer_free_at: Micros,
    waiting_since: Option<Micros>,
    waits: BTreeMap<Micros, u64>,
    tick_at: Micros,
    ideal: f64,
    ideal_since: Micros,
    report: Report,
}

/// What marks a batch that was made wrong.
const WRONG: u64 = 1 << 63;

/// The content of a batch, which every sound machine agrees on.
fn content(index: u64) -> u64 {
    Draw(index).next()
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let scheduler = Scheduler::new(Bounds {
            start: 0,
            end: setting.batches,
            window: setting.window,
            hedge: setting.hedge,
            audit_every: setting.audit_every,
            audit_key: AuditKey(setting.seed),
            changed_for: 30 * SECOND,
        });
        let machines = setting.kinds.iter().map(|kind| Machine {
            kind: *kind,
            generation: 0,
            up: false,
            stopped: false,
            slow: 1,
            queue: VecDeque::new(),
            busy: 0,
            held: Vec::new(),
            last_heard: 0,
            banned: false,
        });
        let mut world = Self {
            now: 0,
            draw: Draw(setting.seed),
            agenda: BinaryHeap::new(),
            sequence: 0,
            machines: machines.collect(),
            scheduler,
            expected: 0,
            trainer_free_at: 0,
            waiting_since: Some(0),
            waits: BTreeMap::new(),
            tick_at: Micros::MAX,
            ideal: 0.0,
            ideal_since: 0,
            report: Report::default(),
            setting,
        };
        for machine in 0..world.machines.len() as u32 {
            let at = world.draw.below(100 * MILLI);
            world.plan(at, Happening::Join { machine });
        }
        if world.setting.fate_every > 0 {
            world.plan(world.setting.fate_every, Happening::Fate);
        }
        world
    }

    fn plan(&mut self, after: Micros, happening: Happening) {
        self.sequence += 1;
        self.agenda.push(Reverse((self.now + after, self.sequence, happening)));
    }

    /// Runs to the end, which must come within the simulated time `limit`.
    pub(super) fn run(&mut self, limit: Micros) -> Report {
        while !self.scheduler.is_finished() {
            let Some(Reverse((at, _, happening))) = self.agenda.pop() else {
                panic!("seed {}: nothing happens any more, batch {} is due", self.setting.seed, self.expected)
            };
            self.now = at;
            assert!(
                at < limit,
                "seed {}: batch {} is still due: {:?}, {:?}",
                self.setting.seed,
                self.expected,
                self.scheduler.slots.front(),
                self.scheduler.fleet
            );
            self.happen(happening);
            self.act();
            self.take();
            self.act();
            self.report.most_slots = self.report.most_slots.max(self.scheduler.slots.len());
            if let Some(wakeup) = self.scheduler.next_wakeup()
                && wakeup < self.tick_at
            {
                self.tick_at = wakeup.max(self.now);
                self.plan(self.tick_at - self.now, Happening::Tick);
            }
        }
        self.measure_ideal();
        let mut report = std::mem::take(&mut self.report);
        report.seconds = self.now as f64 / SECOND as f64;
        report.rate = self.expected as f64 / report.seconds;
        report.ideal_rate = self.ideal / report.seconds;
        report.waited /= self.now as f64;
        report.tally = self.scheduler.tally();
        let total: u64 = self.waits.values().sum();
        let mut below = 0;
        for (wait, count) in &self.waits {
            below += count;
            report.wait_p99 = *wait;
            if below * 100 >= total * 99 {
                break;
            }
        }
        report
    }

    /// Adds up what the machines could have made until now.
    fn measure_ideal(&mut self) {
        let time = (self.now - self.ideal_since) as f64;
        self.ideal_since = self.now;
        for machine in self.machines.iter().filter(|machine| machine.up && !machine.stopped) {
            self.ideal += time * machine.kind.workers as f64 / (machine.kind.service * machine.slow) as f64;
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request { machine, generation, index, wanted } => {
                let known = &mut self.machines[machine as usize];
                if known.generation != generation || !known.up {
                    return;
                }
                if wanted {
                    known.queue.push_back(index);
                } else {
                    known.queue.retain(|queued| *queued != index);
                }
                self.work(machine);
            }
            Happening::Made { machine, generation, index } => {
                let known = &mut self.machines[machine as usize];
                if known.generation != generation || !known.up {
                    return;
                }
                if known.stopped {
                    known.held.push(index);
                    return;
                }
                known.busy -= 1;
                self.report.made += 1;
                let half = known.kind.round_trip / 2;
                self.plan(half, Happening::Arrived { machine, generation, index });
                self.work(machine);
            }
            Happening::Arrived { machine, generation, index } => {
                let known = &mut self.machines[machine as usize];
                if known.generation == generation {
                    known.last_heard = self.now;
                    // Which batches it makes wrong, and how, is its own affair.
                    let mut own = Draw(index ^ (u64::from(machine) + 1) << 40);
                    let wrong = own.below(1000) < known.kind.lies;
                    let content = content(index) ^ if wrong { own.next() | 1 } else { 0 };
                    let payload = if wrong { WRONG | index } else { index };
                    let replica = ReplicaKey(machine);
                    self.scheduler.deliver(self.now, replica, index, content.into(), payload);
                }
            }
            Happening::Silence { machine, generation } => {
                let known = &self.machines[machine as usize];
                if known.generation == generation && known.stopped {
                    self.lose(machine);
                }
            }
            Happening::Join { machine } => self.join(machine),
            Happening::Recover { machine } => self.recover(machine),
            Happening::Fate => self.strike(),
            Happening::Step => {}
            Happening::Tick => {
                self.tick_at = Micros::MAX;
                self.scheduler.poll(self.now);
            }
        }
    }

    fn work(&mut self, number: u32) {
        loop {
            let machine = &mut self.machines[number as usize];
            if machine.stopped || machine.busy >= machine.kind.workers {
                return;
            }
            let Some(index) = machine.queue.pop_front() else { return };
            machine.busy += 1;
            let (kind, slow, generation) = (machine.kind, machine.slow, machine.generation);
            let mut factor = 0.8 + 0.4 * self.draw.uniform();
            if kind.tail > 0.0 && self.draw.below(100) == 0 {
                factor *= (1.0 - self.draw.uniform()).powf(-1.0 / kind.tail).min(200.0);
            }
            let time = ((kind.service * slow) as f64 * factor) as Micros;
            self.plan(time.max(1), Happening::Made { machine: number, generation, index });
        }
    }

    fn join(&mut self, number: u32) {
        self.measure_ideal();
        let now = self.now;
        let machine = &mut self.machines[number as usize];
        if machine.up || machine.banned {
            return;
        }
        machine.up = true;
        machine.last_heard = now;
        let limit = machine.kind.limit;
        let known = self.setting.known.then_some(machine.kind.service);
        self.scheduler.join(now, ReplicaKey(number), limit, known);
    }

    /// The client gives up the machine's connection.
    fn lose(&mut self, number: u32) {
        self.measure_ideal();
        let machine = &mut self.machines[number as usize];
        machine.generation += 1;
        machine.up = false;
        machine.queue.clear();
        machine.held.clear();
        machine.busy = 0;
        self.scheduler.leave(self.now, ReplicaKey(number));
    }

    fn strike(&mut self) {
        let number = self.draw.below(self.machines.len() as u64) as u32;
        self.measure_ideal();
        let (up, stopped) = {
            let machine = &self.machines[number as usize];
            (machine.up, machine.stopped)
        };
        let back = self.draw.below(8 * SECOND);
        match self.draw.below(3) {
            0 if up => {
                self.lose(number);
                self.machines[number as usize].stopped = false;
                self.plan(back + 100 * MILLI, Happening::Join { machine: number });
            }
            1 if up && !stopped => {
                let generation = self.machines[number as usize].generation;
                self.machines[number as usize].stopped = true;
                if self.scheduler.fleet.owes(ReplicaKey(number)) > 0 {
                    self.plan(self.setting.idle_timeout, Happening::Silence { machine: number, generation });
                }
                self.plan(back.max(self.setting.idle_timeout + 1), Happening::Recover { machine: number });
            }
            2 if up => {
                self.machines[number as usize].slow = 1 + self.draw.below(20);
                self.plan(back, Happening::Recover { machine: number });
            }
            _ => {}
        }
        let next = self.draw.below(2 * self.setting.fate_every).max(1);
        self.plan(next, Happening::Fate);
    }

    fn recover(&mut self, number: u32) {
        self.measure_ideal();
        let machine = &mut self.machines[number as usize];
        machine.slow = 1;
        machine.stopped = false;
        let held = std::mem::take(&mut machine.held);
        let (generation, up) = (machine.generation, machine.up);
        for index in held {
            self.plan(1, Happening::Made { machine: number, generation, index });
        }
        if up {
            self.work(number);
        } else {
            self.plan(1, Happening::Join { machine: number });
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.scheduler.next_action() {
            let (replica, index, wanted) = match action {
                Action::Ask { replica, index } => (replica, index, true),
                Action::Withdraw { replica, index } => (replica, index, false),
                Action::Distrust { replica, why: Distrust::Differs, .. } => {
                    self.convict(replica.0);
                    continue;
                }
                Action::Disputed { .. } | Action::Undecided { .. } if self.has_liars() => continue,
                Action::Distrust { .. } | Action::Disputed { .. } | Action::Undecided { .. } => {
                    panic!("seed {}: {action:?} among sound machines", self.setting.seed)
                }
            };
            let machine = &mut self.machines[replica.0 as usize];
            let (generation, half) = (machine.generation, machine.kind.round_trip / 2);
            let stopped = machine.stopped;
            self.plan(half, Happening::Request { machine: replica.0, generation, index, wanted });
            if stopped && wanted {
                let after = self.setting.idle_timeout;
                self.plan(after, Happening::Silence { machine: replica.0, generation });
            }
        }
    }

    fn take(&mut self) {
        while self.now >= self.trainer_free_at {
            let waiting_since = *self.waiting_since.get_or_insert(self.trainer_free_at);
            let Some(taken) = self.scheduler.take(self.now) else { return };
            let Taken { index, payload, unconfirmed } = taken.expect("sound machines lose nothing");
            assert_eq!(
                (index, payload & !WRONG),
                (self.expected, self.expected),
                "seed {}",
                self.setting.seed
            );
            if payload & WRONG != 0 {
                self.report.wrong += 1;
                self.report.wrong_though_confirmed += u64::from(unconfirmed.is_none());
            }
            self.expected += 1;
            // Rounded to two digits, so that few numbers stand for a million waits.
            let wait = self.now - waiting_since;
            self.report.longest_wait = self.report.longest_wait.max(wait);
            self.report.waited += wait as f64;
            let grain = 10_u64.pow(wait.checked_ilog10().unwrap_or(0).saturating_sub(1));
            *self.waits.entry(wait / grain * grain).or_default() += 1;
            self.waiting_since = None;
            self.trainer_free_at = self.now + self.setting.step;
            if self.setting.step > 0 {
                self.plan(self.setting.step, Happening::Step);
            }
        }
    }
}
