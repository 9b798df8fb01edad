//! All that `evaluate` tells of a model, in one pass over the clean test split.

use super::{Fgsm, Quality, QualityResult, TestBatches, TestImages, labels};
use crate::error::TrainError;
use crate::learn::model::Model;
use crate::learn::staging::Stager;
use crate::machine::stop::Stop;
use crate::run::observer::Evaluating;
use std::time::Instant;
use tch::{Device, Kind, Tensor, no_grad};

/// How good a model is.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// On images as they are.
    pub quality: QualityResult,
    /// On images that were changed against it, in the order that was asked for.
    pub attacks: Vec<Attacked>,
}

/// How good a model is on images that were changed against it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Attacked {
    /// How far each pixel was moved, in 1/255 of the range of pixels.
    pub epsilon: f64,
    /// Images that are right all the same.
    pub correct: u64,
    /// Share of images that are right all the same, 0 to 1.
    pub accuracy: f64,
}

/// Scores `model` on `images`, as they are and under FGSM with each of `epsilons`; `progress` is told after each batch.
///
/// # Errors
/// When batches do not come, or the end was asked for.
///
/// # Panics
/// Never: counts are a vector of whole numbers.
pub fn assess(
    model: &dyn Model,
    stager: &Stager,
    images: TestImages<'_>,
    epsilons: &[f64],
    stop: &Stop,
    progress: &mut dyn FnMut(&Evaluating),
) -> Result<Assessment, TrainError> {
    let start = Instant::now();
    let device = model.parameters().device();
    let mut quality = Quality::new(images.stream.dataset.classes.len() as i64, device);
    let correct = Tensor::zeros([epsilons.len() as i64], (Kind::Int64, device));
    let mut attacks = Vec::new();
    let mut batches = TestBatches::open(images, stop)?;
    let of = batches.images();
    let mut scored = 0;
    progress(&Evaluating { images: 0, of, time: start.elapsed() });
    while let Some(batch) = batches.next()? {
        if attacks.is_empty() {
            attacks = epsilons.iter().map(|epsilon| Fgsm::new(*epsilon, stager, &batch)).collect();
        }
        let images = stager.stage(&batch).images;
        let labels = labels(&batch, device);
        no_grad(|| quality.add(&model.forward(&images), &labels));
        for (position, attack) in (0..).zip(&attacks) {
            let moved = attack.attack(model, &images, &labels);
            no_grad(|| {
                let chosen = model.forward(&moved).argmax(1, false);
                let mut sum = correct.get(position);
                sum += chosen.eq_tensor(&labels).sum(Kind::Int64);
            });
        }
        scored += batch.rows as u64;
        progress(&Evaluating { images: scored, of, time: start.elapsed() });
    }
    let quality = quality.result();
    let samples = quality.confusion.samples();
    let correct = Vec::<i64>::try_from(correct.to_device(Device::Cpu)).expect("a vector of numbers");
    let attacked = |(&epsilon, correct): (&f64, i64)| Attacked {
        epsilon,
        correct: correct.cast_unsigned(),
        accuracy: correct as f64 / samples as f64,
    };
    let attacks = epsilons.iter().zip(correct).map(attacked).collect();
    Ok(Assessment { quality, attacks })
}
