//! What is kept in memory of the samples of a split, filled as it comes: at start, where all files are
//! read anyway, or by whoever needs a sample first.

use super::options::Cache;
use mixfeed_pipeline::LeftOut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pixels or files, a place for each sample.
pub(super) struct RecordCache {
    what: Cache,
    places: Vec<OnceLock<Box<[u8]>>>,
    /// Bytes that may still be kept: how large decoded images are is known only once all headers were read.
    room: AtomicU64,
}

impl RecordCache {
    /// Makes room for this many samples, of so many bytes at most. What is kept is decided by now: `Auto` keeps nothing.
    pub(super) fn new(what: Cache, samples: usize, max_bytes: u64) -> Self {
        let places = match what {
            Cache::Decoded | Cache::Encoded => samples,
            Cache::Auto | Cache::None => 0,
        };
        let places = std::iter::repeat_with(OnceLock::new).take(places).collect();
        Self { what, places, room: max_bytes.into() }
    }

    /// What is kept.
    pub(super) fn what(&self) -> Cache {
        self.what
    }

    pub(super) fn get(&self, sample: u64) -> Option<&[u8]> {
        self.places.get(sample as usize)?.get().map(AsRef::as_ref)
    }

    /// The samples that are not kept yet and may be.
    pub(super) fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        (0..).zip(&self.places).filter(|(_, place)| place.get().is_none()).map(|(sample, _)| sample)
    }

    /// Bytes that may still be kept.
    pub(super) fn room(&self) -> u64 {
        self.room.load(Ordering::Relaxed)
    }

    /// Keeps `bytes` if they are what is kept. Of two threads that do so for one sample, either will do.
    pub(super) fn offer(&self, what: Cache, sample: u64, bytes: &[u8]) {
        if what == self.what
            && let Some(place) = self.places.get(sample as usize).filter(|place| place.get().is_none())
        {
            let take = |room: u64| room.checked_sub(bytes.len() as u64);
            if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                drop(place.set(bytes.into()));
            }
        }
    }

    /// Leaves samples out; those after them move up.
    pub(super) fn leave_out(&mut self, left_out: &LeftOut) {
        let mut sample = 0..;
        self.places.retain(|_| sample.next().is_some_and(|sample| !left_out.contains(sample)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_to_be_kept_is_kept() {
        let kept = RecordCache::new(Cache::Encoded, 2, 6);
        kept.offer(Cache::Decoded, 0, b"pixels");
        kept.offer(Cache::Encoded, 1, b"file");
        kept.offer(Cache::Encoded, 7, b"of nobody");
        assert_eq!((kept.get(0), kept.get(1), kept.get(7)), (None, Some(&b"file"[..]), None));
        assert_eq!((kept.missing().collect::<Vec<_>>(), kept.room()), (vec![0], 2));
        kept.offer(Cache::Encoded, 0, b"too");
        assert_eq!(kept.get(0), None);
        let none = RecordCache::new(Cache::None, 2, 100);
        none.offer(Cache::None, 0, b"file");
        assert_eq!(none.get(0), None);
    }
}
