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
use std::ops::Range;
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
    /// Of the batches that they come in, this part alone, as (number of the part, number of parts).
    pub part: (u32, u32),
}

/// All of them.
pub const WHOLE: (u32, u32) = (0, 1);

impl TestImages<'_> {
    fn spec(&self) -> StreamSpec {
        let ImageShape { height, width, channels } = self.stream.image;
        let values = [height, width, channels].map(u64::from).into_iter().product();
        StreamSpec { limit: self.limit, ..test_spec(rows_at_once(values, self.training_rows), self.output) }
    }
}

/// The clean test images of a part, once.
struct TestBatches {
    feed: Feed,
    /// Which of all batches they are.
    range: Range<u64>,
}

impl TestBatches {
    fn open(images: TestImages<'_>, stop: &Stop) -> Result<Self, TrainError> {
        let TestImages { loaders, stream, part: (part, parts), .. } = images;
        let spec = images.spec();
        let request = |start, end| {
            let expected = Some(loaders::same_as(stream));
            StreamRequest { spec: &spec, start, end, expected }
        };
        if parts == 1 {
            let feed = loaders.open(request(0, StreamEnd::Epoch(1)), stop)?;
            let range = 0..feed.info().batches_per_epoch;
            return Ok(TestBatches { feed, range });
        }
        // How many there are follows from the limit and from what is left out: a stream knows when it is opened.
        let all = loaders.open(request(0, StreamEnd::Batch(0)), stop)?.info().batches_per_epoch;
        let bound = |part: u32| all * u64::from(part) / u64::from(parts);
        let range = bound(part)..bound(part + 1);
        let feed = loaders.open(request(range.start, StreamEnd::Batch(range.end)), stop)?;
        Ok(TestBatches { feed, range })
    }

    /// Images in all parts.
    fn images(&self) -> u64 {
        self.feed.info().samples_per_epoch
    }

    fn next(&mut self) -> Result<Option<Batch>, TrainError> {
        self.feed.next_batch()
    }
}

/// The classes of a batch's images, on the device.
fn labels(batch: &Batch, device: Device) -> Tensor {
    let labels: Vec<_> = batch.labels.iter().map(|label| i64::from(*label)).collect();
    Tensor::from_slice(&labels).to_device(device)
}

/// What the batches of a part of the test images came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Number of the first batch, among all.
    pub first: u64,
    /// Batches of all parts.
    pub of: u64,
    /// Of each batch, in order: images that are right, and the sum of the losses.
    pub batches: Vec<[f64; 2]>,
    /// Images.
    pub images: u64,
}

impl Scores {
    /// The sum, in the order of the batches.
    #[must_use]
    pub fn total(&self) -> Evaluation {
        let add = |[correct, loss]: [f64; 2], batch: &[f64; 2]| [correct + batch[0], loss + batch[1]];
        let [correct, loss_sum] = self.batches.iter().fold([0.0; 2], add);
        Evaluation { correct: correct as u64, samples: self.images, loss_sum }
    }
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
) -> Result<Scores, TrainError> {
    let start = Instant::now();
    let mut batches = TestBatches::open(images, stop)?;
    let of = batches.images();
    // Right ones and losses, left on the device: reading them back once is the only wait.
    let device = model.parameters().device();
    let mut sums = Vec::new();
    let mut samples = 0;
    progress(&Evaluating { images: 0, of, time: start.elapsed() });
    while let Some(batch) = batches.next()? {
        no_grad(|| {
            let scores = model.forward(&stager.stage(&batch).images);
            let labels = labels(&batch, device);
            let correct = scores.argmax(1, false).eq_tensor(&labels).sum(Kind::Double);
            sums.push(Tensor::stack(&[correct, loss.sum_on_labels(&scores, &labels)], 0));
        });
        samples += batch.rows as u64;
        progress(&Evaluating { images: samples, of, time: start.elapsed() });
    }
    let read = |sums: &Tensor| [0, 1].map(|place| sums.double_value(&[place]));
    let sums: Vec<_> = sums.iter().map(|sums| sums.to_device(Device::Cpu)).collect();
    let (first, of) = (batches.range.start, batches.feed.info().batches_per_epoch);
    Ok(Scores { first, of, batches: sums.iter().map(read).collect(), images: samples })
}
