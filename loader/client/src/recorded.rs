//! What a loader sent, put before the client's own gates without a connection: for tests that feed it anything.

use crate::answers::Answers;
use crate::batch::Batch;
use crate::checks::Gate;
use crate::identity::Identity;
use crate::parts::Intake;
use crate::session::{message_bytes, opened_by};
use bytes::Bytes;
use http_body::Frame;
use mixfeed_proto::v1;
use mixfeed_proto::v1::stream_batches_response::Kind;
use mixfeed_streamspec::StreamSpec;
use prost::Message as _;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue};

/// Reads what a loader answered to `Describe` and what it sent on the stream of `spec`, the latter in the pieces in
/// which it came and with a status of OK behind it. Each batch that passes the checks is handed to `passed`.
///
/// # Errors
/// What the client would have found wrong with the loader, and left it for.
pub async fn read_recorded(
    spec: &StreamSpec,
    described: &[u8],
    pieces: impl IntoIterator<Item = Bytes>,
    mut passed: impl FnMut(Batch),
) -> Result<(), String> {
    let described = v1::DescribeResponse::decode(described).map_err(|error| error.to_string())?;
    let identity = Identity::read(described)?;
    let body = Body::new(Pieces { pieces: pieces.into_iter().collect(), ended: false });
    let mut answers = Answers::of(body, message_bytes(spec, &identity));
    let mut next = async || answers.message().await.map_err(|status| status.message().to_owned());
    let Some(first) = next().await? else { return Ok(()) };
    let geometry = identity.geometry(spec)?;
    opened_by(&geometry, &first)?;
    let classes = u32::try_from(identity.dataset.classes.len()).unwrap_or(u32::MAX);
    let mut intake = Intake::new(Gate {
        geometry: Arc::new(geometry),
        spec_digest: mixfeed_proto::digest_of(spec),
        classes,
    });
    while let Some(answer) = next().await? {
        match answer.kind {
            Some(Kind::Batch(batch)) => passed(intake.batch(batch).map_err(|fault| fault.to_string())?),
            Some(Kind::Part(part)) => intake.part(&part).map_err(|fault| fault.to_string())?,
            Some(Kind::Failure(_) | Kind::Progress(_)) => {
                intake.other().map_err(|fault| fault.to_string())?;
            }
            Some(Kind::Opened(_)) => return Err("it opened its stream twice".into()),
            None => {}
        }
    }
    Ok(())
}

/// A body in the pieces in which it came.
struct Pieces {
    pieces: VecDeque<Bytes>,
    ended: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.pieces.pop_front().map(Frame::data);
        let ended = std::mem::replace(&mut self.ended, data.is_none());
        let status = || Frame::trailers(HeaderMap::from_iter([trailer()]));
        Poll::Ready(data.or_else(|| (!ended).then(status)).map(Ok))
    }
}

fn trailer() -> (tonic::codegen::http::HeaderName, HeaderValue) {
    (tonic::codegen::http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))
}
