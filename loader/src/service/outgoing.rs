//! Answers on their way out: the pixels of a batch go to the socket from where the worker put them.
//!
//! tonic's encoder would copy every message into a buffer of its own, and a batch is hundreds of
//! kilobytes. So the call is answered by tonic with an empty stream, which carries the real body
//! along as an extension, and a layer around the service puts that body in its place. Requests,
//! headers, statuses of calls that fail and every other method stay tonic's.
//!
//! A message leaves as at most two pieces: gRPC's prefix with all small fields, then the pixels. The
//! order of fields is free in protobuf, so pixels can be last, and every reader understands it.
//!
//! A batch with more pixels than one message may have is cut here, without a copy, when its turn has come.

use super::lease::Lease;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use mixfeed_proto::limits::MAX_MESSAGE_PIXELS;
use mixfeed_proto::v1::stream_batches_response::Kind;
use mixfeed_proto::v1::{Batch, BatchPart, StreamBatchesResponse};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;

/// Field numbers of `loader.proto`: the batch and the part in an answer, the pixels in either.
const BATCH_FIELD: u32 = 2;
const PART_FIELD: u32 = 4;
const PIXELS_FIELD: u32 = 2;

/// gRPC's prefix: not compressed, and the length of the message as u32 big-endian.
const PREFIX_BYTES: usize = 5;

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
pub(super) struct Answers {
    pub(super) receiver: mpsc::Receiver<Result<StreamBatchesResponse, Status>>,
    pub(super) sizes: MessageSizes,
    pub(super) _lease: Arc<Lease>,
}

/// Carries answers past tonic, which hands extensions through. They are `Clone`, a stream is not.
#[derive(Clone, Debug)]
pub(super) struct Handover(Arc<Mutex<Option<Answers>>>);

impl Handover {
    pub(super) fn new(answers: Answers) -> Self {
        Self(Arc::new(Mutex::new(Some(answers))))
    }
}

/// Puts the answers that a response carries in the place of its body.
pub(crate) fn hand_over(mut response: http::Response<Body>) -> http::Response<Body> {
    if let Some(Handover(answers)) = response.extensions_mut().remove::<Handover>()
        && let Some(answers) = answers.lock().unwrap_or_else(PoisonError::into_inner).take()
    {
        *response.body_mut() = Body::new(Frames { answers, pixels: Bytes::new(), rest: None, ended: false });
    }
    response
}

/// The body of a response: messages as frames, then the status as trailers.
struct Frames {
    answers: Answers,
    /// Of the message whose first piece is sent.
    pixels: Bytes,
    /// What is left of a batch of which parts are sent.
    rest: Option<Rest>,
    ended: bool,
}

/// A batch without the pixels that are sent.
#[derive(Debug)]
struct Rest {
    batch: Batch,
    sent: usize,
}

impl Frames {
    /// The next message of `rest`, of which the first piece is returned.
    fn part(&mut self, rest: Rest) -> Bytes {
        let (kind, rest) = rest.cut(self.answers.sizes.part);
        self.rest = rest;
        self.message(StreamBatchesResponse { kind: Some(kind) })
    }

    fn message(&mut self, message: StreamBatchesResponse) -> Bytes {
        let (first, pixels) = encode(message);
        self.pixels = pixels;
        first
    }
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

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.pixels.is_empty() {
            let pixels = std::mem::take(&mut self.pixels);
            return Poll::Ready(Some(Ok(Frame::data(pixels))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(self.part(rest)))));
        }
        let status = match ready!(self.answers.receiver.poll_recv(context)) {
            Some(Ok(StreamBatchesResponse { kind: Some(Kind::Batch(batch)) }))
                if batch.pixels.len() > self.answers.sizes.whole =>
            {
                return Poll::Ready(Some(Ok(Frame::data(self.part(Rest { batch, sent: 0 })))));
            }
            Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(self.message(message))))),
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.ended = true;
        let mut trailers = http::HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

/// The two pieces of `message`; the second is empty when it has no pixels.
fn encode(message: StreamBatchesResponse) -> (Bytes, Bytes) {
    match message.kind {
        Some(Kind::Batch(mut batch)) => {
            let pixels = std::mem::take(&mut batch.pixels);
            with_pixels(BATCH_FIELD, &batch, pixels)
        }
        Some(Kind::Part(mut part)) => {
            let pixels = std::mem::take(&mut part.pixels);
            with_pixels(PART_FIELD, &part, pixels)
        }
        _ => {
            let length = message.encoded_len();
            let mut first = prefixed(length, length);
            message.encode_raw(&mut first);
            (first.freeze(), Bytes::new())
        }
    }
}

