//! A loader process that can be asked what it holds: tasks, descriptors, memory.

use mixfeed_testing::{Serving, free_addresses};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time in which what a client held is given back: a moment, and some for a busy machine.
const SETTLING: Duration = Duration::from_secs(20);

/// Looks while something settles.
const LOOK: Duration = Duration::from_millis(20);

/// In this time a loader gives freed memory back to the system, and its memory is what it needs.
const GIVING_BACK: Duration = Duration::from_millis(2500);

/// What must be given back to the last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) tasks: u64,
    pub(super) descriptors: u64,
}

/// A loader process and its metrics.
pub(super) struct Watched {
    pub(super) serving: Serving,
    metrics: String,
    before: Held,
}

impl Watched {
    /// Starts a loader that may open so many descriptors.
    pub(super) fn start(data: &str, flags: &[&str], descriptors: u32) -> Self {
        let metrics = free_addresses(1).remove(0);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_mixfeed-loader"));
        command.args(["serve", "--data", data, "--listen", "127.0.0.1:0", "--metrics", &metrics]).args(flags);
        let mut serving = Serving::of(command);
        // Read on, so that the loader never waits for room to log in.
        drop(serving.lines());
        let before = Held { tasks: 0, descriptors: 0 };
        let mut watched = Self { serving, metrics, before };
        // It says that it listens a moment before it has the task that accepts.
        while watched.held().tasks == 0 {
            std::thread::sleep(LOOK);
        }
        watched.before = watched.held();
        // The connection that asked may still be closing.
        for _ in 0..20 {
            std::thread::sleep(LOOK);
            watched.before.descriptors = watched.before.descriptors.min(watched.descriptors());
        }
        watched
    }

    /// The value of a metric, 0 where there is none.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
    }

    pub(super) fn descriptors(&self) -> u64 {
        std::fs::read_dir(format!("/proc/{}/fd", self.serving.child.id())).unwrap().count() as u64
    }

    fn held(&self) -> Held {
        // The connection of the metrics is closed when its answer is complete, and its descriptor a moment later.
        let tasks = self.metric("mixfeed_loader_tasks");
        Held { tasks, descriptors: (0..3).map(|_| self.descriptors()).min().unwrap() }
    }

    /// Waits until it holds exactly what it held before anybody came.
    pub(super) fn is_as_before(&self) {
        let deadline = Instant::now() + SETTLING;
        loop {
            let now = self.held();
            if now == self.before {
                return;
            }
            assert!(Instant::now() < deadline, "{now:?}, and before {:?}", self.before);
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until it has so many descriptors more than at the start.
    pub(super) fn has_more_descriptors(&self, more: usize) {
        let deadline = Instant::now() + SETTLING;
        while self.descriptors() < self.before.descriptors + more as u64 {
            assert!(Instant::now() < deadline, "{} descriptors, not {more} more", self.descriptors());
            std::thread::sleep(LOOK);
        }
    }

    /// Bytes of memory that are resident.
    pub(super) fn resident(&self) -> u64 {
        self.kib("smaps_rollup", "Rss:") << 10
    }

    /// The same once what was freed is given back.
    pub(super) fn resident_at_rest(&self) -> u64 {
        let deadline = Instant::now() + GIVING_BACK;
        let mut min = u64::MAX;
        while Instant::now() < deadline {
            min = min.min(self.resident());
            std::thread::sleep(LOOK);
        }
        min
    }

    /// Bytes of memory that were resident at most.
    pub(super) fn most_resident(&self) -> u64 {
        self.kib("status", "VmHWM:") << 10
    }

    fn kib(&self, file: &str, what: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.serving.child.id())).unwrap();
        let rest = text.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }
}
