//! How much memory may be kept when nobody says.

use mixfeed_ops::memory::{self, MemoryLimit};

/// Where the system does not tell.
const FALLBACK_BYTES: u64 = 2 << 30;

/// Returns half of the memory that is free for this process: the other half is for batches, for other
/// processes, and for the system's own cache of files.
pub(super) fn default_bytes() -> u64 {
    budget(memory::available_bytes(), memory::limit().as_ref())
}

fn budget(available_bytes: Option<u64>, limit: Option<&MemoryLimit>) -> u64 {
    let free = available_bytes.unwrap_or(FALLBACK_BYTES);
    free.min(limit.map_or(u64::MAX, MemoryLimit::left_bytes)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_machine_and_limit_leave_is_kept() {
        let limit = |bytes, used_bytes| MemoryLimit { bytes, used_bytes, by: "cgroup v2 /".to_owned() };
        assert_eq!(budget(Some(1000), None), 500);
        assert_eq!(budget(Some(1000), Some(&limit(4000, 0))), 500);
        assert_eq!(budget(Some(1000), Some(&limit(600, 200))), 200);
        assert_eq!(budget(Some(1000), Some(&limit(600, 700))), 0);
        assert_eq!(budget(None, None), FALLBACK_BYTES / 2);
        assert!(default_bytes() > 0);
    }
}