/// The two pieces of the answer whose field `field` is `small` with `pixels` added.
fn with_pixels(field: u32, small: &impl prost::Message, pixels: Bytes) -> (Bytes, Bytes) {
    let pixels_head = key_len(PIXELS_FIELD) + encoded_len_varint(pixels.len() as u64);
    let inner_length = small.encoded_len() + pixels_head + pixels.len();
    let length = key_len(field) + encoded_len_varint(inner_length as u64) + inner_length;
    let mut first = prefixed(length, length - pixels.len());
    encode_key(field, WireType::LengthDelimited, &mut first);
    encode_varint(inner_length as u64, &mut first);
    small.encode_raw(&mut first);
    encode_key(PIXELS_FIELD, WireType::LengthDelimited, &mut first);
    encode_varint(pixels.len() as u64, &mut first);
    (first.freeze(), pixels)
}

/// The prefix of a message of `length` bytes, with room for `first` of them.
fn prefixed(length: usize, first: usize) -> BytesMut {
    let length = u32::try_from(length).expect("no message is larger than MAX_MESSAGE_BYTES");
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + first);
    bytes.put_u8(0);
    bytes.put_u32(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_proto::v1::StreamOpened;

    fn batch(rows: usize) -> StreamBatchesResponse {
        let words = Bytes::from(vec![3; 4 * rows]);
        let batch = Batch {
            index: 1 << 40,
            pixels: vec![9; rows * 3072].into(),
            labels: words.clone(),
            partner_labels: words.clone(),
            lambdas: words,
            checksum: 0xDEAD_BEEF,
        };
        StreamBatchesResponse { kind: Some(Kind::Batch(batch)) }
    }

    #[test]
    fn the_pieces_of_a_message_read_as_that_message() {
        let opened = StreamOpened { samples_per_epoch: 7, ..StreamOpened::default() };
        let opened = StreamBatchesResponse { kind: Some(Kind::Opened(opened)) };
        for message in [batch(0), batch(1), batch(5), batch(128), opened, StreamBatchesResponse::default()] {
            let (first, pixels) = encode(message.clone());
            assert_eq!(first[0], 0, "not compressed");
            let length = u32::from_be_bytes(first[1..PREFIX_BYTES].try_into().unwrap());
            let whole = [&first[PREFIX_BYTES..], &pixels].concat();
            assert_eq!(length as usize, whole.len());
            assert_eq!(StreamBatchesResponse::decode(whole.as_slice()).unwrap(), message);
        }
    }

    #[test]
    fn parts_of_any_size_are_the_pixels_in_order_without_a_copy_and_the_rest_comes_last() {
        let Some(Kind::Batch(whole)) = batch(3).kind else { unreachable!() };
        for part_bytes in [1, 7, 3072, 4608, 9215, 9216, 10_000] {
            let (mut pixels, mut messages) = (Vec::new(), 0);
            let mut rest = Some(Rest { batch: whole.clone(), sent: 0 });
            while let Some(left) = rest {
                let (kind, after) = left.cut(part_bytes);
                let message = StreamBatchesResponse { kind: Some(kind) };
                let (first, second) = encode(message.clone());
                let sent = [&first[PREFIX_BYTES..], &second].concat();
                assert_eq!(StreamBatchesResponse::decode(sent.as_slice()).unwrap(), message);
                assert_eq!(second.as_ptr(), whole.pixels[pixels.len()..].as_ptr());
                match message.kind {
                    Some(Kind::Part(part)) => {
                        assert_eq!((part.index, part.offset), (whole.index, pixels.len() as u64));
                        assert_eq!(part.pixels.len(), part_bytes);
                        pixels.extend_from_slice(&part.pixels);
                    }
                    Some(Kind::Batch(last)) => {
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

    #[test]
    fn pixels_are_not_copied() {
        let message = batch(128);
        let Some(Kind::Batch(built)) = &message.kind else { unreachable!() };
        let place = built.pixels.as_ptr();
        assert_eq!(encode(message).1.as_ptr(), place);
    }
}
