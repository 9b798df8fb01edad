//! `verify --against`: whether loaders send what this machine makes of its own copy of the data.

use super::checks::Check;
use crate::batch::bytes_of;
use crate::commands::failure::Failure;
use crate::config::VerifyArgs;
use mixfeed_client::{BlockingStream, Endpoint, LoaderHistory, Security, StreamConfig, StreamEnd};
use mixfeed_ops::grpc::{CredentialFiles, Credentials};
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, Scratch, collate};
use mixfeed_proto::{batch_digest, digest_of};
use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How long a loader has for each batch.
const PATIENCE: Duration = Duration::from_secs(30);

/// Compares `args.against_batches` batches of these epochs of each loader, drawn at random, with those that are made here. A loader that cannot
/// be reached, refuses or fails has not passed.
pub(super) fn checks(
    args: &VerifyArgs,
    checked: &CheckedSpec,
    dataset: &Dataset,
    epochs: &[u64],
) -> Result<Vec<Check>, Failure> {
    let security = security(args)?;
    let per_epoch = checked.epochs().batches();
    let batches = per_epoch.saturating_mul(epochs.len() as u64);
    let mut checks = Vec::new();
    for loader in &args.against {
        let endpoint: Endpoint = loader.parse().map_err(Failure::usage)?;
        // Each loader has its own, which it cannot know.
        let (key, mut indices) = (RandomState::new(), BTreeSet::new());
        let mut drawn = 0_u64;
        while (indices.len() as u64) < u64::from(args.against_batches).min(batches) {
            let number = key.hash_one(drawn) % batches;
            indices.insert(epochs[(number / per_epoch) as usize] * per_epoch + number % per_epoch);
            drawn += 1;
        }
        let mut wrong = Vec::new();
        let history = LoaderHistory::default();
        for index in &indices {
            let config = StreamConfig {
                start: *index,
                end: StreamEnd::Batch(index + 1),
                security: security.clone(),
                history: history.clone(),
                loader_timeout: PATIENCE,
                run_id: "verify".into(),
                ..StreamConfig::new(vec![endpoint.clone()], *checked.spec())
            };
            match received(config) {
                Ok(digest) if digest == own(checked, dataset, *index)? => {}
                Ok(_) => wrong.push(format!("batch {index} differs")),
                Err(reason) => {
                    wrong.push(reason);
                    break;
                }
            }
        }
        let found = match wrong.first() {
            None => format!("{} of {batches} batches compared, all equal", indices.len()),
            Some(first) => {
                format!("{first}; {} of {} batches not as they should be", wrong.len(), indices.len())
            }
        };
        let name = format!("loader {loader}").into();
        checks.push(Check { name, passed: wrong.is_empty(), p_value: None, found });
    }
    Ok(checks)
}

fn received(config: StreamConfig) -> Result<[u8; 32], String> {
    let mut stream = BlockingStream::open(config).map_err(|error| error.to_string())?;
    match stream.next() {
        Some(Ok(batch)) => Ok(batch.digest()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("it sent nothing".to_owned()),
    }
}

fn own(checked: &CheckedSpec, dataset: &Dataset, index: u64) -> Result<[u8; 32], Failure> {
    let plan = BatchPlan::new(checked, index);
    let samples = dataset.samples(checked.spec().split).as_ref();
    let mut batch = BatchBuffer::default();
    collate(checked, &plan, samples, &mut Scratch::default(), &mut batch)?;
    Ok(batch_digest(&bytes_of(&batch, &digest_of(checked.spec()), index)))
}

fn security(args: &VerifyArgs) -> Result<Security, Failure> {
    let files = CredentialFiles {
        tls_ca: args.tls_ca.clone(),
        tls_cert: None,
        tls_key: None,
        auth_token: args.auth_token_file.clone(),
    };
    let Credentials { tls, token } = files.read().map_err(Failure::usage)?;
    let mut security = Security::default();
    if let Some(tls) = &tls {
        security = security.with_tls(&tls.ca, None);
    }
    match &token {
        Some(token) => security.with_token(token.expose()).map_err(Failure::usage),
        None => Ok(security),
    }
}
