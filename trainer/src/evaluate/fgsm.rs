//! Images changed a little against the model: the fast gradient sign method (I. Goodfellow, J. Shlens,
//! C. Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015).
//!
//! Each pixel moves by epsilon in the direction in which the cross-entropy grows, and stays within the
//! range of pixels. What is left of the accuracy is a measure of robustness, one that stronger attacks
//! would lower further.

use crate::learn::model::Model;
use crate::learn::staging::Stager;
use mixfeed_client::Batch;
use tch::{Reduction, Tensor, no_grad};

/// The attack with one epsilon.
pub struct Fgsm {
    /// Epsilon as the model sees it, one for each channel.
    step: Tensor,
    /// Black and white as the model sees them.
    low: Tensor,
    high: Tensor,
}

impl Fgsm {
    /// Prepares to move pixels by `epsilon` (in 1/255 of the range from black to white). `like` is any
    /// batch of the stream: how pixels become numbers is known to `stager` alone, so it is shown a black
    /// and a white image of the same shape.
    #[must_use]
    pub fn new(epsilon: f64, stager: &Stager, like: &Batch) -> Self {
        let staged = |value: u8| {
            let first = |values: &[u32]| values[..1].to_vec();
            let one = Batch {
                rows: 1,
                pixels: vec![value; like.pixels.len() / like.rows].into(),
                labels: first(&like.labels),
                partner_labels: first(&like.partner_labels),
                lambdas: first(&like.lambdas),
                samples: Vec::new(),
                ..*like
            };
            stager.stage(&one).images
        };
        let (low, high) = (staged(0), staged(255));
        Fgsm { step: (&high - &low) * (epsilon / 255.0), low, high }
    }

    /// Moves the pixels of `images` (as staged), whose classes are `labels` (i64), against `model`.
    pub fn attack(&self, model: &dyn Model, images: &Tensor, labels: &Tensor) -> Tensor {
        let images = images.detach().set_requires_grad(true);
        // The sum: the gradient of an image does not depend on the others then.
        let loss =
            model.forward(&images).cross_entropy_loss::<Tensor>(labels, None, Reduction::Sum, -100, 0.0);
        // Of the images alone: the model's own gradients stay as they are.
        let gradients = Tensor::run_backward(&[loss], &[&images], false, false);
        no_grad(|| {
            let moved = images.detach() + gradients[0].sign() * &self.step;
            moved.maximum(&self.low).minimum(&self.high)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::reference::{self, Attack};
    use tch::Kind;

    #[test]
    fn accuracy_and_loss_under_attack_are_those_of_pytorch() {
        let Attack { model, stager, batch, labels, clean_loss, attacks } = reference::attack();
        let images = stager.stage(&batch).images;
        let loss = |images: &Tensor| {
            let scores = no_grad(|| model.forward(images));
            let loss = scores
                .cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)
                .double_value(&[]);
            (loss, scores.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64).int64_value(&[]))
        };
        let clean = loss(&images).0;
        assert!((clean - clean_loss).abs() < 1e-5 * clean_loss, "clean loss {clean}, PyTorch {clean_loss}");
        for (epsilon, wanted_loss, wanted_correct) in attacks {
            let moved = Fgsm::new(epsilon, &stager, &batch).attack(&*model, &images, &labels);
            let (got, correct) = loss(&moved);
            assert!(
                (got - wanted_loss).abs() < 1e-4 * wanted_loss,
                "{epsilon}: {got}, PyTorch {wanted_loss}"
            );
            assert_eq!(correct, wanted_correct, "right under epsilon {epsilon}");
        }
    }

    #[test]
    fn no_pixel_moves_by_more_than_epsilon_or_leaves_its_range() {
        let Attack { model, stager, batch, labels, .. } = reference::attack();
        let images = stager.stage(&batch).images;
        for epsilon in [1.0, 8.0, 255.0] {
            let moved = Fgsm::new(epsilon, &stager, &batch).attack(&*model, &images, &labels);
            // Black is -1 and white is 1 here.
            let furthest = (&moved - &images).abs().max().double_value(&[]);
            assert!(furthest <= epsilon * 2.0 / 255.0 + 1e-6, "{furthest} for {epsilon}");
            let (low, high) = (moved.min().double_value(&[]), moved.max().double_value(&[]));
            assert!(low >= -1.0 && high <= 1.0, "{low} to {high}");
            assert!(furthest > 0.0, "and pixels do move");
        }
    }
}
