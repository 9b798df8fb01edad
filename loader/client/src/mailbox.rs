//! What the driver wants of one session, gathered until the session can pass it on.
//!
//! A queue of orders would grow without bound behind a replica that does not read. Here an index that
//! is withdrawn before it was asked for simply disappears, so that the box never holds more than
//! the window of the scheduler.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The orders for one session; clones share the box.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<Orders>,
    posted: Notify,
}

/// Orders that were not passed on yet.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// The replica was compared with the others and may open a stream.
    accepted: bool,
    wanted: BTreeSet<u64>,
    withdrawn: BTreeSet<u64>,
}

/// One request to send.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Request {
    pub(crate) wanted: Vec<u64>,
    pub(crate) withdrawn: Vec<u64>,
}

impl Mailbox {
    pub(crate) fn accept(&self) {
        self.post(|orders| orders.accepted = true);
    }

    pub(crate) fn want(&self, index: u64) {
        self.post(|orders| {
            orders.wanted.insert(index);
        });
    }

    pub(crate) fn withdraw(&self, index: u64) {
        self.post(|orders| {
            if !orders.wanted.remove(&index) {
                orders.withdrawn.insert(index);
            }
        });
    }

    fn post(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.lock());
        self.0.posted.notify_one();
    }

    // No code that can panic runs under the lock, so a poisoned one holds sound orders.
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when the replica is accepted.
    pub(crate) async fn accepted(&self) {
        while !self.lock().accepted {
            self.0.posted.notified().await;
        }
    }

    /// Completes after something was posted. Cancel safe; may complete once too often.
    pub(crate) async fn posted(&self) {
        self.0.posted.notified().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        let orders = self.lock();
        orders.wanted.is_empty() && orders.withdrawn.is_empty()
    }

    /// Takes the next request of at most `most` indices each way, lowest first.
    pub(crate) fn take(&self, max: usize) -> Request {
        let mut orders = self.lock();
        // An index that is withdrawn and wanted again goes out in this order, in two messages: within one
        // message the loader would be free to read it either way.
        let withdrawn = take_first(&mut orders.withdrawn, max);
        let clash = |index: &u64| withdrawn.contains(index);
        let wanted = if orders.withdrawn.is_empty() && !orders.wanted.iter().any(clash) {
            take_first(&mut orders.wanted, max)
        } else {
            Vec::new()
        };
        Request { wanted, withdrawn }
    }
}

fn take_first(set: &mut BTreeSet<u64>, max: usize) -> Vec<u64> {
    let rest = set.iter().nth(max).copied().map(|first| set.split_off(&first)).unwrap_or_default();
    std::mem::replace(set, rest).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_go_out_lowest_first_and_in_pieces() {
        let mailbox = Mailbox::default();
        for index in [5, 3, 9, 1] {
            mailbox.want(index);
        }
        assert_eq!(mailbox.take(3).wanted, [1, 3, 5]);
        assert_eq!(mailbox.take(3).wanted, [9]);
        assert!(mailbox.is_empty());
    }

    #[test]
    fn an_index_withdrawn_before_it_was_asked_for_is_never_sent() {
        let mailbox = Mailbox::default();
        mailbox.want(1);
        mailbox.withdraw(1);
        mailbox.withdraw(2);
        assert_eq!(mailbox.take(10), Request { wanted: vec![], withdrawn: vec![2] });
    }

    #[test]
    fn an_index_wanted_again_is_withdrawn_first() {
        let mailbox = Mailbox::default();
        mailbox.withdraw(4);
        mailbox.want(4);
        assert_eq!(mailbox.take(10), Request { wanted: vec![], withdrawn: vec![4] });
        assert_eq!(mailbox.take(10), Request { wanted: vec![4], withdrawn: vec![] });
    }
}
