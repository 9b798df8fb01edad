//! Standard error, where logs, progress bars and error lines go: what cannot be written there is dropped, and counted.
//!
//! A full disk, a log collector that has ended, a terminal that is gone: none of them is a reason to stop serving or
//! training, and the standard library's `eprintln!` panics at each. A reader that lives and does not read is no
//! better, nor is one that reads too slowly: a pipe holds 64 KiB, and whoever writes more waits until it is read. All
//! waiting together takes [`PATIENCE`], and a hundredth of the time that passes; beyond that, lines are dropped until there
//! is room again. The first line that can be written afterwards says how many are missing.
//!
//! [`eprintln!`](crate::eprintln) takes the place of the standard library's.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long writes wait for a reader that does not read: longer than the pauses of one that is merely slow, such as a
/// terminal over a network.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The part of the time that passes which comes back as patience.
const REGAINED: u32 = 100;

/// Bytes that a pipe which has room takes at once, without waiting (`PIPE_BUF`).
const PIECE_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

static STATE: Mutex<State> = Mutex::new(State::new());

/// How a number of lines that are missing is told, once there are logs to look like.
static LOST: OnceLock<fn(u64) -> String> = OnceLock::new();

/// Tells from now on by `line` how many lines are missing.
pub(crate) fn tell_lost_by(line: fn(u64) -> String) {
    let _ = LOST.set(line); // Logs are set up once.
}

/// Standard error as a writer that never fails and never waits for long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nothing panics while it is held.
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.put(&mut io::stderr(), bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // Nothing is held back.
    }
}

impl AsRawFd for Stderr {
    fn as_raw_fd(&self) -> RawFd {
        io::stderr().as_raw_fd()
    }
}

/// Writes a line to standard error, whole; see [`eprintln!`](crate::eprintln).
pub fn line(text: Arguments<'_>) {
    // It never fails.
    let _ = Stderr.write(format!("{text}\n").as_bytes());
}

/// A line on standard error, which is dropped where it cannot be written.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::stderr::line(::std::format_args!($($text)*)) };
}

/// How writing went so far.
#[derive(Debug)]
struct State {
    /// How long the next write may wait, and when that was so.
    patience: Duration,
    since: Option<Instant>,
    /// The last line was written in part.
    is_torn: bool,
    /// Lines that were dropped and of which nothing was said yet.
    lost_lines: u64,
}

fn lost(lines: u64) -> String {
    LOST.get().map_or_else(|| format!("log lines could not be written lines={lines}\n"), |line| line(lines))
}

impl State {
    const fn new() -> Self {
        Self { patience: PATIENCE, since: None, is_torn: false, lost_lines: 0 }
    }

    fn put(&mut self, to: &mut (impl Write + AsFd), bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if self.lost_lines > 0 {
            let gap = if self.is_torn { "\n" } else { "" };
            let note = format!("{gap}{}", lost(self.lost_lines));
            if !self.write(to, note.as_bytes()) {
                self.lost_lines += lines;
                return;
            }
            self.lost_lines = 0;
        }
        if !self.write(to, bytes) {
            self.lost_lines += lines;
        }
    }

    /// Whether all of it was written.
    fn write(&mut self, to: &mut (impl Write + AsFd), bytes: &[u8]) -> bool {
        let mut left = bytes;
        let now = Instant::now();
        let passed = self.since.replace(now).map_or(Duration::ZERO, |since| now - since);
        self.patience = (self.patience + passed / REGAINED).min(PATIENCE);
        while !left.is_empty() {
            let waiting = Instant::now();
            let is_ready = has_room(to, self.patience);
            self.patience = self.patience.saturating_sub(waiting.elapsed());
            if !is_ready {
                self.is_torn |= left.len() < bytes.len();
                return false;
            }
            match to.write(&left[..left.len().min(PIECE_BYTES)]) {
                Ok(count) if count > 0 => left = &left[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares it has set it so; there was room a moment ago.
                Err(error) if error.kind() == ErrorKind::WouldBlock && !self.patience.is_zero() => {}
                Ok(_) | Err(_) => {
                    self.is_torn |= left.len() < bytes.len();
                    return false;
                }
            }
        }
        self.is_torn = false;
        true
    }
}

/// Waits until a write would not wait, or would fail.
fn has_room(to: &impl AsFd, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(to, PollFlags::OUT)], Some(&left)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            // Where the system cannot tell, writing will.
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::io::Read as _;

