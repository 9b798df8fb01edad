//! `cargo xtask matrix`: the whole suite in surroundings that other machines have. No test may depend on who runs
//! it, on what else runs, on settings of the network or on the environment.
//!
//! A row wraps each test program ([`ROWS`]); which tests there are, and how they are reported, is the business of
//! [`tests`]. Rows that lack what they need on this machine say so and count as skipped.

use crate::report::Report;
use crate::{process, tests};
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Stands for a new folder that everybody may write to.
const FOLDER: &str = "{folder}";

/// A user without privileges, in front of what it runs.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// One kind of surroundings.
struct Row {
    name: &'static str,
    /// Put in front of each test program.
    runner: &'static [&'static str],
    /// Run in a network namespace of its own, by a shell, before the test program.
    network: Option<&'static str>,
    /// Whether the user has no privileges.
    nobody: bool,
    /// Whether every CPU is kept busy.
    busy: bool,
    /// How often the suite runs in the same checkout.
    times: u32,
}

const PLAIN: Row = Row { name: "plain", runner: &[], network: None, nobody: false, busy: false, times: 1 };

/// The rows, as `CONTRIBUTING.md` has them.
const ROWS: [Row; 10] = [
    PLAIN,
    Row { name: "user", runner: &NOBODY, nobody: true, ..PLAIN },
    Row { name: "one-cpu", runner: &["taskset", "--cpu-list", "0"], ..PLAIN },
    Row { name: "busy", busy: true, ..PLAIN },
    Row { name: "cubic", network: Some("echo cubic > /proc/sys/net/ipv4/tcp_congestion_control"), ..PLAIN },
    Row { name: "bbr", network: Some("echo bbr > /proc/sys/net/ipv4/tcp_congestion_control"), ..PLAIN },
    Row { name: "reno", network: Some("echo reno > /proc/sys/net/ipv4/tcp_congestion_control"), ..PLAIN },
    Row { name: "no-ipv6", network: Some("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"), ..PLAIN },
    Row {
        name: "bare",
        runner: &["env", "-u", "HOME", "-u", "XDG_CACHE_HOME", "LC_ALL=C", "TMPDIR={folder}"],
        ..PLAIN
    },
    Row { name: "twice", times: 2, ..PLAIN },
];

/// Runs the named rows, or all of them.
pub(crate) fn run(names: &[String], slow: bool) -> Result<ExitCode> {
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
        let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        bail!("there is no row `{unknown}`; rows are {}", known.join(", "));
    }
    let mut report = Report::new("matrix");
    for row in ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)) {
        let folder = Folder::new()?;
        let runner = row.runner(&folder.0);
        // Whether the machine has it is seen by doing nothing in it.
        if let Some((program, arguments)) = runner.split_first()
            && !process::quiet(Command::new(program).args(arguments).arg("true"))
        {
            report.lacks(row.name, row.name, &format!("`{}` does not run here", runner.join(" ")));
            continue;
        }
        for _ in 0..row.times {
            report.check(row.name, || row.test(&runner, &folder.0, slow));
        }
    }
    Ok(report.close())
}

impl Row {
    fn runner(&self, folder: &Path) -> Vec<String> {
        let network = self.network.map(|setting| {
            let script = format!("ip link set lo up && {setting} && exec \"$@\"");
            ["unshare", "--net", "--", "sh", "-c", &script, "sh"].map(String::from)
        });
        let wrapped = self.runner.iter().map(|word| word.replace(FOLDER, &folder.to_string_lossy()));
        network.into_iter().flatten().chain(wrapped).collect()
    }

    fn test(&self, runner: &[String], folder: &Path, slow: bool) -> Result<()> {
        let busy = self.busy.then(Busy::start);
        let mut environment = Vec::new();
        if self.nobody {
            // What root's folders hold is not for this user: temporary files, the home folder, perhaps Python and
            // cargo, which tests try before they count on them.
            environment.extend([("TMPDIR", folder.into()), ("HOME", folder.into())]);
            environment.push(("MIXFEED_REQUIRE", OsString::new()));
        }
        let options = tests::Options { slow, rest: Vec::new(), runner: runner.to_vec(), environment };
        let code = tests::run(&options)?;
        drop(busy);
        ensure!(code == ExitCode::SUCCESS, "see above");
        Ok(())
    }
}

/// A new folder that everybody may write to, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mixfeed-matrix-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::set_permissions(&folder, Permissions::from_mode(0o1777))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is a temporary file.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Threads that compute for nothing, one a CPU, until it is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = thread::available_parallelism().map_or(1, usize::from);
        // Load is made by threads, and these are the only ones.
        #[allow(clippy::disallowed_methods)]
        let spin = |stop: Arc<AtomicBool>| {
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..count).map(|_| spin(Arc::clone(&stop))).collect();
        Self { stop, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A loop does not panic.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests_of_rows {
    use super::*;

    #[test]
    fn contributing_names_every_row() {
        let guide = fs::read_to_string(crate::place::at(".github/CONTRIBUTING.md")).unwrap();
        for row in &ROWS {
            assert!(guide.contains(&format!("| `{}` |", row.name)), "{}", row.name);
        }
    }

    #[test]
    fn a_row_wraps_the_program_and_fills_in_its_folder() {
        let row = |name| ROWS.iter().find(|row| row.name == name).unwrap();
        let folder = Path::new("/tmp/x");
        assert!(row("bare").runner(folder).contains(&"TMPDIR=/tmp/x".to_owned()));
        let reno = row("reno").runner(folder);
        assert_eq!((reno[0].as_str(), reno.last().unwrap().as_str()), ("unshare", "sh"));
        assert!(reno[5].contains("reno > /proc/sys/net/ipv4/tcp_congestion_control && exec \"$@\""));
    }
}
