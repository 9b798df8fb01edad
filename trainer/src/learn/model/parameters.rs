//! The named tensors of a model: what an optimiser changes and a checkpoint keeps.
//!
//! Parameters are learnt from gradients. Buffers belong to the model as much, but are kept up by its
//! forward pass: the running statistics of a batch normalisation. Optimisers see parameters only;
//! digests, checkpoints and averages see both.
//!
//! libtorch's own variable store is not used: its names and its file format are its own, and it
//! hides what exact resume needs.

use tch::{Device, Tensor, no_grad};

/// Named parameters and buffers, each in the order in which the model made them.
#[derive(Debug, Default)]
pub struct Parameters {
    named: Vec<(String, Tensor)>,
    buffers: Vec<(String, Tensor)>,
}

/// A set of saved tensors does not belong to this model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// A tensor is not there.
    #[error("tensor {0} is missing")]
    Missing(String),
    /// A tensor is there that the model does not have.
    #[error("tensor {0} is not one of this model")]
    Unknown(String),
    /// A tensor has another shape.
    #[error("tensor {name} has shape {got:?}, the model has {wanted:?}")]
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
    /// These parameters, which from now on collect gradients, and these buffers.
    pub(crate) fn of(named: &[(String, Tensor)], buffers: Vec<(String, Tensor)>) -> Self {
        let mut parameters = Parameters::default();
        named.iter().for_each(|(name, tensor)| parameters.add(name.clone(), tensor));
        buffers.into_iter().for_each(|(name, tensor)| parameters.add_buffer(name, tensor));
        parameters
    }

    /// Adds a tensor, which from then on collects gradients.
    pub(super) fn add(&mut self, name: String, tensor: &Tensor) {
        debug_assert!(self.all().all(|(other, _)| *other != name), "{name} twice");
        self.named.push((name, tensor.set_requires_grad(true)));
    }

    /// Adds a tensor that the forward pass keeps up.
    pub(super) fn add_buffer(&mut self, name: String, tensor: Tensor) {
        debug_assert!(self.all().all(|(other, _)| *other != name), "{name} twice");
        self.buffers.push((name, tensor));
    }

    /// Weight and bias of a layer.
    ///
    /// # Panics
    /// When the model has no such layer, which is a mistake in its own file.
    pub(super) fn layer(&self, layer: &str) -> (&Tensor, &Tensor) {
        (self.part(layer, "weight"), self.part(layer, "bias"))
    }

    /// The parameter or buffer `layer.part`.
    ///
    /// # Panics
    /// When the model has none of that name, which is a mistake in its own file.
    pub(super) fn part(&self, layer: &str, part: &str) -> &Tensor {
        let is_it =
            |name: &str| name.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.')) == Some(part);
        let found = self.all().find(|(name, _)| is_it(name));
        found.map_or_else(|| panic!("the model has no {layer}.{part}"), |(_, tensor)| tensor)
    }

    /// Names and tensors of the parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The parameters to be changed, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        self.named.iter_mut().map(|(_, tensor)| tensor)
    }

    /// Names and tensors of the parameters and then of the buffers: all that makes the model what it
    /// is.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named.iter().chain(&self.buffers).map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The buffers, in order.
    pub fn buffers(&self) -> impl Iterator<Item = &Tensor> {
        self.buffers.iter().map(|(_, tensor)| tensor)
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

    /// Takes over the values of `saved`, which must hold exactly the names and shapes of the parameters
    /// and buffers. The memory layout of the model's own tensors stays.
    ///
    /// # Errors
    /// When a name is missing or unknown, or a shape differs; nothing is changed then.
    pub fn load(&mut self, saved: &[(String, Tensor)]) -> Result<(), ParametersError> {
        if let Some((name, _)) = saved.iter().find(|(name, _)| self.all().all(|(own, _)| own != name)) {
            return Err(ParametersError::Unknown(name.clone()));
        }
        let mut pairs = Vec::with_capacity(saved.len());
        for (name, own) in self.named.iter_mut().chain(&mut self.buffers) {
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
