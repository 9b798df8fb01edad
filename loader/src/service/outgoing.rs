//! Answers on their way out, in the order in which they are finished.
//!
//! A batch with more pixels than one message may have is cut here, without a copy, when its turn has come. What makes bytes
//! of a message is in [`frames`](super::frames).

use super::lease::Lease;
use mixfeed_proto::limits::MAX_MESSAGE_PIXELS;
use mixfeed_proto::v1::stream_batches_response::Kind;
use mixfeed_proto::v1::{Batch, BatchPart, Progress, StreamBatchesResponse};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

/// How pixels are divided among messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageSizes {
    /// Pixel bytes up to which a batch is one message, at most [`MAX_MESSAGE_PIXELS`].
    pub whole: usize,
    /// Pixel bytes of each part of a larger one but the last, at least 1 and at most `whole`.
    pub part: usize,
}

impl Default for MessageSizes {
    fn default() -> Self {
        // A part is about what the client takes in one frame, so that the only copy is the one that joins them; and a
        // slow line shows that it lives.
        Self { whole: MAX_MESSAGE_PIXELS as usize, part: 1 << 20 }
    }
}

/// Finished batches on their way to the client.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) receiver: mpsc::Receiver<Result<StreamBatchesResponse, Status>>,
    /// What is sent while no batch is finished.
    pub(super) progress: Option<mpsc::Receiver<Progress>>,
    pub(super) sizes: MessageSizes,
    /// What is left of a batch of which parts are sent.
    pub(super) rest: Option<Rest>,
    pub(super) _lease: Arc<Lease>,
}

/// A batch without the pixels that are sent.
#[derive(Debug)]
pub(super) struct Rest {
    batch: Batch,
    sent: usize,
}

impl Rest {
    fn cut(self, part_bytes: usize) -> (Kind, Option<Self>) {
        let Rest { mut batch, sent } = self;
        if batch.pixels.len() <= part_bytes {
            return (Kind::Batch(batch), None);
        }
        let pixels = batch.pixels.split_to(part_bytes);
        let part = BatchPart { index: batch.index, pixels, offset: sent as u64 };
        (Kind::Part(part), Some(Rest { batch, sent: sent + part_bytes }))
    }
}

impl Stream for Outgoing {
    type Item = Result<StreamBatchesResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let rest = match self.rest.take() {
            Some(rest) => rest,
            None => match self.receiver.poll_recv(context) {
                Poll::Ready(Some(Ok(StreamBatchesResponse { kind: Some(Kind::Batch(batch)) })))
                    if batch.pixels.len() > self.sizes.whole =>
                {
                    Rest { batch, sent: 0 }
                }
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => {
                    let Some(progress) = &mut self.progress else { return Poll::Pending };
                    // Its other end goes with that of the batches.
                    let Some(progress) = ready!(progress.poll_recv(context)) else { return Poll::Pending };
                    return Poll::Ready(Some(Ok(StreamBatchesResponse {
                        kind: Some(Kind::Progress(progress)),
                    })));
                }
            },
        };
        let (kind, rest) = rest.cut(self.sizes.part);
        self.rest = rest;
        Poll::Ready(Some(Ok(StreamBatchesResponse { kind: Some(kind) })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn parts_of_any_size_are_the_pixels_in_order_without_a_copy_and_the_rest_comes_last() {
        let words = Bytes::from(vec![3; 12]);
        let whole = Batch {
            index: 1 << 40,
            pixels: vec![9; 3 * 3072].into(),
            labels: words.clone(),
            partner_labels: words.clone(),
            lambdas: words,
            checksum: 0xDEAD_BEEF,
            samples: Bytes::new(),
        };
        for part_bytes in [1, 7, 3072, 4608, 9215, 9216, 10_000] {
            let (mut pixels, mut messages) = (Vec::new(), 0);
            let mut rest = Some(Rest { batch: whole.clone(), sent: 0 });
            while let Some(left) = rest {
                let (kind, after) = left.cut(part_bytes);
                let place = whole.pixels[pixels.len()..].as_ptr();
                match kind {
                    Kind::Part(part) => {
                        assert_eq!(part.pixels.as_ptr(), place);
                        assert_eq!((part.index, part.offset), (whole.index, pixels.len() as u64));
                        assert_eq!(part.pixels.len(), part_bytes);
                        pixels.extend_from_slice(&part.pixels);
                    }
                    Kind::Batch(last) => {
                        assert_eq!(last.pixels.as_ptr(), place);
                        assert!(after.is_none() && !last.pixels.is_empty());
                        pixels.extend_from_slice(&last.pixels);
                        assert_eq!(Batch { pixels: pixels.clone().into(), ..last }, whole);
                    }
                    other => panic!("{other:?}"),
                }
                messages += 1;
                rest = after;
            }
            assert_eq!(messages, whole.pixels.len().div_ceil(part_bytes), "parts of {part_bytes}");
        }
    }
}
