//! Loader processes that tests start, kill, stop and bring back. The trainer's tests use this file too.

#![allow(dead_code)] // Each test binary uses its part.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A loader process that says it is listening. Dropping it kills it.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) log: BufReader<Box<dyn Read + Send>>,
    pub(crate) address: String,
}

/// Lines that a thread reads, so that whoever waits for one may stop waiting.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    /// The next line that has `text` in it, if it comes in time.
    pub(crate) fn find(&self, text: &str, within: Duration) -> Option<String> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.0.recv_timeout(left).ok()?;
            if line.contains(text) {
                return Some(line);
            }
        }
    }
}

impl Serving {
    /// Starts `binary` and waits until it is ready.
    pub(crate) fn start(binary: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.arg("serve").args(flags);
        Self::of(command)
    }

    /// The same by a command of the caller's.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().unwrap());
        let mut log = BufReader::new(stderr);
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it listened");
        }
        let address = line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().to_string();
        Self { child, log, address }
    }

    /// The rest of its log.
    pub(crate) fn lines(&mut self) -> Lines {
        let log = std::mem::replace(&mut self.log, BufReader::new(Box::new(std::io::empty())));
        let (sender, lines) = channel();
        // It ends with the process, whose log it reads.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Lines(lines)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Addresses at which nobody listens, all different.
pub(crate) fn free_addresses(count: usize) -> Vec<String> {
    // Held together, so that they differ.
    let free: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    free.iter().map(|port| port.local_addr().unwrap().to_string()).collect()
}

/// What may happen to a replica.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Down,
    Up,
    Stopped,
}

/// Four places for loaders, three of them taken at the start.
pub(crate) struct Replicas {
    pub(crate) addresses: Vec<String>,
    /// What was done to them so far.
    pub(crate) kills: u32,
    pub(crate) stops: u32,
    /// Time that starting and stopping took, in which a stream goes on.
    pub(crate) acting: Duration,
    binary: PathBuf,
    data: String,
    processes: Vec<Option<Serving>>,
    states: Vec<State>,
}

impl Replicas {
    pub(crate) fn start(binary: &Path, data: &str) -> Self {
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
    pub(crate) fn disturb(&mut self, which: usize, word: u64) {
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
