//! Pages that are unpacked, in bounded memory and for all threads: a page is unpacked once for those who need it at the same
//! time, and goes when others need its room, the oldest first. (Records are drawn without repetition, so that which was used
//! last says nothing about which is used next.)
//!
//! What is being unpacked and what somebody still reads counts like what is kept. Whoever finds no room waits for it, and
//! holds no page meanwhile; a page that is larger than all room waits until it is the only one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A page by the number of its file and its own there.
pub(super) type Key = (u32, u32);

/// Pages that are kept.
pub(super) struct PageCache<T> {
    shared: Arc<Shared>,
    kept: Mutex<Kept<T>>,
}

/// What all pages take, also those that are kept no more and still read.
#[derive(Default)]
struct Shared {
    account: Mutex<Account>,
    /// Room came free, or a page was unpacked.
    changed: Condvar,
}

#[derive(Default)]
struct Account {
    room: u64,
    held: u64,
    /// Pages that somebody unpacks.
    making: HashSet<Key>,
}

struct Kept<T> {
    pages: HashMap<Key, Arc<Unpacked<T>>>,
    order: VecDeque<Key>,
}

/// A page, and what it takes.
pub(super) struct Unpacked<T> {
    pub(super) page: T,
    _lease: Lease,
}

/// Bytes that count as held until this is dropped.
struct Lease {
    bytes: u64,
    shared: Arc<Shared>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.account().held -= self.bytes;
        self.shared.changed.notify_all();
    }
}

/// Says of a page that nobody unpacks it any more.
struct Making<'a>(Key, &'a Shared);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.1.account().making.remove(&self.0);
        self.1.changed.notify_all();
    }
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("nobody panics while holding it")
    }
}

impl<T> PageCache<T> {
    pub(super) fn new(room: u64) -> Self {
        let shared =
            Shared { account: Mutex::new(Account { room, ..Account::default() }), ..Shared::default() };
        let kept = Kept { pages: HashMap::new(), order: VecDeque::new() };
        Self { shared: Arc::new(shared), kept: Mutex::new(kept) }
    }

    /// Changes how many bytes may be held.
    pub(super) fn set_room(&self, bytes: u64) {
        self.shared.account().room = bytes;
        while self.shared.account().held > bytes && self.drop_oldest() {}
    }

    /// Bytes that may be held, and those that are.
    pub(super) fn room_and_held(&self) -> (u64, u64) {
        let account = self.shared.account();
        (account.room, account.held)
    }

    /// Returns a page. If it is not kept, `plan` tells how many bytes it takes to unpack it, and `make` unpacks it and tells
    /// how many of them it takes afterwards.
    ///
    /// # Errors
    /// Those of `plan` and `make`, of which nothing is remembered.
    pub(super) fn get<P, E>(
        &self,
        key: Key,
        plan: impl FnOnce() -> Result<(u64, P), E>,
        make: impl FnOnce(P) -> Result<(T, u64), E>,
    ) -> Result<Arc<Unpacked<T>>, E> {
        let _making = loop {
            let mut account = self.shared.account();
            // It is kept before it is said that nobody makes it.
            if !account.making.contains(&key) {
                if let Some(page) = self.kept().pages.get(&key) {
                    return Ok(Arc::clone(page));
                }
                account.making.insert(key);
                break Making(key, &self.shared);
            }
            drop(self.shared.changed.wait(account).expect("nobody panics while holding it"));
        };
        let (needed, planned) = plan()?;
        let mut lease = self.lease(needed);
        let (page, bytes) = make(planned)?;
        let spare = lease.bytes.saturating_sub(bytes);
        lease.bytes -= spare;
        drop(Lease { bytes: spare, shared: Arc::clone(&self.shared) });
        let page = Arc::new(Unpacked { page, _lease: lease });
        let mut kept = self.kept();
        kept.order.push_back(key);
        kept.pages.insert(key, Arc::clone(&page));
        Ok(page)
    }

