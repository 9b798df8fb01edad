//! A small fleet to which things happen: its loaders are killed, stopped, continued and brought back.

use crate::{Serving, free_addresses, signal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What may happen to a replica.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Down,
    Up,
    Stopped,
}

/// Four places for loaders, three of them taken at the start.
pub struct Replicas {
    /// All places, taken or not.
    pub addresses: Vec<String>,
    /// How many were killed so far.
    pub kills: u32,
    /// How many were stopped so far.
    pub stops: u32,
    /// Time that starting and stopping took, in which a stream goes on.
    pub acting: Duration,
    binary: PathBuf,
    data: String,
    processes: Vec<Option<Serving>>,
    states: Vec<State>,
}

impl Replicas {
    /// Starts the first three.
    #[must_use]
    pub fn start(binary: &Path, data: &str) -> Self {
        let addresses = free_addresses(4);
        let mut replicas = Self {
            processes: addresses.iter().map(|_| None).collect(),
            states: vec![State::Down; addresses.len()],
            addresses,
            kills: 0,
            stops: 0,
            acting: Duration::ZERO,
            binary: binary.to_owned(),
            data: data.to_owned(),
        };
        (0..3).for_each(|which| replicas.bring_up(which));
        replicas
    }

    fn bring_up(&mut self, which: usize) {
        let flags = ["--data", &self.data, "--workers", "1", "--listen", &self.addresses[which]];
        self.processes[which] = Some(Serving::start(&self.binary, &flags));
        self.states[which] = State::Up;
    }

    /// Does something to one of them. One stays up.
    pub fn disturb(&mut self, which: usize, word: u64) {
        let started = Instant::now();
        let up = self.states.iter().filter(|state| **state == State::Up).count();
        match self.states[which] {
            State::Down => self.bring_up(which),
            State::Stopped => {
                signal(&self.processes[which].as_ref().unwrap().child, "-CONT");
                self.states[which] = State::Up;
            }
            State::Up if up < 2 => {}
            State::Up if word.is_multiple_of(3) => {
                signal(&self.processes[which].as_ref().unwrap().child, "-STOP");
                self.states[which] = State::Stopped;
                self.stops += 1;
            }
            State::Up => {
                // Dropping it is SIGKILL.
                self.processes[which] = None;
                self.states[which] = State::Down;
                self.kills += 1;
            }
        }
        self.acting += started.elapsed();
    }
}
