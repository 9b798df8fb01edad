//! What PyTorch computes where the trainer has code of its own, for tests: `tests/reference/training.py`
//! wrote it down.

use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// All of it.
pub(crate) fn training() -> Value {
    serde_json::from_str(include_str!("../../tests/reference/training.json")).unwrap()
}

/// A list of numbers.
pub(crate) fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The script's numbers between -1 and 1.
pub(crate) fn wave(count: i64, phase: f64) -> Tensor {
    let index = Tensor::arange(count, (Kind::Double, Device::Cpu));
    (index * 0.7 + phase).sin().to_kind(Kind::Float)
}

/// All values, in row-major order.
pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.detach().contiguous().flatten(0, -1).to_kind(Kind::Double);
    flat.try_into().unwrap()
}

/// Every value is the expected one, up to the share `tolerance` of the largest.
pub(crate) fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (place, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference = (got - expected).abs();
        assert!(difference <= tolerance * largest, "{what}, value {place}: {got} is not {expected}");
    }
}
