//! How good a model is on the clean test split.
//!
//! Test images come from the same loaders over the same RPC, in order, unmixed. After each epoch of a
//! training it is loss and accuracy alone ([`evaluate`]); the command of that name tells more ([`mod@assess`]).

mod assess;
mod confusion;
mod fgsm;
mod picture;
mod quality;
#[cfg(test)]
mod reference;

pub use assess::{Assessment, Attacked, assess};
pub use confusion::Confusion;
pub use fgsm::Fgsm;
pub use quality::{Quality, QualityResult};

use crate::error::TrainError;
use crate::feed::Feed;
use crate::loaders::{self, Loaders, StreamRequest};
use crate::loss::Loss;
use crate::model::Model;
use crate::observer::Evaluating;
use crate::staging::Stager;
use crate::stop::Stop;
use mixfeed_client::{Batch, ImageShape, Split, StreamEnd, StreamInfo, StreamSpec};
use std::time::Instant;
use tch::{Device, Kind, Tensor, no_grad};

/// Images scored at once, at most. On a CPU a few hundred small ones are fastest.
const MAX_ROWS: u32 = 500;

/// Values of the images scored at once: those of 500 images of 32 × 32 × 3. What a network holds on the way grows with
/// them, so that larger images take about as much memory.
const VALUES: u64 = MAX_ROWS as u64 * 32 * 32 * 3;

/// The same where the training's batches are larger. A loader finds room for three such batches beside the training's.
const MAX_VALUES: u64 = 16 << 20;

/// A model's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Images of which the class with the highest score is the right one.
    pub correct: u64,
    /// Images.
    pub samples: u64,
    /// Sum of their losses.
    pub loss_sum: f64,
}

impl Evaluation {
    /// Share of images that were right, 0 to 1.
    #[must_use]
    pub fn accuracy(self) -> f64 {
        self.correct as f64 / self.samples as f64
    }

    /// Mean loss over the images.
    #[must_use]
    pub fn loss(self) -> f64 {
        self.loss_sum / self.samples as f64
    }
}

/// How many images of `image_values` values are scored at once. It follows from their size and the training's
/// batches (`training_rows`; 0 where they are unknown) alone, so that whoever evaluates a model again computes the same
/// bits. What held the training's activations holds those of as many images: nothing is kept for a backward pass.
#[must_use]
pub fn rows_at_once(image_values: u64, training_rows: u32) -> u32 {
    let rows_of = |values: u64| u32::try_from(values / image_values.max(1)).unwrap_or(u32::MAX);
    rows_of(VALUES).max(training_rows.min(rows_of(MAX_VALUES))).clamp(1, MAX_ROWS)
}

/// The stream of clean test images, in order, `rows` at a time.
#[must_use]
pub fn test_spec(rows: u32) -> StreamSpec {
    StreamSpec { split: Split::Test, batch_size: rows, shuffle: false, ..StreamSpec::default() }
}

/// Where the clean test images come from.
#[derive(Clone, Copy)]
pub struct TestImages<'a> {
    /// Who sends them.
    pub loaders: &'a Loaders,
    /// A stream of the data set that they are of.
    pub stream: &'a StreamInfo,
    /// Rows of a batch of the training, 0 where they are unknown.
    pub training_rows: u32,
    /// Only the first so many; 0 for all.
    pub limit: u64,
}

/// The clean test images, once.
struct TestBatches(Feed);

impl TestBatches {
    fn open(images: TestImages<'_>, stop: &Stop) -> Result<Self, TrainError> {
        let TestImages { loaders, stream, training_rows, limit } = images;
        let ImageShape { height, width, channels } = stream.image;
        let values = [height, width, channels].map(u64::from).into_iter().product();
        let spec = StreamSpec { limit, ..test_spec(rows_at_once(values, training_rows)) };
        let expected = Some(loaders::same_as(stream));
        let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Epoch(1), expected };
        Ok(TestBatches(loaders.open(request, stop)?))
    }

    /// Images in all.
    fn images(&self) -> u64 {
        self.0.info().samples_per_epoch
    }

    fn next(&mut self) -> Result<Option<Batch>, TrainError> {
        self.0.next_batch()
    }
}

/// The classes of a batch's images, on the device.
fn labels(batch: &Batch, device: Device) -> Tensor {
    let labels: Vec<_> = batch.labels.iter().map(|label| i64::from(*label)).collect();
    Tensor::from_slice(&labels).to_device(device)
}

/// Scores `model` on `images`, and with `loss` on their labels as they are, so that it means the same whatever training
/// mixes or smooths; `stager` takes batches to the model's device, and `progress` is told after each.
///
/// # Errors
/// When batches do not come, or the end was asked for.
pub fn evaluate(
    model: &dyn Model,
    stager: &Stager,
    images: TestImages<'_>,
    loss: Loss,
    stop: &Stop,
    progress: &mut dyn FnMut(&Evaluating),
) -> Result<Evaluation, TrainError> {
    let start = Instant::now();
    let mut batches = TestBatches::open(images, stop)?;
    let of = batches.images();
    // Right ones and losses, summed on the device: reading them back once is the only wait.
    let device = model.parameters().device();
    let mut sums = Tensor::zeros([2], (Kind::Double, device));
    let mut samples = 0;
    progress(&Evaluating { images: 0, of, time: start.elapsed() });
    while let Some(batch) = batches.next()? {
        no_grad(|| {
            let scores = model.forward(&stager.stage(&batch).images);
            let labels = labels(&batch, device);
            let correct = scores.argmax(1, false).eq_tensor(&labels).sum(Kind::Double);
            sums += Tensor::stack(&[correct, loss.sum_on_labels(&scores, &labels)], 0);
        });
        samples += batch.rows as u64;
        progress(&Evaluating { images: samples, of, time: start.elapsed() });
    }
    let sums = sums.to_device(Device::Cpu);
    Ok(Evaluation { correct: sums.double_value(&[0]) as u64, samples, loss_sum: sums.double_value(&[1]) })
}

#[cfg(test)]
mod tests {
    use super::rows_at_once;

    fn values(side: u64) -> u64 {
        side * side * 3
    }

    #[test]
    fn small_images_are_scored_500_at_a_time_whatever_the_training_does() {
        for side in [1, 8, 28, 32] {
            for training_rows in [0, 1, 128, 65_536] {
                assert_eq!(rows_at_once(values(side), training_rows), 500, "{side} x {side}");
            }
        }
    }

    #[test]
    fn large_images_are_as_many_as_small_ones_weigh_or_as_the_training_has() {
        for (side, training_rows, rows) in [
            (64, 32, 125),
            (64, 256, 256),
            (224, 0, 10),
            (224, 64, 64),
            (224, 512, 111),
            (512, 8, 8),
            (512, 512, 21),
            (1024, 1, 1),
            (4096, 128, 1),
        ] {
            assert_eq!(rows_at_once(values(side), training_rows), rows, "{side} x {side}, {training_rows}");
        }
    }

    #[test]
    fn a_message_of_test_images_is_one_that_every_loader_sends() {
        for side in 1..4730 {
            for training_rows in [0, 7, 500, u32::MAX] {
                let rows = rows_at_once(values(side), training_rows);
                assert!(rows == 1 || u64::from(rows) * values(side) <= 16 << 20, "{rows} of {side} x {side}");
            }
        }
    }
}
