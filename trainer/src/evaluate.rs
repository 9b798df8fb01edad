//! How good a model is on the clean test split.
//!
//! Test images come from the same loaders over the same RPC, in order, unmixed. After each epoch of a
//! training it is the accuracy alone ([`evaluate`]); the command of that name tells more ([`assess`]).

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
use crate::model::Model;
use crate::staging::Stager;
use crate::stop::Stop;
use mixfeed_client::{Batch, Split, StreamEnd, StreamInfo, StreamSpec};
use tch::{Device, Kind, Tensor, no_grad};

/// Images scored at once. Accuracy does not depend on it; on a CPU a few hundred are fastest.
const BATCH_SIZE: u32 = 500;

/// A model's score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Images of which the class with the highest score is the right one.
    pub correct: u64,
    /// Images.
    pub samples: u64,
}

impl Evaluation {
    /// Share of images that were right, 0 to 1.
    #[must_use]
    pub fn accuracy(self) -> f64 {
        self.correct as f64 / self.samples as f64
    }
}

/// The stream of clean test images, in order.
#[must_use]
pub fn test_spec() -> StreamSpec {
    StreamSpec { split: Split::Test, batch_size: BATCH_SIZE, shuffle: false, ..StreamSpec::default() }
}

/// The clean test images, once.
struct TestBatches(Feed);

impl TestBatches {
    /// Of the data set that `stream` reads.
    fn open(loaders: &Loaders, stream: &StreamInfo, stop: &Stop) -> Result<Self, TrainError> {
        let spec = test_spec();
        let expected = Some(loaders::same_as(stream));
        let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Epoch(1), expected };
        Ok(TestBatches(loaders.open(request, stop)?))
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

/// Scores `model` on the test split of the data set that `stream` reads; `stager` takes batches to
/// the model's device.
///
/// # Errors
/// When batches do not come, or the end was asked for.
pub fn evaluate(
    model: &dyn Model,
    stager: &Stager,
    loaders: &Loaders,
    stream: &StreamInfo,
    stop: &Stop,
) -> Result<Evaluation, TrainError> {
    let mut batches = TestBatches::open(loaders, stream, stop)?;
    // Summed on the device: reading it back once is the only wait.
    let device = model.parameters().device();
    let mut correct = Tensor::zeros([], (Kind::Int64, device));
    let mut samples = 0;
    while let Some(batch) = batches.next()? {
        no_grad(|| {
            let scores = model.forward(&stager.stage(&batch).images);
            correct += scores.argmax(1, false).eq_tensor(&labels(&batch, device)).sum(Kind::Int64);
        });
        samples += batch.rows as u64;
    }
    let correct = correct.to_device(Device::Cpu).int64_value(&[]).cast_unsigned();
    Ok(Evaluation { correct, samples })
}
