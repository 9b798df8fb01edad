//! The memory of this process: how much it is, and giving it back to the system.
//!
//! glibc keeps what was freed in the middle of its heaps, and has a heap for each few threads: after a thousand
//! connections a process would keep what they took, for good, and each further burst a little more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often is looked whether something was freed that is worth the walk through the heaps, which takes
/// milliseconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often something was freed.
static FREED: AtomicU64 = AtomicU64::new(0);

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
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
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
