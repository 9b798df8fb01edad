//! The bytes of a checkpoint: safetensors with one metadata entry of ours.

use super::{FORMAT, Header};
use crate::learn::weights;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// The key of our header in the file's metadata.
const METADATA_KEY: &str = "mixfeed";

/// The key of that header's own BLAKE3 digest, hexadecimal: what finds damage to it.
const DIGEST_KEY: &str = "mixfeed-blake3";

/// All that has to be readable in a header of any release.
#[derive(Deserialize)]
struct Versioned {
    format: Option<u32>,
}

/// Why bytes are no checkpoint for this release.
pub(super) enum Unreadable {
    /// A newer release wrote them; its format.
    Newer(u32),
    /// What is wrong with them.
    Damaged(String),
}

/// Digest over everything in the file but the header.
pub(super) fn digest(tensors: &[(String, Tensor)]) -> String {
    weights::digest(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))).to_string()
}

pub(super) fn encode(header: &Header, tensors: &[(String, Tensor)]) -> Result<Vec<u8>, String> {
    let header = serde_json::to_string(header).map_err(|error| error.to_string())?;
    let data: Vec<_> = tensors.iter().map(|(_, tensor)| weights::row_major_bytes(tensor)).collect();
    let views = tensors.iter().zip(&data).map(|((name, tensor), data)| {
        let (dtype, _) = kinds()
            .into_iter()
            .find(|(_, kind)| *kind == tensor.kind())
            .ok_or_else(|| format!("tensor {name} is of kind {:?}", tensor.kind()))?;
        let shape = tensor.size().into_iter().map(|dim| dim as usize).collect();
        let view = TensorView::new(dtype, shape, data).map_err(|error| error.to_string())?;
        Ok((name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, String>>()?;
    let digest = blake3::hash(header.as_bytes()).to_string();
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), header), (DIGEST_KEY.to_owned(), digest)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
}

pub(super) fn decode(bytes: &[u8]) -> Result<(Header, Vec<(String, Tensor)>), Unreadable> {
    let damaged = |problem: &dyn std::fmt::Display| Unreadable::Damaged(problem.to_string());
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
    let entry = |key| metadata.metadata().as_ref().and_then(|entries| entries.get(key));
    let text = entry(METADATA_KEY).ok_or_else(|| damaged(&"it is not one of mixfeed's"))?;
    let is_whole = entry(DIGEST_KEY).map(|digest| *digest == blake3::hash(text.as_bytes()).to_string());
    if is_whole == Some(false) {
        return Err(damaged(&"its digest does not match its header"));
    }
    // The format next: of a newer header nothing else need be readable.
    match serde_json::from_str(text).map_err(|error| damaged(&error))? {
        Versioned { format: Some(format) } if format > FORMAT => return Err(Unreadable::Newer(format)),
        Versioned { format: Some(_) } => {}
        Versioned { format: None } => return Err(damaged(&"its format number is missing")),
    }
    if is_whole.is_none() {
        return Err(damaged(&"the digest of its header is missing"));
    }
    let header: Header = serde_json::from_str(text).map_err(|error| damaged(&error))?;

    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(&error))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let (_, kind) = kinds()
            .into_iter()
            .find(|(dtype, _)| *dtype == view.dtype())
            .ok_or_else(|| damaged(&format!("tensor {name} is of type {}", view.dtype())))?;
        let shape = view.shape().iter().map(|dim| i64::try_from(*dim)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|error| damaged(&error))?;
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).map_err(|error| damaged(&error))?;
        tensors.push((name.to_owned(), tensor));
    }
    if digest(&tensors) != header.tensors_digest {
        return Err(damaged(&"its digest does not match its tensors"));
    }
    Ok((header, tensors))
}

/// The kinds of numbers that models and optimisers hold.
fn kinds() -> [(Dtype, Kind); 8] {
    [
        (Dtype::F32, Kind::Float),
        (Dtype::F64, Kind::Double),
        (Dtype::F16, Kind::Half),
        (Dtype::BF16, Kind::BFloat16),
        (Dtype::I64, Kind::Int64),
        (Dtype::I32, Kind::Int),
        (Dtype::U8, Kind::Uint8),
        (Dtype::BOOL, Kind::Bool),
    ]
}
