//! Checkpoints, of a small model with the state of its optimiser, and of one that is an average.
//!
//! Their digests find all damage but that to themselves, so half of the inputs have digests that are made right: what
//! somebody would write who means harm.

use blake3::{Hash, Hasher};
use mixfeed_trainer::learn::ema::Ema;
use mixfeed_trainer::learn::model::{self, Model, ModelKind, Problem};
use mixfeed_trainer::learn::optimizer::{Adam, AdamConfig, Optimizer as _};
use mixfeed_trainer::learn::staging::Normalisation;
use mixfeed_trainer::run::checkpoint::{self, Contents, FORMAT, Header};
use safetensors::SafeTensors;
use serde::de::IgnoredAny;
use std::path::Path;
use tch::{Device, Kind, Tensor};

const PROBLEM: Problem = Problem { height: 4, width: 4, channels: 3, classes: 3 };

/// The digests, hexadecimal, as they stand in the file: of the header, and in the header that of the tensors.
const HEADER_DIGEST: &[u8] = b"\"mixfeed-blake3\":\"";
const TENSORS_DIGEST: &[u8] = b"\\\"tensors_digest\\\":\\\"";
const HEXADECIMAL: usize = 64;

/// Bytes of the number a safetensors file begins with: the length of the JSON text that follows.
const LENGTH: usize = 8;

fn trained() -> (Box<dyn Model>, Adam) {
    let mut model = model::build(ModelKind::Linear, PROBLEM, 5, Device::Cpu).unwrap();
    let mut adam = Adam::new(AdamConfig::default(), model.parameters());
    model
        .forward(&Tensor::ones([2, 3, 4, 4], (Kind::Float, Device::Cpu)))
        .square()
        .sum(Kind::Float)
        .backward();
    adam.step(model.parameters_mut(), 1e-3);
    (model, adam)
}

fn header() -> Header {
    Header {
        format: FORMAT,
        release: "0.1.0".to_owned(),
        model: ModelKind::Linear,
        problem: PROBLEM,
        normalisation: Normalisation::default(),
        batch_size: 4,
        output: None,
        dataset: "synthetic".to_owned(),
        dataset_digest: "00".repeat(32),
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        algorithm_fingerprint: "11".repeat(32),
        spec_digest: "22".repeat(32),
        recipe: [("lr".to_owned(), "0.1".to_owned())].into(),
        next_batch: 7,
        loss_sum: 0.5,
        loss_rows: 3,
        epoch_seconds: 0.1,
        epoch_data_wait_seconds: 0.7,
        replicas_seen: 2,
        history: Vec::new(),
        device: "cpu".to_owned(),
        threads: 2,
        cpu: "a processor".to_owned(),
        instructions: "AVX2".to_owned(),
        weights_digest: String::new(),
        tensors_digest: String::new(),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (model, adam) = trained();
    let average = Ema::new(0.9, model::build(ModelKind::Linear, PROBLEM, 6, Device::Cpu).unwrap());
    let seeds = [None, Some(average.model())].map(|average| {
        let contents = Contents { model: &*model, average, optimizer: &adam };
        checkpoint::write(file.path(), None, header(), &contents).unwrap();
        let written = std::fs::read(file.path()).unwrap();
        let mut mended = written.clone();
        mend(&mut mended);
        assert!(mended == written, "whole digests are right as they are");
        assert!(read(file.path()).is_some());
        written
    });
    seeds.into()
}

/// Writes the length that the file's header has, and the digests that the bytes have, where these stand.
pub(super) fn mend(file: &mut [u8]) {
    if let Some((length, rest)) = file.split_first_chunk_mut::<LENGTH>() {
        let mut texts = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        if let Some(Ok(_)) = texts.next() {
            let end = texts.byte_offset();
            let spaces = rest[end..].iter().take_while(|byte| **byte == b' ').count();
            *length = ((end + spaces) as u64).to_le_bytes();
        }
    }
    if let Some(digest) = SafeTensors::deserialize(file).ok().map(|tensors| tensors_digest(&tensors)) {
        replace(file, TENSORS_DIGEST, digest);
    }
    let header = SafeTensors::read_metadata(file).ok().and_then(|(_, metadata)| {
        let header = metadata.metadata().as_ref()?.get("mixfeed")?;
        Some(blake3::hash(header.as_bytes()))
    });
    if let Some(digest) = header {
        replace(file, HEADER_DIGEST, digest);
    }
}

fn replace(file: &mut [u8], before: &[u8], digest: Hash) {
    let Some(at) = file.windows(before.len()).position(|part| part == before) else { return };
    if let Some(place) = file.get_mut(at + before.len()..at + before.len() + HEXADECIMAL) {
        place.copy_from_slice(digest.to_hex().as_bytes());
    }
}

/// As `weights.rs` documents it, by other means than the trainer's.
fn tensors_digest(tensors: &SafeTensors<'_>) -> Hash {
    let mut names = tensors.names();
    names.sort_unstable();
    let mut hasher = Hasher::new();
    for name in names {
        let tensor = tensors.tensor(name).unwrap();
        hasher.update(name.as_bytes()).update(&[0]).update(tensor.dtype().to_string().as_bytes());
        hasher.update(&(tensor.shape().len() as u64).to_le_bytes());
        tensor.shape().iter().for_each(|dim| {
            hasher.update(&(*dim as u64).to_le_bytes());
        });
        hasher.update(tensor.data());
    }
    hasher.finalize()
}

pub(super) fn run(input: &[u8], folder: &Path) {
    let file = folder.join("checkpoint.safetensors");
    std::fs::write(&file, input).unwrap();
    if let Some(header) = read(&file) {
        let tensors = SafeTensors::deserialize(input).unwrap();
        assert_eq!(
            tensors_digest(&tensors).to_string(),
            header.tensors_digest,
            "tensors are those of the digest"
        );
    }
}

/// Reads a checkpoint and makes all of it that a resumed training makes; none where it is refused.
fn read(file: &Path) -> Option<Header> {
    let checkpoint = checkpoint::read(file).ok()?;
    assert!(checkpoint.header.format <= FORMAT);
    drop(checkpoint.model(Device::Cpu));
    if let Ok(model) = checkpoint.trained_model(Device::Cpu) {
        let mut adam = Adam::new(AdamConfig::default(), model.parameters());
        drop(checkpoint.restore(&mut adam));
    }
    Some(checkpoint.header)
}
