//! The other process of a measurement: this program again, in another role.

use crate::commands::failure::Failure;
use crate::config::BenchArgs;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A child that has said where it listens. Dropping it ends it.
pub(super) struct Process {
    child: Child,
    address: String,
}

impl Process {
    /// Starts a loader of the data that `args` name, with more flags if it needs some.
    pub(super) fn serve(args: &BenchArgs, listen: &str, more: &[OsString]) -> Result<Self, Failure> {
        let mut flags = ["serve", "--listen", listen, "--data", &args.data].map(OsString::from).to_vec();
        flags.extend(args.source.to_flags());
        flags.extend_from_slice(more);
        flags.extend(args.workers.map(|workers| format!("--workers={workers}").into()));
        Self::start(&flags)
    }

    /// Starts this program with `flags` and waits for the `address=` on its stderr.
    pub(super) fn start(flags: &[OsString]) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::other)?;
        let mut child =
            Command::new(program).args(flags).stderr(Stdio::piped()).spawn().map_err(Failure::other)?;
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut said = String::new();
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| {
            said.push_str(&line);
            said.push('\n');
            let (_, rest) = line.split_once("listening").and_then(|(_, rest)| rest.split_once("address="))?;
            rest.split_whitespace().next().map(String::from)
        });
        let Some(address) = address else {
            drop(child.wait());
            return Err(Failure::other(format!("the measured process did not start:\n{said}")));
        };
        // What it logs later is read and dropped, so that it never waits for a full pipe.
        #[allow(clippy::disallowed_methods)]
        std::thread::Builder::new()
            .name("mixfeed-bench-log".into())
            .spawn(move || lines.for_each(drop))
            .map_err(Failure::other)?;
        Ok(Self { child, address })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// CPU seconds that the child has used so far.
    pub(super) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.child.id().to_string())
    }

    /// Memory that the child holds, pages that it shares counted in parts; NaN where the system does not say.
    pub(super) fn pss_bytes(&self) -> f64 {
        pss_bytes(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// CPU seconds that this process has used so far.
pub(super) fn own_cpu_seconds() -> f64 {
    cpu_seconds("self")
}

/// Memory that this process holds.
pub(super) fn own_pss_bytes() -> f64 {
    pss_bytes("self")
}

/// Proportional set size (proc_pid_smaps(5): Pss, in kB); NaN where there is no such file.
fn pss_bytes(process: &str) -> f64 {
    #[allow(clippy::disallowed_methods)]
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0)
}

/// User and system time from `/proc`, in its unit of 10 ms; NaN where there is no such file.
fn cpu_seconds(process: &str) -> f64 {
    #[allow(clippy::disallowed_methods)]
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name in parentheses that may hold anything; times are the 12th and
    // 13th after it (proc_pid_stat(5): utime and stime).
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = |n: usize| fields.split_whitespace().nth(n).and_then(|field| field.parse::<f64>().ok());
    ticks(11).zip(ticks(12)).map_or(f64::NAN, |(user, system)| (user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_counted() {
        let before = own_pss_bytes();
        let held = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = own_pss_bytes();
        assert!(after - before > (held.len() / 2) as f64, "{before} and {after}");
    }

    #[test]
    fn work_costs_cpu_seconds() {
        let before = own_cpu_seconds();
        // Work is counted in ticks of 10 ms, and how long it takes to have used one depends on what else runs.
        let mut rounds = 0_u64;
        while own_cpu_seconds() <= before {
            rounds += 1;
            assert!(rounds < 1_000_000, "each reads a file, and none was counted");
        }
        assert!(own_cpu_seconds() - before < 60.0, "seconds, not ticks");
    }
}
