//! Weight decay: what pulls parameters towards zero.

use tch::Tensor;

/// How strongly, and which parameters. The default pulls at none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightDecay {
    /// Share of a parameter that is added to its gradient (or, decoupled, taken off at a learning rate
    /// of one); at least 0.
    pub rate: f64,
    /// Whether biases and the parameters of normalisations are left alone.
    pub spares_norm_and_bias: bool,
}

impl WeightDecay {
    /// The rate for one parameter. Biases and the parameters of normalisations are those with one
    /// dimension at most, whatever they are called.
    pub(super) fn of(self, parameter: &Tensor) -> f64 {
        if self.spares_norm_and_bias && parameter.dim() <= 1 { 0.0 } else { self.rate }
    }
}
