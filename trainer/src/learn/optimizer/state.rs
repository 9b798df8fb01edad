//! Taking over what an optimiser remembered.

use tch::{Tensor, no_grad};

/// A saved state does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("optimizer state {name}: {problem}")]
pub struct StateError {
    name: String,
    problem: &'static str,
}

impl StateError {
    pub(super) fn new(name: &str, problem: &'static str) -> Self {
        StateError { name: name.to_owned(), problem }
    }
}

/// Copies `saved` into the tensors of `own`, which must have the same names, shapes and kinds.
///
/// # Errors
/// When they have not; nothing is changed then.
pub(super) fn take_over(own: &[(String, Tensor)], saved: &[(String, Tensor)]) -> Result<(), StateError> {
    if let Some((name, _)) = saved.iter().find(|(name, _)| own.iter().all(|(own, _)| own != name)) {
        return Err(StateError::new(name, "is not part of it"));
    }
    let mut pairs = Vec::with_capacity(own.len());
    for (name, own) in own {
        let found = saved.iter().find(|(other, _)| other == name);
        let (_, value) = found.ok_or_else(|| StateError::new(name, "is missing"))?;
        if (own.size(), own.kind()) != (value.size(), value.kind()) {
            return Err(StateError::new(name, "has another shape or kind of number"));
        }
        pairs.push((own.shallow_clone(), value));
    }
    no_grad(|| pairs.iter_mut().for_each(|(own, value)| own.copy_(value)));
    Ok(())
}
