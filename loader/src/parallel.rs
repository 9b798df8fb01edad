//! Work on many records at once while data is read or looked through, outside of the pool: how many threads,
//! and what each takes.

use std::ops::Range;
use std::sync::Mutex;

/// Records that a thread takes at a time: enough to hide the lock, few enough to end together.
const CHUNK: usize = 64;

/// Returns the number of workers when none is given: one for each CPU that this process may use.
#[must_use]
pub fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Calls `work` for `0..count`, cut into ranges, on all CPUs, and returns what it gave in order.
pub(crate) fn in_chunks<T: Send>(count: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let ranges = (0..count).step_by(CHUNK).map(|first| first..count.min(first + CHUNK));
    let (ranges, done) = (Mutex::new(ranges.enumerate()), Mutex::new(Vec::new()));
    let threads = default_workers().min(count.div_ceil(CHUNK)).max(1);
    // A lock is poisoned by a panic, which the scope hands on.
    let next = || ranges.lock().expect("no panic while locked").next();
    #[allow(clippy::disallowed_methods)]
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((number, range)) = next() {
                    let result = work(range);
                    done.lock().expect("no panic while locked").push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic while locked");
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_worked_on_once_and_results_come_in_order() {
        for count in [0, 1, CHUNK, CHUNK + 1, 1000] {
            let seen: Vec<usize> = in_chunks(count, |range| range.collect::<Vec<_>>()).concat();
            assert!(seen.into_iter().eq(0..count));
        }
    }
}
