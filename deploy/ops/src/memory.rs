//! The memory of this process: how much it is, keeping what is soon needed again, and giving the rest back to the
//! system.
//!
//! glibc's defaults are for programs of small objects. Batches and activations are large: it keeps two at most of what
//! is freed, and has the system clear and map fresh pages for the next. And it keeps what was freed in the
//! middle of its heaps, of which it has eight a core: after a thousand connections a process would keep what they
//! took, for good, and each further burst a little more.

mod limit;

pub use limit::{MemoryLimit, limit};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often is looked whether something was freed that is worth the walk through the heaps, which takes
/// milliseconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes from which on memory is the system's own business, and not kept: more than most activations, or, where glibc
/// is older than 2.35, half of what a heap may have on 64 bits, which is the most that it takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST_IN_HEAP: [std::ffi::c_int; 2] = [1 << 30, 32 << 20];

/// Settings of glibc's that are about the same as ours.
const SETTINGS: [&str; 6] = [
    "MALLOC_ARENA_MAX",
    "MALLOC_ARENA_TEST",
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
];

/// How often something was freed.
static FREED: AtomicU64 = AtomicU64::new(0);

/// Keeps freed memory for what comes next, in `heaps` heaps at most, until [`give_back`] is called. To be called once,
/// before there are threads. Does nothing where the allocator is not glibc's, or where the environment has settings
/// for it (`MALLOC_ARENA_MAX` and its like, `glibc.malloc` in `GLIBC_TUNABLES`).
///
/// Threads of one heap wait for each other when they need more than a kilobyte, and [`give_back`] frees
/// what lies at the end of the first heap only: few are best, one for each few cores that allocate at the same time.
#[allow(clippy::disallowed_methods)] // These settings are glibc's, which looks for them nowhere else.
pub fn keep_for_reuse(heaps: usize) {
    let tunables = std::env::var("GLIBC_TUNABLES").unwrap_or_default();
    if tunables.contains("glibc.malloc.") || SETTINGS.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "calls mallopt of glibc")]
    {
        use std::ffi::c_int;
        // The numbers of malloc.h.
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        unsafe extern "C" {
            fn mallopt(param: c_int, value: c_int) -> c_int;
        }
        // SAFETY: it changes numbers that the allocator goes by, under its lock (mallopt(3)).
        let set = |param, value| unsafe { mallopt(param, value) } != 0;
        set(M_ARENA_MAX, c_int::try_from(heaps).unwrap_or(c_int::MAX));
        // Any of the two ends what glibc adapts by itself: without the first, the second would do harm.
        if LARGEST_IN_HEAP.into_iter().any(|bytes| set(M_MMAP_THRESHOLD, bytes)) {
            set(M_TRIM_THRESHOLD, c_int::MAX);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = heaps;
}

/// Takes note that something as large as a connection or a stream is gone.
pub fn note_freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Gives freed memory back to the system a moment after [`note_freed`] was called. Never returns.
pub async fn give_back_what_is_freed() {
    let mut seen = FREED.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = FREED.load(Ordering::Relaxed);
        if now != seen {
            give_back();
        }
        seen = now;
    }
}

/// Returns the bytes of memory that this process has resident, where the system tells.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    kib_field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Returns the bytes of memory that are free for new processes of this machine, where the system tells.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    kib_field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Finds a line like `MemAvailable: 123 kB`.
fn kib_field(text: &str, name: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Gives freed memory back to the system; does nothing where the allocator has no such call.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "calls malloc_trim of glibc")]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: any thread may call it at any time, and it touches nothing that is in use (malloc_trim(3)).
        unsafe {
            malloc_trim(0);
        }
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_words_are_understood() {
        let field = |text| kib_field(text, "MemAvailable:");
        assert_eq!(field("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(field("MemTotal: 9 kB\n"), None);
        assert_eq!(field("MemAvailable: many kB\n"), None);
    }

    /// Pages that the system had to map for this thread.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name of the thread may hold spaces; the eighth number after it (proc(5)).
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_freed_is_kept_for_what_comes_next() {
        const BLOCK: usize = 400 << 10;
        let round = || drop((0..16).map(|_| vec![1_u8; BLOCK]).collect::<Vec<_>>());
        keep_for_reuse(1);
        let before = faults();
        round();
        let first = faults() - before;
        (0..10).for_each(|_| round());
        let more = faults() - before - first;
        // Ten times as many if each round had fresh ones.
        assert!(more < first, "{first} pages were mapped first, and {more} more in ten rounds");
    }

    #[test]
    fn what_was_freed_between_what_is_kept_is_given_back() {
        const BLOCK: usize = 16 << 10;
        let mut blocks: Vec<_> = (0..4096).map(|_| vec![1_u8; BLOCK]).collect();
        let full = resident_bytes().unwrap();
        let mut number = 0;
        // Every eighth stays, so that no heap can simply be cut off.
        blocks.retain(|_| {
            number += 1;
            number % 8 == 0
        });
        give_back();
        let left = resident_bytes().unwrap();
        assert!(left + (24 << 20) < full, "{left} bytes of {full}");
        assert_eq!(blocks.len(), 512);
    }
}
