//! The error of a spec that is out of range.

/// A field of a spec that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not allowed, {allowed}")]
pub struct SpecError {
    /// Name of the field, as in `mixing.alpha`.
    pub field: &'static str,
    /// The value found.
    pub value: String,
    /// What would be allowed.
    pub allowed: String,
}

impl SpecError {
    /// Makes an error about `field`.
    #[allow(clippy::needless_pass_by_value)] // Callers hand in numbers.
    pub fn new(field: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self { field, value: value.to_string(), allowed: allowed.into() }
    }
}

/// Checks that a number is 0 to `max`. NaN is refused.
pub(crate) fn check_range(field: &'static str, value: f64, max: f64) -> Result<(), SpecError> {
    if (0.0..=max).contains(&value) {
        return Ok(());
    }
    Err(SpecError::new(field, value, format!("0 to {max}")))
}
