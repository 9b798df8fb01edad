//! Calls whose request is being read: no more at a time than there is memory for.
//!
//! Whoever is let in to read batches has reserved memory (`admission.rs`). Before that, a request may be as long as
//! any request, on each of many calls on each of many connections, and come as slowly as its sender likes.

use super::admission::come_again;
use mixfeed_proto::limits::MAX_REQUEST_BYTES;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Calls at a time. Reading a request takes an honest client a round trip at most, so that a thousand trainers
/// that start in one second are far from it.
pub(crate) const MAX_OPENING: usize = 256;

/// What such a call may take: its message in a buffer that has just doubled, its headers, its state.
pub(crate) const OPENING_BYTES: u64 = 2 * MAX_REQUEST_BYTES as u64 + (32 << 10);

/// Lets as many calls begin as may be read at a time.
#[derive(Clone, Debug)]
pub(crate) struct Openings(Arc<Semaphore>);

/// The place of a call; it goes with its request, or when what opens a stream was read.
#[derive(Clone, Debug)]
pub(super) struct OpeningSlot(#[allow(dead_code)] Arc<OwnedSemaphorePermit>);

impl Default for Openings {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_OPENING)))
    }
}

impl Interceptor for Openings {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            let text = format!("{MAX_OPENING} calls are being opened already; try again later");
            return Err(come_again(text));
        };
        request.extensions_mut().insert(OpeningSlot(Arc::new(permit)));
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_calls_than_places_and_a_place_comes_free_with_its_request() {
        let mut openings = Openings::default();
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
}
