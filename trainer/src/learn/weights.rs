//! The digest of a set of named tensors: the name under which two trained models are compared.
//!
//! `weights_digest` is the BLAKE3 hash over all tensors, sorted by name (by bytes). For each tensor:
//!
//! | part  | bytes |
//! |-------|-------|
//! | name  | UTF-8, as in the checkpoint |
//! | end   | one 0x00 |
//! | dtype | the name safetensors gives it, ASCII: `F32`, `F64`, `I64`, … |
//! | rank  | u64 little-endian |
//! | dims  | one u64 little-endian each |
//! | data  | the values in row-major order, little-endian |
//!
//! It depends on values alone, not on device or memory layout. In Python, from a checkpoint:
//!
//! ```python
//! from blake3 import blake3; from safetensors.numpy import load_file; import numpy as np
//! names = {np.dtype("f4"): b"F32", np.dtype("f8"): b"F64", np.dtype("i8"): b"I64"}
//! tensors = load_file("checkpoint-last.safetensors")
//! hasher = blake3()
//! for name in sorted(n for n in tensors if "/" not in n):
//!     array = tensors[name]
//!     head = name.encode() + b"\0" + names[array.dtype]
//!     hasher.update(head + np.array([array.ndim, *array.shape], "<u8").tobytes())
//!     hasher.update(np.ascontiguousarray(array).tobytes())
//! print(hasher.hexdigest())
//! ```

use tch::{Device, Kind, Tensor};

/// The digest of a model's parameters and buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        blake3::Hash::from(self.0).fmt(f)
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Digests `tensors` as the module says.
///
/// # Panics
/// When a tensor is of a kind that [`dtype_name`] does not know.
pub fn digest<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Digest {
    let mut tensors: Vec<_> = tensors.into_iter().collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(name.as_bytes()).update(&[0]);
        hasher.update(dtype_name(tensor.kind()).as_bytes());
        let dims = tensor.size();
        hasher.update(&(dims.len() as u64).to_le_bytes());
        for dim in dims {
            hasher.update(&dim.cast_unsigned().to_le_bytes());
        }
        hasher.update(&row_major_bytes(tensor));
    }
    Digest(hasher.finalize().into())
}

/// The name that safetensors gives a kind of number.
///
/// # Panics
/// For kinds that no model here holds (complex and quantised ones).
#[must_use]
pub fn dtype_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "F32",
        Kind::Double => "F64",
        Kind::Half => "F16",
        Kind::BFloat16 => "BF16",
        Kind::Int64 => "I64",
        Kind::Int => "I32",
        Kind::Uint8 => "U8",
        Kind::Bool => "BOOL",
        other => panic!("no model holds tensors of kind {other:?}"),
    }
}

/// The values in row-major order, little-endian, whatever the layout and the device.
#[must_use]
pub fn row_major_bytes(tensor: &Tensor) -> Vec<u8> {
    // Every target that libtorch is built for is little-endian.
    const { assert!(cfg!(target_endian = "little")) };
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_names_shapes_kinds_and_values_and_on_nothing_else() {
        let a = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape([2, 3]);
        let b = Tensor::from_slice(&[7i64]);
        let base = digest([("a", &a), ("b", &b)]);
        assert_eq!(base, digest([("b", &b), ("a", &a)]), "the order they come in");
        let transposed_twice = a.transpose(0, 1).contiguous().transpose(0, 1);
        assert!(!transposed_twice.is_contiguous());
        assert_eq!(base, digest([("a", &transposed_twice), ("b", &b)]), "memory layout");
        for other in [
            digest([("a", &a)]),
            digest([("c", &a), ("b", &b)]),
            digest([("a", &a.reshape([3, 2])), ("b", &b)]),
            digest([("a", &a.to_kind(Kind::Double)), ("b", &b)]),
            digest([("a", &(&a + 1)), ("b", &b)]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn follows_the_documented_bytes() {
        let mut bytes = b"w\0F32".to_vec();
        bytes.extend(1u64.to_le_bytes());
        bytes.extend(2u64.to_le_bytes());
        bytes.extend(1f32.to_le_bytes());
        bytes.extend((-2f32).to_le_bytes());
        let expected = blake3::hash(&bytes).to_string();
        assert_eq!(digest([("w", &Tensor::from_slice(&[1f32, -2.0]))]).to_string(), expected);
    }
}
