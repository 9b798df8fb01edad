//! Answers on their way in: messages out of HTTP/2 frames, their pixels where the socket left them.
//!
//! tonic's decoder gathers frames in a buffer of its own, which copies every batch once more. Here the
//! frames are kept as they come, and a message is read across them: what lies in one frame, as
//! the pixels of a batch do when the loader is mixfeed's, is handed on without a copy, and anything
//! else is put together. The call itself, its headers and its statuses are tonic's types.

use crate::transport::Connection;
use bytes::{Buf, Bytes};
use http_body::Body as _;
use mixfeed_proto::limits::MAX_REQUEST_BYTES;
use mixfeed_proto::v1;
use prost::Message as _;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::client::GrpcService as _;
use tonic::codec::{BufferSettings, EncodeBody};
use tonic::codegen::http::{Method, Request, Version, header};
use tonic::{Code, Status};
use tonic_prost::ProstEncoder;

const METHOD: &str = "/mixfeed.v1.LoaderService/StreamBatches";

/// gRPC's prefix: a byte that is 1 when the message is compressed, and its length as u32 big-endian.
const PREFIX_BYTES: usize = 5;

/// The answers of one `StreamBatches` call.
#[derive(Debug)]
pub(crate) struct Answers {
    body: Body,
    received: Segments,
    /// Length of the message that is being received, once its prefix is there.
    length: Option<usize>,
    /// Longest message that is taken.
    limit: usize,
}

/// Calls `StreamBatches`. An answer of more than `limit` bytes will end the stream with
/// [`Code::OutOfRange`].
pub(crate) async fn stream_batches(
    connection: &mut Connection,
    requests: impl Stream<Item = v1::StreamBatchesRequest> + Send + 'static,
    limit: usize,
) -> Result<Answers, Status> {
    let encoder = ProstEncoder::new(BufferSettings::default());
    let body = EncodeBody::new_client(encoder, requests.map(Ok), None, Some(MAX_REQUEST_BYTES));
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(METHOD)
        .version(Version::HTTP_2)
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(Body::new(body))
        .expect("constant parts make a request");
    connection.security.authorize(request.headers_mut());
    let channel = &mut connection.channel;
    poll_fn(|context| channel.poll_ready(context)).await.map_err(transport_failed)?;
    let response = channel.call(request).await.map_err(transport_failed)?;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => return Err(status),
        None if !response.status().is_success() => {
            return Err(Status::unavailable(format!("HTTP status {}", response.status())));
        }
        _ => {}
    }
    Ok(Answers::of(response.into_body(), limit))
}

impl Answers {
    /// Those that `body` holds.
    pub(crate) fn of(body: Body, limit: usize) -> Self {
        Answers { body, received: Segments::default(), length: None, limit }
    }
}

fn transport_failed(error: tonic::transport::Error) -> Status {
    Status::from_error(error.into())
}

impl Answers {
    /// The next answer; nothing when the loader ended the stream in good order. Cancel safe.
    pub(crate) async fn message(&mut self) -> Result<Option<v1::StreamBatchesResponse>, Status> {
        loop {
            if let Some(message) = self.decode()? {
                return Ok(Some(message));
            }
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            let Some(frame) = frame.transpose()? else {
                return Err(Status::unavailable("the stream ended without a status"));
            };
            match frame.into_data() {
                Ok(data) => self.received.push(data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return self.ended(Status::from_header_map(&trailers)).map(|()| None);
                }
            }
        }
    }

    fn ended(&self, status: Option<Status>) -> Result<(), Status> {
        match status {
            Some(status) if status.code() != Code::Ok => Err(status),
            Some(_) if self.received.has_remaining() => {
                Err(Status::unavailable("the stream ended within a message"))
            }
            Some(_) => Ok(()),
            None => Err(Status::unavailable("the stream ended without a status")),
        }
    }

    /// The next message, if all of it is there.
    fn decode(&mut self) -> Result<Option<v1::StreamBatchesResponse>, Status> {
        let length = match self.length {
            Some(length) => length,
            None if self.received.remaining() < PREFIX_BYTES => return Ok(None),
            None => {
                if self.received.get_u8() != 0 {
                    return Err(Status::internal("a message is compressed, which was not asked for"));
                }
                let length = self.received.get_u32() as usize;
                if length > self.limit {
                    let limit = self.limit;
                    let text = format!("a message of {length} bytes, at most {limit} are allowed");
                    return Err(Status::out_of_range(text));
                }
                *self.length.insert(length)
            }
        };
        if self.received.remaining() < length {
            return Ok(None);
        }
        self.length = None;
        let message = v1::StreamBatchesResponse::decode((&mut self.received).take(length));
        message.map(Some).map_err(|error| Status::internal(format!("a message cannot be read: {error}")))
    }
}

/// Pieces that together are no longer than this are joined. Without it, frames of one byte each would
/// cost many times their length to keep.
const JOINED_BYTES: usize = 256;

/// Bytes in the pieces in which they came.
#[derive(Debug, Default)]
struct Segments {
    pieces: VecDeque<Bytes>,
    remaining: usize,
}

