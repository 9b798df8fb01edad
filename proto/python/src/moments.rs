//! Mean and standard deviation of each channel, over images as they are sent: what pixels are normalised by.
//!
//! Sums of whole numbers, so that neither the order of images nor the number of loaders shows.

use mixfeed_client::{Augmentation, MixingSchedule, PixelLayout, PixelType, Remainder, Split, StreamSpec};

/// Full brightness.
const FULL: f64 = 255.0;

/// Sums over the values of each channel.
pub(crate) struct Moments(Vec<Sums>);

#[derive(Clone, Copy, Default)]
struct Sums {
    values: u64,
    squares: u64,
    count: u64,
}

/// The stream that is measured: the training images of `spec`, each once and as it is but for its size.
pub(crate) fn measured(spec: &StreamSpec) -> StreamSpec {
    StreamSpec {
        split: Split::Train,
        shuffle: false,
        remainder: Remainder::Keep,
        label_noise: 0.0,
        mixing: None,
        mixing_schedule: MixingSchedule::NONE,
        shard: None,
        augmentation: Augmentation::NONE,
        pixel_type: PixelType::U8,
        pixel_layout: PixelLayout::Nhwc,
        ..*spec
    }
}

impl Moments {
    pub(crate) fn new(channels: u32) -> Self {
        Self(vec![Sums::default(); channels as usize])
    }

    /// Adds pixels whose channels lie side by side.
    pub(crate) fn add(&mut self, pixels: &[u8]) {
        for pixel in pixels.chunks_exact(self.0.len()) {
            for (sums, value) in self.0.iter_mut().zip(pixel) {
                let value = u64::from(*value);
                // A square is below 2^16: 2^48 pixels fit.
                sums.values += value;
                sums.squares += value * value;
                sums.count += 1;
            }
        }
    }

    /// Mean and standard deviation of each channel, in units of full brightness.
    pub(crate) fn take(&self) -> (Vec<f64>, Vec<f64>) {
        let mean = |sums: &Sums| sums.values as f64 / sums.count as f64;
        let deviation =
            |sums: &Sums| (sums.squares as f64 / sums.count as f64 - mean(sums).powi(2)).max(0.0).sqrt();
        let each = |of: &dyn Fn(&Sums) -> f64| self.0.iter().map(|sums| of(sums) / FULL).collect();
        (each(&mean), each(&deviation))
    }
}
