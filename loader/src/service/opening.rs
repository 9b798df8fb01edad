//! Calls whose request is being read: no more at a time than there is memory for.
//!
//! Whoever is let in to read batches has reserved memory (`admission.rs`). Before that, a request may be as long as
//! any request, on each of many calls on each of many connections, and come as slowly as its sender likes.

use super::admission::come_again;
use mixfeed_proto::limits::MAX_REQUEST_BYTES;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Calls at a time. Reading a request takes an honest client a round trip at most, so that a thousand trainers
/// that start in one second are far from it.
pub(crate) const MAX_OPENING: usize = 256;

/// Those of them from one address, so that whoever opens calls and says nothing leaves room for others.
const MAX_OPENING_OF_PEER: usize = MAX_OPENING / 2;

/// The same for calls that ask whether the loader is well: they are never refused for other calls' sake.
pub(crate) const MAX_PROBING: usize = 32;

/// What such a call may take: its message in a buffer that has just doubled, its headers, its state.
pub(crate) const OPENING_BYTES: u64 = 2 * MAX_REQUEST_BYTES as u64 + (32 << 10);

/// Lets as many calls begin as may be read at a time.
#[derive(Clone, Debug)]
pub(crate) struct Openings {
    open: Arc<Mutex<Open>>,
    most: usize,
    most_of_peer: usize,
}

/// Calls that have a place, all and by address; those over a socket have none.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_peer: HashMap<IpAddr, usize>,
}

/// The place of a call; it goes with its request, or when what opens a stream was read.
#[derive(Clone, Debug)]
pub(super) struct OpeningSlot(#[allow(dead_code)] Arc<Slot>);

#[derive(Debug)]
struct Slot {
    open: Arc<Mutex<Open>>,
    peer: Option<IpAddr>,
}

impl Openings {
    /// For the calls that read batches.
    pub(crate) fn of_batches() -> Self {
        Self::new(MAX_OPENING, MAX_OPENING_OF_PEER)
    }

    /// For probes, and for reflection.
    pub(crate) fn of_probes() -> Self {
        Self::new(MAX_PROBING, MAX_PROBING)
    }

    fn new(most: usize, most_of_peer: usize) -> Self {
        Self { open: Arc::default(), most, most_of_peer }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.all -= 1;
        if let Some(peer) = self.peer
            && let Some(count) = open.of_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                open.of_peer.remove(&peer);
            }
        }
    }
}

impl Interceptor for Openings {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let peer = request.remote_addr().map(|address| address.ip().to_canonical());
        let mut open = lock(&self.open);
        let of_peer = peer.and_then(|peer| open.of_peer.get(&peer)).copied().unwrap_or(0);
        let refused = if open.all >= self.most {
            Some(format!("{} calls are being opened already; try again later", self.most))
        } else if of_peer >= self.most_of_peer {
            let most = self.most_of_peer;
            Some(format!("{most} calls of this address are being opened already; try again later"))
        } else {
            None
        };
        if let Some(text) = refused {
            return Err(come_again(text));
        }
        open.all += 1;
        if let Some(peer) = peer {
            *open.of_peer.entry(peer).or_default() += 1;
        }
        drop(open);
        request.extensions_mut().insert(OpeningSlot(Arc::new(Slot { open: Arc::clone(&self.open), peer })));
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::transport::server::TcpConnectInfo;

    #[test]
    fn there_are_no_more_calls_than_places_and_a_place_comes_free_with_its_request() {
        let mut openings = Openings::of_batches();
        let mut requests: Vec<_> =
            (0..MAX_OPENING).map(|_| openings.call(Request::new(())).unwrap()).collect();
        let refused = openings.call(Request::new(())).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        // It goes on as a request of another type, with the same extensions.
        let (_, extensions, ()) = requests.remove(0).into_parts();
        assert!(openings.call(Request::new(())).is_err());
        drop(extensions);
        assert!(openings.call(Request::new(())).is_ok());
    }

    #[test]
    fn one_address_takes_half_of_the_places_at_most() {
        let from = |address: [u8; 4]| {
            let mut request = Request::new(());
            let remote_addr = Some((address, 4711).into());
            request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
            request
        };
        let mut openings = Openings::of_batches();
        let greedy: Vec<_> =
            (0..MAX_OPENING_OF_PEER).map(|_| openings.call(from([10, 0, 0, 1])).unwrap()).collect();
        assert!(openings.call(from([10, 0, 0, 1])).unwrap_err().message().contains("of this address"));
        assert!(openings.call(from([10, 0, 0, 2])).is_ok());
        drop(greedy);
        assert!(openings.call(from([10, 0, 0, 1])).is_ok());
        assert!(lock(&openings.open).of_peer.is_empty(), "nothing is kept of those that are gone");
    }
}
