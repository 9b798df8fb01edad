//! What a user asked for cannot be done as asked.

/// A settings value is out of its range, or two of them contradict each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub(crate) String);

impl UsageError {
    /// An error with this text.
    pub(crate) fn new(text: &str) -> Self {
        UsageError(text.to_owned())
    }
}