    /// Waits until there is room.
    fn lease(&self, bytes: u64) -> Lease {
        loop {
            let mut account = self.shared.account();
            let held = account.held.saturating_add(bytes);
            if held <= account.room || account.held == 0 {
                account.held = held;
                return Lease { bytes, shared: Arc::clone(&self.shared) };
            }
            let oldest = self.kept().oldest();
            if oldest.is_none() {
                drop(self.shared.changed.wait(account).expect("nobody panics while holding it"));
                continue;
            }
            // Its lease asks for the account.
            drop(account);
        }
    }

    /// Tells whether there was one.
    fn drop_oldest(&self) -> bool {
        self.kept().oldest().is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().expect("nobody panics while holding it")
    }
}

impl<T> Kept<T> {
    fn oldest(&mut self) -> Option<Arc<Unpacked<T>>> {
        let key = self.order.pop_front()?;
        self.pages.remove(&key)
    }
}

impl<T> fmt::Debug for PageCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCache").field("room_and_held", &self.room_and_held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn page(cache: &PageCache<u32>, number: u32, bytes: u64, made: &AtomicU64) -> Arc<Unpacked<u32>> {
        let make = |()| {
            made.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>((number, bytes))
        };
        // Twice as much is needed while it is unpacked.
        cache.get((0, number), || Ok((2 * bytes, ())), make).unwrap_or_else(|never| match never {})
    }

    #[test]
    fn pages_are_kept_as_far_as_there_is_room_and_the_oldest_goes_first() {
        let (cache, made) = (PageCache::new(100), AtomicU64::new(0));
        for number in [0, 1, 2, 0, 1, 2] {
            assert_eq!(page(&cache, number, 20, &made).page, number);
        }
        assert_eq!((made.load(Ordering::Relaxed), cache.room_and_held()), (3, (100, 60)));
        // Needs 80 at first: two pages go.
        page(&cache, 3, 40, &made);
        page(&cache, 2, 20, &made);
        assert_eq!((made.load(Ordering::Relaxed), cache.room_and_held().1), (4, 60));
        page(&cache, 0, 20, &made);
        assert_eq!(made.load(Ordering::Relaxed), 5);
        cache.set_room(0);
        assert_eq!(cache.room_and_held(), (0, 0));
    }

    #[test]
    fn a_page_larger_than_all_room_is_the_only_one() {
        let (cache, made) = (PageCache::new(10), AtomicU64::new(0));
        page(&cache, 0, 4, &made);
        page(&cache, 1, 1000, &made);
        page(&cache, 1, 1000, &made);
        assert_eq!((made.load(Ordering::Relaxed), cache.room_and_held().1), (2, 1000));
        page(&cache, 0, 4, &made);
        assert_eq!(cache.room_and_held().1, 4);
    }

    #[test]
    fn what_fails_leaves_nothing_and_can_be_tried_again() {
        let (cache, made) = (PageCache::<u32>::new(10), AtomicU64::new(0));
        assert!(cache.get((0, 0), || Err("no size"), |()| Ok((0, 1))).is_err());
        assert!(cache.get((0, 0), || Ok((7, ())), |()| Err("no page")).is_err());
        assert_eq!(cache.room_and_held().1, 0);
        page(&cache, 0, 4, &made);
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn many_threads_hold_no_more_than_there_is_room_for_and_make_a_page_once_at_a_time() {
        let (cache, made) = (PageCache::new(100), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (cache, made) = (&cache, &made);
                scope.spawn(move || {
                    for step in 0..2000 {
                        let number = (step * 7 + thread * 3) % 16;
                        let bytes = if number == 0 { 200 } else { u64::from(number) };
                        let page = page(cache, number, bytes, made);
                        assert_eq!(page.page, number);
                        let (room, held) = cache.room_and_held();
                        assert!(held <= room || held <= 400, "{held}");
                    }
                });
            }
        });
        let all = PageCache::new(1000);
        let made = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..16).for_each(|number| drop(page(&all, number, 1, &made))));
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 16);
    }
}
