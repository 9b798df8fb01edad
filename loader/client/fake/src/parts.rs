//! A batch in the messages that a fake loader sends it in, with what is wrong about them.

use crate::script::PartFault;
use mixfeed_proto::v1::stream_batches_response::Kind;
use mixfeed_proto::v1::{Batch, BatchFailure, BatchPart};

/// What a fake loader does next.
pub(crate) enum Step {
    Send(Kind),
    Stall,
    Break,
    Drain,
}

/// How `batch` is sent when a message has at most `most` bytes of pixels. A fault needs three parts at least to show.
pub(crate) fn steps(mut batch: Batch, max: usize, fault: Option<PartFault>) -> Vec<Step> {
    let (index, mut parts) = (batch.index, Vec::new());
    let mut offset = 0;
    while batch.pixels.len() > max {
        let pixels = batch.pixels.split_to(max);
        parts.push(BatchPart { index, pixels, offset });
        offset += max as u64;
    }
    let (empty, of_another) = (
        BatchPart { index, offset: max as u64, ..BatchPart::default() },
        BatchPart { index: index + 1, ..parts.first().cloned().unwrap_or_default() },
    );
    let failure = BatchFailure { index: index + 1, reason: 2, message: "a worker failed".into() };
    let mut end = Some(Kind::Batch(batch.clone()));
    let mut between = None;
    match fault {
        None => {}
        Some(PartFault::Missing) => drop(parts.remove(1)),
        Some(PartFault::Twice) => parts.insert(1, parts[1].clone()),
        Some(PartFault::Swapped) => parts.swap(0, 1),
        Some(PartFault::TooMany) => parts.extend_from_within(..),
        Some(PartFault::Empty) => parts.insert(1, empty),
        Some(PartFault::OfAnother) => parts.insert(1, of_another),
        Some(PartFault::Between) => {
            between = Some(Step::Send(Kind::Batch(Batch { index: index + 1, ..batch })));
        }
        Some(PartFault::Failure) => between = Some(Step::Send(Kind::Failure(failure))),
        Some(PartFault::NoEnd) => end = None,
        Some(PartFault::FlipBit) => {
            let mut pixels = parts[1].pixels.to_vec();
            pixels[0] ^= 8;
            parts[1].pixels = pixels.into();
        }
        Some(PartFault::Break) => between = Some(Step::Break),
        Some(PartFault::Drain) => between = Some(Step::Drain),
        Some(PartFault::Stall) => between = Some(Step::Stall),
    }
    let mut steps: Vec<_> = parts.into_iter().map(Kind::Part).chain(end).map(Step::Send).collect();
    if let Some(step) = between {
        steps.insert(1, step);
    }
    steps
}
