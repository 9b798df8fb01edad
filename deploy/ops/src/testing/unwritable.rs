//! Standard error of processes whose log cannot be written.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Write as _};
use std::os::fd::OwnedFd;

/// Something that takes no log.
#[derive(Debug)]
pub struct Unwritable {
    /// What is wrong with it.
    pub name: &'static str,
    /// To be the standard error of a process.
    pub stderr: OwnedFd,
    /// Whoever could read, and does not for as long as this is held.
    pub reader: Option<PipeReader>,
}

/// Everything that takes no log, for one process each.
///
/// # Errors
/// When the system has no such thing.
pub fn unwritable() -> io::Result<Vec<Unwritable>> {
    let (reader, gone) = io::pipe()?;
    drop(reader);
    let (reader, mut stuck) = io::pipe()?;
    while poll(&mut [PollFd::new(&stuck, PollFlags::OUT)], Some(&Timespec::default()))? > 0 {
        stuck.write_all(&[b'\n'; 512])?;
    }
    let terminal = Terminal::open()?;
    let closed_terminal = terminal.end.try_clone()?;
    drop(terminal);
    let of = |name, stderr, reader| Unwritable { name, stderr, reader };
    Ok(vec![
        of("a full disk", OpenOptions::new().write(true).open("/dev/full")?.into(), None),
        of("a descriptor for reading", File::open("/dev/null")?.into(), None),
        of("a pipe whose reader is gone", gone.into(), None),
        of("a pipe that nobody reads", stuck.into(), Some(reader)),
        of("a terminal that is gone", closed_terminal.into(), None),
    ])
}

/// A terminal of the test's own.
#[derive(Debug)]
pub struct Terminal {
    /// What a person would see and type into; the terminal is gone once it is dropped.
    pub screen: File,
    /// What a process has as its terminal.
    pub end: File,
}

impl Terminal {
    /// Opens one.
    ///
    /// # Errors
    /// When the system has none.
    pub fn open() -> io::Result<Self> {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&screen)?;
        unlockpt(&screen)?;
        let name = ptsname(&screen, Vec::new())?;
        let name = name.into_string().map_err(io::Error::other)?;
        let end = File::from(rustix::fs::open(
            name,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?);
        Ok(Self { screen: screen.into(), end })
    }
}