impl Segments {
    fn push(&mut self, piece: Bytes) {
        self.remaining += piece.len();
        match self.pieces.back_mut() {
            _ if piece.is_empty() => {}
            Some(last) if last.len() + piece.len() <= JOINED_BYTES => {
                *last = [last.as_ref(), &piece].concat().into();
            }
            _ => self.pieces.push_back(piece),
        }
    }
}

impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], Bytes::as_ref)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "cannot go beyond the end");
        self.remaining -= count;
        while count > 0 {
            let piece = self.pieces.front_mut().expect("as many bytes as remain");
            let here = count.min(piece.len());
            piece.advance(here);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            count -= here;
        }
    }

    /// Shares the bytes when they lie in one piece.
    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        assert!(length <= self.remaining, "cannot go beyond the end");
        if let Some(piece) = self.pieces.front()
            && piece.len() >= length
        {
            let shared = piece.slice(..length);
            self.advance(length);
            return shared;
        }
        let mut copy = Vec::with_capacity(length);
        while copy.len() < length {
            let here = self.chunk().len().min(length - copy.len());
            copy.extend_from_slice(&self.chunk()[..here]);
            self.advance(here);
        }
        copy.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use v1::stream_batches_response::Kind;

    fn answers(body: Body) -> Answers {
        Answers::of(body, 1 << 20)
    }

    fn batch(index: u64, pixels: usize) -> v1::StreamBatchesResponse {
        let batch = v1::Batch {
            index,
            pixels: (0..pixels).map(|i| i as u8).collect(),
            labels: vec![1; 8].into(),
            ..v1::Batch::default()
        };
        v1::StreamBatchesResponse { kind: Some(Kind::Batch(batch)) }
    }

    fn framed(message: &v1::StreamBatchesResponse) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((message.encoded_len() as u32).to_be_bytes());
        message.encode(&mut bytes).unwrap();
        bytes
    }

    fn decode_all(pieces: impl IntoIterator<Item = Bytes>) -> Vec<v1::StreamBatchesResponse> {
        let mut answers = answers(Body::empty());
        let mut messages = Vec::new();
        for piece in pieces {
            answers.received.push(piece);
            while let Some(message) = answers.decode().unwrap() {
                messages.push(message);
            }
        }
        assert_eq!((answers.received.remaining(), answers.length), (0, None));
        messages
    }

    proptest! {
        #[test]
        fn messages_do_not_depend_on_how_they_were_cut(
            sizes in proptest::collection::vec(0_usize..300, 1..5),
            cuts in proptest::collection::vec(1_usize..100, 1..40),
        ) {
            let sent: Vec<_> = sizes.iter().enumerate().map(|(i, size)| batch(i as u64, *size)).collect();
            let mut rest = Bytes::from(sent.iter().flat_map(framed).collect::<Vec<_>>());
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                pieces.push(rest.split_to((*cut).min(rest.len())));
            }
            prop_assert_eq!(decode_all(pieces), sent);
        }
    }

    #[test]
    fn pixels_that_lie_in_one_frame_are_not_copied() {
        let bytes = Bytes::from(framed(&batch(1, 5000)));
        let inside = bytes.as_ptr_range();
        let Some(Kind::Batch(batch)) = decode_all([bytes]).remove(0).kind else { panic!("not a batch") };
        assert!(inside.contains(&batch.pixels.as_ptr()));
    }

    #[test]
    fn a_message_in_frames_of_one_byte_is_kept_in_few_pieces() {
        let mut segments = Segments::default();
        let bytes: Vec<_> = (0..10_000).map(|i| i as u8).collect();
        for byte in &bytes {
            segments.push(Bytes::copy_from_slice(&[*byte]));
        }
        assert!(segments.pieces.len() <= 10_000 / JOINED_BYTES + 1, "{} pieces", segments.pieces.len());
        assert_eq!(segments.copy_to_bytes(10_000), bytes);
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_before_it_is_received() {
        let mut answers = answers(Body::empty());
        answers.received.push(Bytes::from_static(&[0, 0xFF, 0xFF, 0xFF, 0xFF]));
        assert_eq!(answers.decode().unwrap_err().code(), Code::OutOfRange);
    }

    #[test]
    fn compressed_and_broken_messages_are_refused() {
        for bytes in [&[1_u8, 0, 0, 0, 0][..], &[0, 0, 0, 0, 2, 0xFF, 0xFF]] {
            let mut answers = answers(Body::empty());
            answers.received.push(Bytes::copy_from_slice(bytes));
            assert_eq!(answers.decode().unwrap_err().code(), Code::Internal, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn an_end_without_a_status_is_no_good_order() {
        let error = answers(Body::empty()).message().await.unwrap_err();
        assert_eq!(error.message(), "the stream ended without a status");
        let mut cut = answers(Body::empty());
        cut.received.push(Bytes::from_static(&[0, 0]));
        let error = cut.ended(Some(Status::ok(""))).unwrap_err();
        assert_eq!(error.message(), "the stream ended within a message");
        assert!(answers(Body::empty()).ended(Some(Status::ok(""))).is_ok());
    }
}
