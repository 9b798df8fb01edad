//! The named tensors of a model: what an optimiser changes and a checkpoint keeps.
//!
//! libtorch's own variable store is not used: its names and its file format are its own, and it
//! hides what exact resume needs.

use tch::{Device, Tensor, no_grad};

/// Named parameters in the order in which the model made them.
#[derive(Debug, Default)]
pub struct Parameters {
    named: Vec<(String, Tensor)>,
}

/// A set of saved tensors does not belong to this model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// A tensor is not there.
    #[error("parameter {0} is missing")]
    Missing(String),
    /// A tensor is there that the model does not have.
    #[error("parameter {0} is not one of this model")]
    Unknown(String),
    /// A tensor has another shape.
    #[error("parameter {name} has shape {got:?}, the model has {wanted:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape of the model's tensor.
        wanted: Vec<i64>,
        /// The shape of the saved one.
        got: Vec<i64>,
    },
}

impl Parameters {
    /// Adds a tensor, which from then on collects gradients.
    pub(super) fn add(&mut self, name: String, tensor: &Tensor) {
        debug_assert!(self.named.iter().all(|(other, _)| *other != name), "{name} twice");
        self.named.push((name, tensor.set_requires_grad(true)));
    }

    /// Weight and bias of a layer.
    ///
    /// # Panics
    /// When the model has no such layer, which is a mistake in its own file.
    pub(super) fn layer(&self, layer: &str) -> (&Tensor, &Tensor) {
        let find = |part: &str| {
            let is_it =
                |name: &str| name.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.')) == Some(part);
            self.named.iter().find(|(name, _)| is_it(name)).map(|(_, tensor)| tensor)
        };
        find("weight").zip(find("bias")).unwrap_or_else(|| panic!("the model has no layer {layer}"))
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensors to be changed, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        self.named.iter_mut().map(|(_, tensor)| tensor)
    }

    /// How many numbers are learnt.
    #[must_use]
    pub fn count(&self) -> usize {
        self.named.iter().map(|(_, tensor)| tensor.numel()).sum()
    }

    /// Where the tensors live.
    #[must_use]
    pub fn device(&self) -> Device {
        self.named.first().map_or(Device::Cpu, |(_, tensor)| tensor.device())
    }

    /// Forgets all gradients, before those of the next step are collected.
    pub fn zero_grad(&mut self) {
        self.named.iter_mut().for_each(|(_, tensor)| tensor.zero_grad());
    }

    /// Takes over the values of `saved`, which must hold exactly these names and shapes. The memory
    /// layout of the model's own tensors stays.
    ///
    /// # Errors
    /// When a name is missing or unknown, or a shape differs; nothing is changed then.
    pub fn load(&mut self, saved: &[(String, Tensor)]) -> Result<(), ParametersError> {
        if let Some((name, _)) = saved.iter().find(|(name, _)| self.iter().all(|(own, _)| own != name)) {
            return Err(ParametersError::Unknown(name.clone()));
        }
        let mut pairs = Vec::with_capacity(self.named.len());
        for (name, own) in &mut self.named {
            let (_, value) = saved
                .iter()
                .find(|(other, _)| other == name)
                .ok_or_else(|| ParametersError::Missing(name.clone()))?;
            if own.size() != value.size() {
                return Err(ParametersError::Shape {
                    name: name.clone(),
                    wanted: own.size(),
                    got: value.size(),
                });
            }
            pairs.push((own, value));
        }
        no_grad(|| pairs.into_iter().for_each(|(own, value)| own.copy_(value)));
        Ok(())
    }
}
