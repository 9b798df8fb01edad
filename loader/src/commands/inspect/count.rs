//! One look at every sample of a split, by all CPUs.

use crate::parallel::in_chunks;
use mixfeed_pipeline::{Dataset, SampleError, Split};
use serde::Serialize;
use std::fmt;

/// What the samples of a split add up to.
#[derive(Default)]
pub(super) struct Counted {
    /// Samples of each class, bad ones too: their labels are known.
    pub(super) labels: Vec<u64>,
    /// Records that cannot be read or decoded, in order.
    pub(super) bad: Vec<SampleError>,
    pixels: u64,
    sums: [u64; 3],
    squares: [u64; 3],
}

/// How the sides of images of many sizes are distributed, those of both splits together.
#[derive(Serialize)]
pub(super) struct Sides {
    pub(super) height: Quantiles,
    pub(super) width: Quantiles,
}

/// Pixels.
#[derive(Serialize)]
pub(super) struct Quantiles {
    least: u32,
    /// A tenth of the images has less.
    tenth: u32,
    median: u32,
    /// A tenth has more.
    nine_tenths: u32,
    most: u32,
}

impl Sides {
    /// Nothing where all images are of one size.
    pub(super) fn of(dataset: &Dataset) -> Option<Self> {
        let sizes = Split::ALL.into_iter().flat_map(|split| {
            let samples = dataset.samples(split);
            (0..samples.count()).filter_map(|sample| samples.size(sample))
        });
        let (heights, widths) = sizes.map(|size| (size.height, size.width)).unzip();
        let (height, width) = (Quantiles::of(heights)?, Quantiles::of(widths)?);
        Some(Self { height, width }).filter(|_| dataset.image.is_none())
    }
}

impl Quantiles {
    fn of(mut sides: Vec<u32>) -> Option<Self> {
        sides.sort_unstable();
        let at = |tenths: usize| sides.get(sides.len().checked_sub(1)? * tenths / 10).copied();
        Some(Self { least: at(0)?, tenth: at(1)?, median: at(5)?, nine_tenths: at(9)?, most: at(10)? })
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, tenth, median, nine_tenths, most } = self;
        write!(f, "{least} to {most}, median {median}, of four fifths {tenth} to {nine_tenths}")
    }
}

impl Counted {
    pub(super) fn new(dataset: &Dataset, split: Split) -> Self {
        let samples = dataset.samples(split).as_ref();
        let classes = dataset.classes.len();
        let parts = in_chunks(samples.count() as usize, |range| {
            let mut part = Self { labels: vec![0; classes], ..Self::default() };
            let mut scratch = Vec::new();
            for sample in range {
                part.labels[samples.label(sample as u64) as usize] += 1;
                match samples.image(sample as u64, &mut scratch) {
                    Ok(image) => part.see(image),
                    Err(error) => part.bad.push(error),
                }
            }
            part
        });
        let none = Self { labels: vec![0; classes], ..Self::default() };
        parts.into_iter().fold(none, Self::and)
    }

    fn see(&mut self, image: &[u8]) {
        self.pixels += image.len() as u64 / 3;
        for pixel in image.chunks_exact(3) {
            for (channel, &value) in pixel.iter().enumerate() {
                self.sums[channel] += u64::from(value);
                self.squares[channel] += u64::from(value) * u64::from(value);
            }
        }
    }

    fn and(mut self, other: Self) -> Self {
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        add(&mut self.labels, &other.labels);
        add(&mut self.sums, &other.sums);
        add(&mut self.squares, &other.squares);
        self.pixels += other.pixels;
        self.bad.extend(other.bad);
        self
    }

    /// Mean and standard deviation of each channel, on the scale of 0 to 1, if there are any pixels.
    pub(super) fn moments(&self) -> Option<([f64; 3], [f64; 3])> {
        let n = self.pixels as f64;
        if self.pixels == 0 {
            return None;
        }
        let mean = self.sums.map(|sum| sum as f64 / n);
        let deviation =
            std::array::from_fn(|i| (self.squares[i] as f64 / n - mean[i] * mean[i]).max(0.0).sqrt() / 255.0);
        Some((mean.map(|mean| mean / 255.0), deviation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::dataset::InMemory;
    use mixfeed_pipeline::{ImageShape, Samples, synthetic};
    use std::sync::Arc;

    fn of(pixels: &[[u8; 3]], labels: &[u32]) -> Dataset {
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        let samples: Arc<dyn Samples> = Arc::new(InMemory::new(shape, pixels.concat(), labels.to_vec()));
        Dataset { image: Some(shape), train: Arc::clone(&samples), test: samples, ..synthetic::dataset(1) }
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_pixels() {
        let counted = Counted::new(&of(&[[0, 255, 51], [255, 255, 51]], &[0, 1]), Split::Train);
        let (mean, deviation) = counted.moments().unwrap();
        for (value, expected) in mean.iter().chain(&deviation).zip([0.5, 1.0, 0.2, 0.5, 0.0, 0.0]) {
            assert!((value - expected).abs() < 1e-12, "{value} for {expected}");
        }
        assert_eq!(counted.labels[..3], [1, 1, 0]);
        assert!(Counted::new(&of(&[], &[]), Split::Train).moments().is_none());
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let pixels: Vec<[u8; 3]> = (0..1000_u32).map(|i| [(i % 256) as u8, (i / 4) as u8, 9]).collect();
        let labels: Vec<u32> = (0..1000).map(|i| i % 10).collect();
        let counted = Counted::new(&of(&pixels, &labels), Split::Train);
        assert_eq!((counted.labels, counted.pixels), (vec![100; 10], 1000));
        assert_eq!(counted.sums[2], 9000);
        assert_eq!(counted.sums[0], pixels.iter().map(|pixel| u64::from(pixel[0])).sum::<u64>());
    }
}
