//! Answers as bytes: the pixels of a batch go to the socket from where the worker put them.
//!
//! tonic's encoder copies every message into a buffer of its own, which takes a tenth of a loader's CPU time. So tonic answers the
//! call with an empty stream, which carries the real body along as an extension, and a layer around the service puts that
//! body in its place. Requests, headers, statuses of calls that fail and every other method stay tonic's.
//!
//! A message leaves as two pieces at most: gRPC's prefix with all small fields, then the pixels. The order of fields is free in
//! protobuf (<https://protobuf.dev/programming-guides/encoding/#order>), so pixels can be last, and every reader understands it.

use super::Outgoing;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use mixfeed_proto::v1::StreamBatchesResponse;
use mixfeed_proto::v1::stream_batches_response::Kind;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio_stream::Stream as _;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;

/// Field numbers of `loader.proto`: the batch and the part in an answer, the pixels in either.
const BATCH_FIELD: u32 = 2;
const PART_FIELD: u32 = 4;
const PIXELS_FIELD: u32 = 2;

/// gRPC's prefix: not compressed, and the length of the message as u32 big-endian.
const PREFIX_BYTES: usize = 5;

/// Carries answers past tonic, which hands extensions through. They are `Clone`, a stream is not.
#[derive(Clone, Debug)]
pub(super) struct Handover(Arc<Mutex<Option<Outgoing>>>);

impl Handover {
    pub(super) fn new(answers: Outgoing) -> Self {
        Self(Arc::new(Mutex::new(Some(answers))))
    }
}

/// Puts the answers that a response carries in the place of its body.
pub(crate) fn hand_over(mut response: http::Response<Body>) -> http::Response<Body> {
    if let Some(Handover(answers)) = response.extensions_mut().remove::<Handover>()
        && let Some(answers) = answers.lock().unwrap_or_else(PoisonError::into_inner).take()
    {
        *response.body_mut() = Body::new(Frames { answers, pixels: Bytes::new(), ended: false });
    }
    response
}

/// The body of a response: messages as frames, then the status as trailers.
struct Frames {
    answers: Outgoing,
    /// Of the message whose first piece is sent.
    pixels: Bytes,
    ended: bool,
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
        let status = match ready!(Pin::new(&mut self.answers).poll_next(context)) {
            Some(Ok(message)) => {
                let (first, pixels) = encode(message);
                self.pixels = pixels;
                return Poll::Ready(Some(Ok(Frame::data(first))));
            }
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.ended = true;
        let mut trailers = http::HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

/// The two pieces of `message`; the second is empty when it has no pixels.
fn encode(mut message: StreamBatchesResponse) -> (Bytes, Bytes) {
    match &mut message.kind {
        Some(Kind::Batch(batch)) => {
            let pixels = std::mem::take(&mut batch.pixels);
            with_pixels(BATCH_FIELD, batch, pixels)
        }
        Some(Kind::Part(part)) => {
            let pixels = std::mem::take(&mut part.pixels);
            with_pixels(PART_FIELD, part, pixels)
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
    use mixfeed_proto::v1::{Batch, BatchPart, Progress, StreamOpened};

    fn batch(rows: usize) -> Kind {
        let words = Bytes::from(vec![3; 4 * rows]);
        Kind::Batch(Batch {
            index: 1 << 40,
            pixels: vec![9; rows * 3072].into(),
            labels: words.clone(),
            partner_labels: words.clone(),
            lambdas: words,
            checksum: 0xDEAD_BEEF,
            samples: Bytes::new(),
        })
    }

    #[test]
    fn the_pieces_of_a_message_read_as_that_message() {
        let part = BatchPart { index: 3, pixels: vec![5; 1 << 20].into(), offset: 7 };
        let messages = [
            Some(batch(0)),
            Some(batch(1)),
            Some(batch(128)),
            Some(Kind::Part(part)),
            Some(Kind::Opened(StreamOpened { samples_per_epoch: 7, ..StreamOpened::default() })),
            Some(Kind::Progress(Progress { index: 4, rows_done: 3, rows: 8 })),
            None,
        ];
        for message in messages.map(|kind| StreamBatchesResponse { kind }) {
            let (first, pixels) = encode(message.clone());
            assert_eq!(first[0], 0, "not compressed");
            let length = u32::from_be_bytes(first[1..PREFIX_BYTES].try_into().unwrap());
            let whole = [&first[PREFIX_BYTES..], &pixels].concat();
            assert_eq!(length as usize, whole.len());
            assert_eq!(StreamBatchesResponse::decode(whole.as_slice()).unwrap(), message);
        }
    }

    #[test]
    fn pixels_are_not_copied() {
        let kind = batch(128);
        let Kind::Batch(built) = &kind else { unreachable!() };
        let place = built.pixels.as_ptr();
        assert_eq!(encode(StreamBatchesResponse { kind: Some(kind) }).1.as_ptr(), place);
    }
}
