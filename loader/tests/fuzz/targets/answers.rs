//! What a loader sends, put before the client: the answer to `Describe` with its length before it, then the body of
//! the stream.
//!
//! Damage alone is found by the checksums, so each input is tried a second time with the checksums that its batches
//! have, as a loader would send it that is wrong and does not know.

use super::requests::{answer, body, cut, messages, opening, request};
use mixfeed_client::read_recorded;
use mixfeed_client::{Batch, LambdaScope, Mixing, MixingKind, PartnerSource, StreamSpec};
use mixfeed_proto::v1::stream_batches_response::Kind;
use mixfeed_proto::{BatchBytes, batch_checksum, limits, v1};
use prost::Message as _;
use std::path::Path;

/// Many times what the seeds have: the client keeps what it was sent, and nothing on anybody's word.
pub(super) const BYTES: usize = 4 << 20;

/// What the client has asked for.
fn spec() -> StreamSpec {
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha: 1.0,
        probability: 0.5,
        lambda_scope: LambdaScope::Sample,
        partner_source: PartnerSource::Dataset,
    };
    StreamSpec { batch_size: 3, limit: 10, mixing: Some(mixing), ..StreamSpec::default() }
}

/// Those of a real loader; one with a failure in it, which ours does not have.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let described = answer("Describe", &body(&[v1::DescribeRequest {}])).remove(0);
    let requests = [opening((&spec()).into()), request(&[0, 3, 7], &[])];
    let answers = answer("StreamBatches", &body(&requests));
    let mut answers: Vec<_> =
        answers.iter().map(|bytes| v1::StreamBatchesResponse::decode(bytes.as_slice()).unwrap()).collect();
    assert_eq!(answers.len(), 4, "an opening and three batches");
    let whole = input(&described, &answers);
    let in_parts = input(&described, &answers.iter().flat_map(in_parts).collect::<Vec<_>>());
    let reason = v1::FailureReason::DataLoss.into();
    let failure = v1::BatchFailure { index: 3, reason, message: "a record is damaged".into() };
    answers[2].kind = Some(Kind::Failure(failure));
    let progress = Some(Kind::Progress(v1::Progress { index: 0, rows_done: 2, rows: 8 }));
    answers.insert(1, v1::StreamBatchesResponse { kind: progress });
    let seeds = vec![whole, input(&described, &answers), in_parts];
    assert_eq!(seeds.iter().map(|seed| read(seed)).sum::<usize>(), 8, "what a loader sends is taken");
    seeds
}

/// The messages that a loader would send in the place of `answer`, if they were to be small.
fn in_parts(answer: &v1::StreamBatchesResponse) -> Vec<v1::StreamBatchesResponse> {
    let Some(Kind::Batch(mut batch)) = answer.kind.clone() else { return vec![answer.clone()] };
    let (index, max) = (batch.index, batch.pixels.len() / 3);
    let mut kinds = Vec::new();
    while batch.pixels.len() > max {
        let offset = (kinds.len() * max) as u64;
        kinds.push(Kind::Part(v1::BatchPart { index, pixels: batch.pixels.split_to(max), offset }));
    }
    kinds.push(Kind::Batch(batch));
    kinds.into_iter().map(|kind| v1::StreamBatchesResponse { kind: Some(kind) }).collect()
}

/// A batch with the pixels of the parts before it, which it takes from `before`.
fn put_together(before: &mut Vec<u8>, mut batch: v1::Batch) -> v1::Batch {
    before.extend_from_slice(&batch.pixels);
    batch.pixels = std::mem::take(before).into();
    batch
}

fn input(described: &[u8], answers: &[v1::StreamBatchesResponse]) -> Vec<u8> {
    [&(described.len() as u32).to_le_bytes(), described, &body(answers)].concat()
}

fn parts(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

pub(super) fn run(input: &[u8], _: &Path) {
    read(input);
    let Some((described, answers)) = parts(input) else { return };
    let Some(mut answers) = messages::<v1::StreamBatchesResponse>(answers) else { return };
    let mut before = Vec::new();
    for answer in &mut answers {
        match &mut answer.kind {
            Some(Kind::Part(part)) => before.extend_from_slice(&part.pixels),
            Some(Kind::Batch(batch)) => batch.checksum = checksum(&put_together(&mut before, batch.clone())),
            _ => {}
        }
    }
    read(&self::input(described, &answers));
}

/// Puts an input before the client, checks what it takes, and counts it.
fn read(input: &[u8]) -> usize {
    let Some((described, body)) = parts(input) else { return 0 };
    let mut taken = Vec::new();
    let spec = spec();
    let reading = read_recorded(&spec, described, cut(body), |batch| taken.push(batch));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // An error is what the client leaves the loader for; what it took before that has to be in order all the same.
    drop(runtime.block_on(reading));
    let mut sent = sent(body);
    let described = v1::DescribeResponse::decode(described);
    for batch in &taken {
        let of = sent.find(|sent| sent.index == batch.index).expect("what is taken was sent");
        check(batch, &of, described.as_ref().unwrap());
    }
    taken.len()
}

/// The batches in a body, in their order and put together, up to what is no message.
fn sent(mut body: &[u8]) -> impl Iterator<Item = v1::Batch> {
    let mut before = Vec::new();
    std::iter::from_fn(move || {
        let (_, message, rest) = super::requests::first_message(body)?;
        body = rest;
        v1::StreamBatchesResponse::decode(message).ok()
    })
    .filter_map(move |answer| match answer.kind {
        Some(Kind::Part(part)) => {
            before.extend_from_slice(&part.pixels);
            None
        }
        Some(Kind::Batch(batch)) => Some(put_together(&mut before, batch)),
        _ => None,
    })
}

fn checksum(batch: &v1::Batch) -> u32 {
    batch_checksum(&BatchBytes::of(batch, &mixfeed_proto::digest_of(&spec())))
}

/// What must hold of a batch that is trained on, by the contract.
fn check(batch: &Batch, sent: &v1::Batch, described: &v1::DescribeResponse) {
    assert_eq!(checksum(sent), sent.checksum, "a batch under a wrong checksum");
    assert_eq!(batch.pixels, sent.pixels);
    let bytes = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(bytes(&batch.labels), sent.labels);
    assert_eq!(bytes(&batch.partner_labels), sent.partner_labels);
    assert_eq!(bytes(&batch.lambdas), sent.lambdas);
    assert!(batch.samples.is_empty() && sent.samples.is_empty(), "sample ids that nobody asked for");
    let dataset = described.dataset.as_ref().unwrap();
    let image = dataset.image.unwrap();
    let values = u64::from(image.height) * u64::from(image.width) * u64::from(image.channels);
    assert!((1..=u64::from(spec().batch_size)).contains(&(batch.rows as u64)));
    assert_eq!(batch.pixels.len() as u64, batch.rows as u64 * values);
    let parts = [&batch.labels, &batch.partner_labels, &batch.lambdas];
    assert!(parts.iter().all(|part| part.len() == batch.rows));
    let mut labels = batch.labels.iter().chain(&batch.partner_labels);
    assert!(labels.all(|label| (*label as usize) < dataset.classes.len()));
    assert!(batch.lambdas.iter().all(|lambda| *lambda <= limits::LAMBDA_ONE));
}
