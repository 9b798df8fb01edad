//! How much memory may be kept when nobody says.

/// Where the system does not tell.
const FALLBACK_BYTES: u64 = 1 << 30;

/// Returns half of the memory that is free for this process: the other half is for batches, for other
/// processes, and for the system's own cache of files.
pub(super) fn default_bytes() -> u64 {
    let free = meminfo().unwrap_or(2 * FALLBACK_BYTES);
    free.min(container_limit().unwrap_or(u64::MAX)) / 2
}

#[allow(clippy::disallowed_methods)]
fn meminfo() -> Option<u64> {
    available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// Finds the line `MemAvailable: 123 kB`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The limit of the control group, if there is one ("max" is none).
#[allow(clippy::disallowed_methods)]
fn container_limit() -> Option<u64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_words_are_understood() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        assert!(default_bytes() > 0);
    }
}
