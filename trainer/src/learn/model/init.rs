//! PyTorch's default initial weights, drawn from the seed alone.
//!
//! Every value is uniform in ±1/√fan_in: that is what `kaiming_uniform_(a=√5)` of `nn.Conv2d` and
//! `nn.Linear` comes to, for weights and biases alike: He's scheme (arXiv:1502.01852) with a gain of
//! 1/√3. Batch normalisations begin as the identity. The bits come from BLAKE3 keyed by seed and
//! parameter name, not from libtorch's generator: the same on every device, for any number of
//! threads, in whatever order the layers are made, and next year.

use super::Parameters;
use tch::{Device, Kind, Tensor};

/// Separates these bits from any other use of BLAKE3.
const CONTEXT: &str = "mixfeed-trainer 2026-11 initial weights";

/// Draws the initial values of a model's parameters.
pub(super) struct Init {
    seed: u64,
    device: Device,
}

impl Init {
    pub(super) fn new(seed: u64, device: Device) -> Self {
        Init { seed, device }
    }

    /// Adds a convolution with weights `[out, in, height, width]` and biases.
    pub(super) fn conv(&self, parameters: &mut Parameters, name: &str, shape: [i64; 4]) {
        self.conv_without_bias(parameters, name, shape);
        let fan_in = shape[1] * shape[2] * shape[3];
        parameters.add(format!("{name}.bias"), &self.uniform(&format!("{name}.bias"), &[shape[0]], fan_in));
    }

    /// Adds a convolution with weights `[out, in, height, width]` alone, as before a normalisation.
    pub(super) fn conv_without_bias(&self, parameters: &mut Parameters, name: &str, shape: [i64; 4]) {
        let fan_in = shape[1] * shape[2] * shape[3];
        let weight = self.uniform(&format!("{name}.weight"), &shape, fan_in);
        // Channels last, like the images: 1.2 times faster on CPUs, and what tensor cores want.
        // libtorch has no binding for memory formats, so the copy is made in that order and then
        // looked at in the usual one.
        let weight = weight.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        parameters.add(format!("{name}.weight"), &weight);
    }

    /// Adds a batch normalisation: parameters that change nothing, statistics of nothing seen yet.
    pub(super) fn batch_norm(&self, parameters: &mut Parameters, name: &str, channels: i64) {
        let options = (Kind::Float, self.device);
        parameters.add(format!("{name}.weight"), &Tensor::ones([channels], options));
        parameters.add(format!("{name}.bias"), &Tensor::zeros([channels], options));
        parameters.add_buffer(format!("{name}.running_mean"), Tensor::zeros([channels], options));
        parameters.add_buffer(format!("{name}.running_var"), Tensor::ones([channels], options));
        let batches = Tensor::zeros([], (Kind::Int64, self.device));
        parameters.add_buffer(format!("{name}.num_batches_tracked"), batches);
    }

    /// Adds a linear layer with weights `[out, in]`.
    pub(super) fn linear(&self, parameters: &mut Parameters, name: &str, shape: [i64; 2]) {
        let [outputs, fan_in] = shape;
        for (part, shape) in [("weight", &shape[..]), ("bias", &[outputs])] {
            let name = format!("{name}.{part}");
            let tensor = self.uniform(&name, shape, fan_in);
            parameters.add(name, &tensor);
        }
    }

    fn uniform(&self, name: &str, shape: &[i64], fan_in: i64) -> Tensor {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut bits = blake3::Hasher::new_derive_key(CONTEXT)
            .update(&self.seed.to_le_bytes())
            .update(name.as_bytes())
            .finalize_xof();
        let count = shape.iter().product::<i64>() as usize;
        let mut bytes = vec![0; 4 * count];
        bits.fill(&mut bytes);
        let values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|word| {
                // 24 bits, as many as a f32 holds: 0 to 1, the 1 left out.
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) >> 8;
                let unit = word as f32 / (1 << 24) as f32;
                (2.0 * unit - 1.0) * bound
            })
            .collect();
        Tensor::from_slice(&values).reshape(shape).to_device(self.device).to_kind(Kind::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fill_the_range_of_pytorch_evenly() {
        let init = Init::new(3, Device::Cpu);
        let values = init.uniform("conv2.weight", &[64, 64, 3, 3], 576);
        let bound = 1.0 / 24.0;
        assert!(values.abs().max().double_value(&[]) <= bound);
        assert!(values.mean(Kind::Double).double_value(&[]).abs() < bound / 50.0);
        // The standard deviation of a uniform variable on ±b is b/√3.
        let deviation = values.std(true).double_value(&[]);
        assert!((deviation - bound / 3f64.sqrt()).abs() < bound / 100.0, "{deviation}");
    }

    #[test]
    fn spread_and_range_are_those_of_pytorch() {
        for (layer, expected) in crate::learn::reference::training()["initialisation"].as_object().unwrap() {
            let shape: Vec<_> =
                expected["shape"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
            // Averages over twenty draws, as in the script.
            let mut sums = [0.0; 3];
            for seed in 0..20 {
                let init = Init::new(seed, Device::Cpu);
                let mut parameters = Parameters::default();
                match shape[..] {
                    [outputs, inputs] => init.linear(&mut parameters, "l", [outputs, inputs]),
                    [o, i, h, w] => init.conv(&mut parameters, "l", [o, i, h, w]),
                    _ => unreachable!("{shape:?}"),
                }
                let (weight, bias) = parameters.layer("l");
                let values = [weight.std(true), weight.abs().max(), bias.std(true)];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value.double_value(&[]) / 20.0);
            }
            // A bias has some hundred values, so that the averages of its spread scatter by 1 %.
            let names = [("weight_deviation", 0.003), ("weight_largest", 0.001), ("bias_deviation", 0.03)];
            for (got, (name, tolerance)) in sums.into_iter().zip(names) {
                let expected = expected[name].as_f64().unwrap();
                crate::learn::reference::assert_close(
                    &format!("{layer} {name}"),
                    &[got],
                    &[expected],
                    tolerance,
                );
            }
        }
    }

    #[test]
    fn each_parameter_has_values_of_its_own() {
        let init = Init::new(3, Device::Cpu);
        let one = init.uniform("a", &[8], 1);
        assert!(one.equal(&init.uniform("a", &[8], 1)));
        assert!(!one.equal(&init.uniform("b", &[8], 1)));
        assert!(!one.equal(&Init::new(4, Device::Cpu).uniform("a", &[8], 1)));
    }
}
