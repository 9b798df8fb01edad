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
use crate::feed::loaders::{self, Loaders, StreamRequest};
use crate::learn::loss::Loss;
use crate::learn::model::Model;
use crate::learn::rows::rows_at_once;
use crate::learn::staging::Stager;
use crate::machine::stop::Stop;
use crate::run::observer::Evaluating;
use mixfeed_client::{Batch, ImageShape, Output, Split, StreamEnd, StreamInfo, StreamSpec};
use std::time::Instant;
use tch::{Device, Kind, Tensor, no_grad};

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

/// The stream of clean test images, in order, `rows` at a time, resized as in training but for a random crop.
#[must_use]
pub fn test_spec(rows: u32, output: Option<Output>) -> StreamSpec {
    StreamSpec { split: Split::Test, batch_size: rows, shuffle: false, output, ..StreamSpec::default() }
}

/// Where the clean test images come from.
#[derive(Clone, Copy)]
pub struct TestImages<'a> {
    /// Who sends them.
    pub loaders: &'a Loaders,
    /// A stream of the dataset that they are of.
    pub stream: &'a StreamInfo,
    /// Their size, where the training asked for one.
    pub output: Option<Output>,
    /// Rows of a batch of the training, 0 where they are unknown.
    pub training_rows: u32,
    /// Only the first so many; 0 for all.
    pub limit: u64,
}

/// The clean test images, once.
struct TestBatches(Feed);

impl TestBatches {
    fn open(images: TestImages<'_>, stop: &Stop) -> Result<Self, TrainError> {
        let TestImages { loaders, stream, output, training_rows, limit } = images;
        let ImageShape { height, width, channels } = stream.image;
        let values = [height, width, channels].map(u64::from).into_iter().product();
        let spec = StreamSpec { limit, ..test_spec(rows_at_once(values, training_rows), output) };
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
