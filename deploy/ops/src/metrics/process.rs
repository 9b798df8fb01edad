//! What the system says of this process, under the names that Prometheus's own clients give it. Read at each scrape,
//! and written by hand: the processor's time is a counter with a fraction, and those of the recorder are whole.

use crate::memory;
use rustix::process::{Resource, getrlimit};
use std::fmt::Write as _;

/// The unit of times in `/proc/self/stat`: the same on every architecture that Rust's standard library is made for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What can be told, in Prometheus' text form; nothing where there is no `/proc`.
pub(super) fn page() -> String {
    let mut page = String::new();
    let mut tell = |kind: &str, name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
    };
    let whole = |value: Option<u64>| value.map(|value| value as f64);
    let cpu = std::fs::read_to_string("/proc/self/stat").ok().and_then(|text| cpu_seconds(&text));
    tell("counter", "process_cpu_seconds_total", "Time on processors, in seconds.", cpu);
    let resident = whole(memory::resident_bytes());
    tell("gauge", "process_resident_memory_bytes", "Memory that the process has resident.", resident);
    tell("gauge", "process_open_fds", "Open file descriptors.", whole(open_descriptors()));
    let most = whole(getrlimit(Resource::Nofile).current);
    tell("gauge", "process_max_fds", "File descriptors that may be open.", most);
    page
}

/// Reads user and system time, fields 14 and 15. The second is the name of the program in parentheses, in which any
/// character may be.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

fn open_descriptors() -> Option<u64> {
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is that of the listing.
    listed.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 3 0 150 25 0 0 20 0 4 0 1000 0 0";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
        assert_eq!(cpu_seconds(""), None);
    }
}
