//! Loader processes that tests and project tasks start, and that tests kill, stop and bring back.
//!
//! What is deliberately not here: which binary is started and what it is given, and what a test may need beside
//! processes (`mixfeed_ops::testing`).

// A process that cannot be started, signalled or ended has failed its test; tests may start threads.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::disallowed_methods)]

mod replicas;

pub use replicas::Replicas;

use std::io::{self, BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Reads a loader's log until it listens: its address, what it said until then, and the rest of its log.
///
/// # Errors
/// When it ends before that; with all that it said.
pub fn listening(stderr: ChildStderr) -> io::Result<(String, String, BufReader<ChildStderr>)> {
    let (mut log, mut said) = (BufReader::new(stderr), String::new());
    loop {
        let before = said.len();
        if log.read_line(&mut said)? == 0 {
            return Err(io::Error::other(format!("it ended before it listened: {}", said.trim_end())));
        }
        if let Some(address) = address(&said[before..]) {
            return Ok((address.to_owned(), said, log));
        }
    }
}

/// Reads the address in "... listening address=127.0.0.1:40123 ...".
fn address(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" listening ")?;
    rest.split_whitespace().find_map(|field| field.strip_prefix("address="))
}

/// A loader process that says it is listening. Dropping it kills it.
pub struct Serving {
    /// The process.
    pub child: Child,
    /// The rest of its log.
    pub log: BufReader<Box<dyn Read + Send>>,
    /// Where it listens.
    pub address: String,
}

impl Serving {
    /// Starts `binary` and waits until it is ready.
    #[must_use]
    pub fn start(binary: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.arg("serve").args(flags);
        Self::of(command)
    }

    /// The same by a command of the caller's.
    #[must_use]
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (address, _, log) = listening(child.stderr.take().unwrap()).unwrap();
        Self { child, log: BufReader::new(Box::new(log)), address }
    }

    /// The rest of its log, read by a thread, so that the loader never waits for room to log in.
    pub fn lines(&mut self) -> Lines {
        let log = std::mem::replace(&mut self.log, BufReader::new(Box::new(io::empty())));
        let (sender, lines) = channel();
        // It ends with the process, whose log it reads.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Lines(lines)
    }

    /// SIGKILL: the process is gone at once, and says nothing to anybody.
    pub fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the loader has ended by itself");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Lines that a thread reads, so that whoever waits for one may stop waiting.
pub struct Lines(Receiver<String>);

impl Lines {
    /// The next line that has `text` in it, if it comes in time.
    #[must_use]
    pub fn find(&self, text: &str, within: Duration) -> Option<String> {
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

/// Sends a process a signal, as in `-TERM`.
pub fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Addresses at which nobody listens, all different.
#[must_use]
pub fn free_addresses(count: usize) -> Vec<String> {
    // Between here and whoever listens, a connection of any process may take a port of 127.0.0.1 for its own end. Linux
    // has all of 127.0.0.0/8, of which each process gets an address of its own.
    let [.., high, middle, low] = std::process::id().to_be_bytes();
    let own = [127, high | 128, middle, low.clamp(1, 254)];
    let host = if cfg!(target_os = "linux") { Ipv4Addr::from(own) } else { Ipv4Addr::LOCALHOST };
    // Held together, so that they differ.
    let free: Vec<_> = (0..count).map(|_| TcpListener::bind((host, 0)).unwrap()).collect();
    free.iter().map(|port| port.local_addr().unwrap().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_log() {
        let line = "2026-11-23T19:30:12.345Z INFO  listening address=127.0.0.1:40123 workers=1\n";
        assert_eq!(address(line), Some("127.0.0.1:40123"));
        assert_eq!(address("2026-11-23T19:30:12.345Z INFO  opened address=1:2\n"), None);
    }

    #[test]
    fn a_loader_that_does_not_come_about_is_told_with_its_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo no data >&2"]).stderr(Stdio::piped());
        let error = listening(command.spawn().unwrap().stderr.take().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("it ended before it listened: first\nno data"), "{error}");
    }
}
