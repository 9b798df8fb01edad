//! Admission by memory: a stream is let in only with room for its batches.
//!
//! Reserving at the door keeps streams from each other's memory: one whose client does not read
//! fills its own window and no more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::Status;

/// When a stream that found no room is worth another try: trainings come and go in minutes, and a client of
/// ours waits a few seconds between its tries anyway.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Where gRPC's clients look for that, in milliseconds.
const RETRY_HEADER: &str = "grpc-retry-pushback-ms";

/// Batches that the transport may hold beyond the window: one whose last bytes are being written, and
/// the next. HTTP/2 takes another when less than its buffer (400 kB) is left of the one before.
const IN_TRANSPORT: u64 = 2;

/// Of the memory that is free, one part in so many is left to streams that come later, by whoever can do with less: a
/// training evaluates beside its own stream, on the loaders that serve it.
const LEFT_TO_OTHERS: u64 = 4;

/// The memory that batches of all streams may take.
#[derive(Debug)]
pub(super) struct Admission {
    limit_bytes: u64,
    reserved_bytes: Mutex<u64>,
}

/// What one stream has reserved; given back on drop.
#[derive(Debug)]
pub(super) struct Window {
    admission: Arc<Admission>,
    bytes: u64,
    batches: usize,
}

impl Admission {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, reserved_bytes: Mutex::new(0) }
    }

    /// Reserves room for up to `full` batches of `batch_bytes`, at least one, and `beside_bytes`.
    #[allow(clippy::result_large_err)]
    pub(super) fn reserve(
        self: &Arc<Self>,
        batch_bytes: u64,
        beside_bytes: u64,
        full: usize,
    ) -> Result<Window, Status> {
        let batch_bytes = batch_bytes.max(1);
        let min = batch_bytes.saturating_mul(1 + IN_TRANSPORT).saturating_add(beside_bytes);
        if min > self.limit_bytes {
            return Err(Status::failed_precondition(format!(
                "this stream needs {min} bytes at least, but this loader has {} for all streams; \
                 ask for smaller batches, or give the loader more --stream-memory",
                self.limit_bytes
            )));
        }
        let mut reserved = self.reserved_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.limit_bytes.saturating_sub(*reserved).saturating_sub(beside_bytes);
        let room = (free / batch_bytes).saturating_sub(IN_TRANSPORT);
        if room == 0 {
            return Err(come_again(format!(
                "this stream needs {min} bytes at least and {} of {} are reserved by other streams; \
                 try again later, or give the loader more --stream-memory",
                *reserved, self.limit_bytes
            )));
        }
        let fair = ((free - free / LEFT_TO_OTHERS) / batch_bytes).saturating_sub(IN_TRANSPORT).max(1);
        let batches = full.clamp(1, usize::try_from(fair).unwrap_or(usize::MAX));
        let bytes = batch_bytes * (batches as u64 + IN_TRANSPORT) + beside_bytes;
        *reserved += bytes;
        Ok(Window { admission: Arc::clone(self), bytes, batches })
    }
}

/// Refuses for want of memory, and says when to try again.
pub(super) fn come_again(text: String) -> Status {
    let mut refusal = Status::resource_exhausted(text);
    let milliseconds = RETRY_AFTER.as_millis() as u64;
    refusal.metadata_mut().insert(RETRY_HEADER, milliseconds.into());
    refusal
}

impl Window {
    /// Returns how many batches of the stream may be in memory.
    pub(super) fn batches(&self) -> usize {
        self.batches
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        *self.admission.reserved_bytes.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_as_memory_runs_out_and_grow_back() {
        let admission = Arc::new(Admission::new(1000));
        let first = admission.reserve(100, 0, 4).unwrap();
        let second = admission.reserve(100, 0, 4).unwrap();
        assert_eq!((first.batches(), second.batches()), (4, 1), "of ten, two each are in transport");
        let refused = admission.reserve(100, 0, 4).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("900 of 1000 are reserved"), "{}", refused.message());
        assert_eq!(refused.metadata().get(RETRY_HEADER).unwrap(), "2000");
        drop(first);
        assert_eq!(
            admission.reserve(100, 0, 4).unwrap().batches(),
            3,
            "of the 700 that are free, 175 are left"
        );
    }

    #[test]
    fn what_a_stream_takes_beside_its_batches_counts_too() {
        let admission = Arc::new(Admission::new(1000));
        let streams: Vec<_> = (0..4).map(|_| admission.reserve(1, 200, 4).unwrap()).collect();
        assert!(admission.reserve(1, 200, 4).is_err(), "of 1000, 4 × 206 are reserved");
        drop(streams);
        assert_eq!(admission.reserve(100, 600, 4).unwrap().batches(), 1);
    }

    #[test]
    fn a_stream_that_could_fill_all_memory_leaves_room_for_an_evaluation_beside_it() {
        for (batch_bytes, workers) in [(19_267_584, 64), (77_070_336, 8), (300_000_000, 2), (1 << 20, 1024)] {
            let admission = Arc::new(Admission::new(1 << 30));
            let training = admission.reserve(batch_bytes, 200_000, 2 * workers).unwrap();
            let evaluation = admission.reserve(batch_bytes.min(16 << 20), 200_000, 2 * workers);
            assert!(training.batches() >= 1 && evaluation.is_ok(), "batches of {batch_bytes} bytes");
        }
    }

    #[test]
    fn a_batch_larger_than_all_memory_is_refused() {
        // Trying again would not help, so it is not said to.
        let refused = Arc::new(Admission::new(100)).reserve(u64::MAX, 0, 4).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert!(refused.metadata().get(RETRY_HEADER).is_none());
    }
}
