//! The canonical encoding of a `StreamSpec` and its digest, as `loader.proto` defines them.
//!
//! Both ends compute this digest: the client over what it means, the loader over what it
//! understood. prost drops fields that it does not know, so a spec with such a field comes out
//! with another digest and is refused instead of being half obeyed.
//!
//! The encoding follows the descriptor, so that a new field of the spec is a change of `loader.proto` alone.

#[cfg(test)]
mod tests;

use crate::v1::StreamSpec;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The first bytes of what is hashed: a digest of another message can never be mistaken for one.
const DOMAIN: &[u8] = b"mixfeed.v1.StreamSpec";

static DESCRIPTOR: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).expect("the build made it");
    pool.get_message_by_name("mixfeed.v1.StreamSpec").expect("loader.proto has it")
});

/// Returns the SHA-256 of the canonical encoding of `spec`.
#[must_use]
pub fn spec_digest(spec: &StreamSpec) -> [u8; 32] {
    Sha256::new().chain_update(DOMAIN).chain_update(encoding(&dynamic(spec))).finalize().into()
}

fn dynamic(spec: &StreamSpec) -> DynamicMessage {
    let bytes = spec.encode_to_vec();
    DynamicMessage::decode(DESCRIPTOR.clone(), &*bytes).expect("a message of this descriptor")
}

/// Fields in ascending order of number, those at their default left out: number, then the value as a word, or its length
/// and its bytes; for each element of a repeated field anew.
fn encoding(message: &DynamicMessage) -> Vec<u8> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    let mut out = Vec::new();
    for (field, value) in fields {
        let each = match value {
            Value::List(elements) => elements,
            one => std::slice::from_ref(one),
        };
        for value in each {
            out.extend(field.number().to_le_bytes());
            out.extend(bytes_of(value));
        }
    }
    out
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::Bool(value) => word(u64::from(*value)),
        Value::U32(value) => word(u64::from(*value)),
        Value::U64(value) => word(*value),
        // Signed on the wire; an unknown negative value still has one encoding.
        Value::EnumNumber(value) => word(i64::from(*value).cast_unsigned()),
        Value::F64(value) => word(value.to_bits()),
        Value::String(text) => sized(text.as_bytes()),
        Value::Message(inner) => sized(&encoding(inner)),
        other => unreachable!("loader.proto has no {other:?} in a spec"),
    }
}

fn word(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}
