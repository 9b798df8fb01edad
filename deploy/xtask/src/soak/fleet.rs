//! The loaders of a soak: places that are known from the start, at each of which a loader comes and goes.

use super::sample::Process;
use crate::children::Children;
use anyhow::{Context as _, Result, ensure};
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Places, the lasting loader's among them.
pub(super) const PLACES: usize = 6;

/// Places that are taken at the start, and again at the end.
pub(super) const AT_FIRST: usize = 3;

/// Where places are looked for.
const PORTS: Range<u16> = 21_000..30_000;

/// How often is looked whether a loader has drained.
const LOOK: Duration = Duration::from_millis(100);

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Nobody,
    Serving(u32),
    /// It was asked to stop, and drains.
    Leaving(u32),
}

pub(super) struct Fleet<'a> {
    children: &'a Children,
    program: PathBuf,
    data: String,
    logs: PathBuf,
    addresses: Vec<String>,
    metrics: String,
    /// The first is never disturbed.
    places: Vec<At>,
    /// State of splitmix64, all that is random here.
    state: u64,
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) starts: u64,
}

/// Addresses at which nobody listens. Their ports are below those that connections get by themselves: a place
/// that nobody is at for a while must not be taken by one of them.
pub(super) fn free_addresses<const N: usize>() -> Result<[String; N]> {
    // Held together, so that they differ.
    let free: Vec<_> = PORTS.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(N).collect();
    let addresses: Vec<_> =
        free.iter().map(|port| Ok(port.local_addr()?.to_string())).collect::<Result<_>>()?;
    addresses.try_into().ok().context("too few ports are free")
}

impl<'a> Fleet<'a> {
    /// Starts the first loaders; `metrics` is where the lasting one tells its own.
    pub(super) fn start(
        children: &'a Children,
        programs: &Path,
        data: &str,
        logs: &Path,
        addresses: [String; PLACES],
        metrics: String,
        seed: u64,
    ) -> Result<Self> {
        let mut fleet = Fleet {
            children,
            program: programs.join("mixfeed-loader"),
            data: data.to_owned(),
            logs: logs.to_owned(),
            addresses: addresses.into(),
            metrics,
            places: vec![At::Nobody; PLACES],
            state: seed,
            kills: 0,
            stops: 0,
            starts: 0,
        };
        (0..AT_FIRST).try_for_each(|place| fleet.bring_up(place))?;
        fleet.starts = 0;
        Ok(fleet)
    }

    /// All places, taken or not.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The loader that stays.
    pub(super) fn lasting(&self) -> Process {
        let (At::Serving(id) | At::Leaving(id)) = self.places[0] else {
            unreachable!("it is never disturbed")
        };
        Process { id, metrics: self.metrics.clone(), tasks: "mixfeed_loader_tasks" }
    }

    fn bring_up(&mut self, place: usize) -> Result<()> {
        let path = self.logs.join(format!("loader-{place}.log"));
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = Command::new(&self.program);
        command.args(["serve", "--data", &self.data, "--workers", "1", "--listen", &self.addresses[place]]);
        if place == 0 {
            command.args(["--metrics", &self.metrics]);
        }
        self.places[place] = At::Serving(self.children.start(command.stdout(log.try_clone()?).stderr(log))?);
        self.starts += 1;
        Ok(())
    }

    /// Takes note of loaders that have drained.
    fn reap(&mut self) -> Result<()> {
        for (place, at) in self.places.iter_mut().enumerate() {
            match *at {
                At::Nobody => {}
                At::Serving(id) => {
                    let ended = self.children.ended(id)?;
                    ensure!(
                        ended.is_none(),
                        "loader {place} ended by itself: {ended:?}; its log is in soak/"
                    );
                }
                At::Leaving(id) => {
                    if let Some(status) = self.children.ended(id)? {
                        ensure!(status.success(), "loader {place} was asked to stop and ended with {status}");
                        *at = At::Nobody;
                    }
                }
            }
        }
        Ok(())
    }

    /// Kills, stops or adds one, and returns how long to leave them in peace.
    pub(super) fn disturb(&mut self, pause_seconds: Range<f64>) -> Result<Duration> {
        self.reap()?;
        let place = 1 + (self.draw() % (PLACES as u64 - 1)) as usize;
        let kills = self.draw().is_multiple_of(2);
        match self.places[place] {
            At::Nobody => self.bring_up(place)?,
            At::Serving(id) if kills => {
                self.children.kill(id)?;
                self.places[place] = At::Nobody;
                self.kills += 1;
            }
            At::Serving(_) => self.stop(place)?,
            At::Leaving(_) => {}
        }
        let uniform = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        let Range { start, end } = pause_seconds;
        Ok(Duration::from_secs_f64(start + (end - start) * uniform))
    }

    fn stop(&mut self, place: usize) -> Result<()> {
        if let At::Serving(id) = self.places[place] {
            self.children.ask_to_stop(id)?;
            self.places[place] = At::Leaving(id);
            self.stops += 1;
        }
        Ok(())
    }

    /// Brings about what was there at the start.
    pub(super) fn restore(&mut self, patience: Duration) -> Result<()> {
        (AT_FIRST..PLACES).try_for_each(|place| self.stop(place))?;
        let deadline = Instant::now() + patience;
        loop {
            self.reap()?;
            if !self.places.iter().any(|at| matches!(at, At::Leaving(_))) {
                break;
            }
            ensure!(Instant::now() < deadline, "a loader that was asked to stop does not end");
            sleep(LOOK);
        }
        for place in 0..AT_FIRST {
            if self.places[place] == At::Nobody {
                self.bring_up(place)?;
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
