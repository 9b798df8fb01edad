//! The losses of an epoch, summed without making the device wait.
//!
//! Reading a loss makes the CPU wait until the GPU has computed it, so losses stay on the device and
//! are read a window at a time. On the CPU a loss is there when the step is done, and the window is
//! one step. A loss that is no finite number ends training at the next reading; the batches of the
//! window are kept until then, so that the one to blame can be named.

use mixfeed_client::Batch;
use tch::{Device, Kind, Tensor};

/// Steps between two readings on a GPU: seldom enough to cost nothing, and a window of batches of 128
/// small images holds 6 MB.
const GPU_WINDOW_STEPS: usize = 16;

/// The loss is no longer a finite number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the loss is {loss} at step {step} (batch digest {batch_digest})")]
pub struct Diverged {
    /// Step (index of the batch) at which it was first seen.
    pub step: u64,
    /// NaN or infinite.
    pub loss: String,
    /// Digest of the batch of that step, hexadecimal.
    pub batch_digest: String,
}

/// Losses of samples, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Their sum.
    pub sum: f64,
    /// The number of samples.
    pub samples: u64,
}

impl Losses {
    /// Their mean; not a number where there are no samples.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.sum / self.samples as f64
    }
}

/// Sums losses over the samples of an epoch.
pub struct Tally {
    window_steps: usize,
    /// Batches, how many rows their losses are the mean of, and these.
    window: Vec<(Batch, u64, Tensor)>,
    losses: Losses,
}

impl Tally {
    /// Starts empty, for losses on `device`.
    #[must_use]
    pub fn new(device: Device) -> Self {
        let window_steps = if device == Device::Cpu { 1 } else { GPU_WINDOW_STEPS };
        Tally { window_steps, window: Vec::new(), losses: Losses::default() }
    }

    /// Goes on with the sums of an epoch that was begun earlier.
    #[must_use]
    pub fn resumed(self, losses: Losses) -> Self {
        Tally { losses, ..self }
    }

    /// Adds the mean loss of a global batch of `rows` rows, of which `batch` has all or this trainer's part.
    ///
    /// # Errors
    /// When a loss since the last reading is not finite.
    pub fn add(&mut self, batch: Batch, rows: u64, loss: &Tensor) -> Result<(), Diverged> {
        self.window.push((batch, rows, loss.detach()));
        if self.window.len() >= self.window_steps { self.read() } else { Ok(()) }
    }

    /// The losses of the epoch that were read so far.
    #[must_use]
    pub fn so_far(&self) -> Losses {
        self.losses
    }

    /// The losses of the unfinished epoch's samples, all of them read.
    ///
    /// # Errors
    /// When a loss since the last reading is not finite.
    pub fn all(&mut self) -> Result<Losses, Diverged> {
        self.read()?;
        Ok(self.losses)
    }

    /// Begins an epoch, at zero.
    pub fn next_epoch(&mut self) {
        debug_assert!(self.window.is_empty(), "the sums of the last one were asked for");
        self.losses = Losses::default();
    }

    fn read(&mut self) -> Result<(), Diverged> {
        if self.window.is_empty() {
            return Ok(());
        }
        let losses: Vec<_> = self.window.iter().map(|(_, _, loss)| loss).collect();
        let losses = Tensor::stack(&losses, 0).to_kind(Kind::Double).to_device(Device::Cpu);
        for (position, (batch, rows, _)) in (0..).zip(self.window.drain(..)) {
            let loss = losses.double_value(&[position]);
            if !loss.is_finite() {
                return Err(Diverged {
                    step: batch.index,
                    loss: loss.to_string(),
                    batch_digest: blake3::Hash::from(batch.digest()).to_string(),
                });
            }
            self.losses.sum += loss * rows as f64;
            self.losses.samples += rows;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn batch(index: u64, rows: usize) -> Batch {
        Batch {
            index,
            epoch: 0,
            rows,
            pixels: Bytes::from(vec![index as u8; rows]),
            labels: vec![0; rows],
            partner_labels: vec![0; rows],
            lambdas: vec![65_536; rows],
            samples: Vec::new(),
            spec_digest: [0; 32],
        }
    }

    fn loss(value: f32) -> Tensor {
        Tensor::from(value)
    }

    #[test]
    fn the_mean_is_over_samples_not_over_batches() {
        let mut tally = Tally::new(Device::Cpu);
        tally.add(batch(0, 3), 3, &loss(1.0)).unwrap();
        tally.add(batch(1, 1), 1, &loss(5.0)).unwrap();
        let losses = tally.all().unwrap();
        assert_eq!(losses, Losses { sum: 8.0, samples: 4 });
        assert!((losses.mean() - 2.0).abs() < 1e-12);
        tally.next_epoch();
        assert_eq!(tally.all().unwrap(), Losses::default(), "the next epoch starts at zero");
    }

    #[test]
    fn a_loss_that_is_no_number_names_the_step_and_the_batch_even_when_it_is_read_later() {
        for value in [f32::NAN, f32::INFINITY] {
            let mut tally = Tally { window_steps: 8, ..Tally::new(Device::Cpu) };
            tally.add(batch(0, 2), 2, &loss(1.0)).unwrap();
            tally.add(batch(1, 2), 2, &loss(value)).unwrap();
            tally.add(batch(2, 2), 2, &loss(f32::NAN)).unwrap();
            let error = tally.all().unwrap_err();
            assert_eq!(error.step, 1);
            assert_eq!(error.batch_digest, blake3::Hash::from(batch(1, 2).digest()).to_string());
        }
    }
}