    fn read_all(mut from: impl io::Read) -> String {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut state = State::new();
        let long = format!("{}\n", "x".repeat(3 * PIECE_BYTES));
        for text in ["one\n", &long, "two\n"] {
            state.put(&mut writer, text.as_bytes());
        }
        drop(writer);
        assert_eq!(read_all(reader), format!("one\n{long}two\n"));
    }

    #[test]
    fn what_fails_is_dropped_and_counted() {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let closed = || {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            File::from(std::os::fd::OwnedFd::from(writer))
        };
        let unwritable = || File::open("/dev/null").unwrap();
        for mut broken in [full(), closed(), unwritable()] {
            let mut state = State::new();
            (0..3).for_each(|_| state.put(&mut broken, b"lost\n"));
            assert_eq!(state.lost_lines, 3);
            let (reader, mut writer) = io::pipe().unwrap();
            state.put(&mut writer, b"written\n");
            drop(writer);
            let text = read_all(reader);
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[0].ends_with("lines=3") && lines[1..] == ["written"], "{text}");
        }
    }

    #[test]
    fn a_reader_that_does_not_read_is_waited_for_once() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let mut state = State::new();
        let started = Instant::now();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        // A hundred times what a pipe holds.
        (0..6_400).for_each(|_| state.put(&mut writer, &line));
        let taken = started.elapsed();
        assert!(taken >= PATIENCE && taken < 20 * PATIENCE, "{taken:?}");
        assert!(state.lost_lines > 6_000, "{state:?}");

        let lost = state.lost_lines;
        let mut first = [0; 1 << 16];
        let count = reader.read(&mut first).unwrap();
        state.put(&mut writer, b"and on\n");
        drop(writer);
        let text = String::from_utf8(first[..count].to_vec()).unwrap() + &read_all(reader);
        let tail: Vec<_> = text.lines().rev().take(2).collect();
        assert!(tail[0] == "and on" && tail[1].ends_with(&format!("lines={lost}")), "{tail:?}");
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // A thread of a test.
    fn a_reader_that_is_too_slow_is_waited_for_no_longer_than_one_that_is_stuck() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let mut state = State::new();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let started = Instant::now();
        // It takes a page whenever the pipe is full, and then lets the writer wait anew.
        let slow = std::thread::spawn(move || {
            let (mut page, mut bytes) = ([0; 4096], 0);
            while let Ok(count @ 1..) = reader.read(&mut page) {
                bytes += count;
                std::thread::sleep(Duration::from_millis(100));
            }
            bytes
        });
        (0..6_400).for_each(|_| state.put(&mut writer, &line));
        let taken = started.elapsed();
        drop(writer);
        let read = slow.join().unwrap();
        // If each pause were waited for, all 6.4 MB would be read, in 160 s.
        assert!(taken < 20 * PATIENCE && read < 1_000_000, "{taken:?}, {read} bytes");
    }

    #[test]
    fn a_line_of_which_a_part_was_written_is_ended_before_the_next() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let mut state = State::new();
        let long = vec![b'y'; 1 << 20];
        state.put(&mut writer, &[&long, &b"\n"[..]].concat());
        assert!(state.is_torn);
        let mut held = vec![0; 1 << 20];
        while !has_room(&writer, Duration::ZERO) {
            assert!(reader.read(&mut held).unwrap() > 0);
        }
        state.put(&mut writer, b"next\n");
        drop(writer);
        let text = read_all(reader);
        let tail: Vec<_> = text.lines().rev().take(3).collect();
        assert_eq!(tail[0], "next");
        assert!(tail[1].ends_with("lines=1") && !tail[1].contains('y'), "{tail:?}");
    }
}
