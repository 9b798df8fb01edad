//! A synthetic dataset: drawings of ten shapes, made by number.
//!
//! It stands in where no real data is at hand: any size, no file, the same on every machine. Shape,
//! place, size, tilt and both colours are drawn from a key of the sample's own; a light or dark
//! shape on a dark or light ground is equally likely, so that no sum of pixel values tells the
//! class and a network has to look at the form.
//!
//! Only additions, multiplications, divisions and square roots are used, which IEEE 754 defines to
//! the last bit; tilts come from the rational points of the circle instead of sine and cosine.
//!
//! ```
//! let dataset = mixfeed_pipeline::synthetic::dataset(1000);
//! assert_eq!((dataset.train.count(), dataset.classes.len()), (1000, 10));
//! ```

use crate::dataset::{Dataset, SampleError, Samples, SplitDigest, digest_of};
use crate::key::{Key, Purpose, Seed, unit};
use mixfeed_streamspec::ImageShape;
use rand::Rng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

/// Shape of every image.
pub const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };

/// Names of the classes.
pub const CLASSES: [&str; 10] = [
    "disc",
    "ring",
    "square",
    "frame",
    "triangle",
    "plus",
    "bars-across",
    "bars-upright",
    "checkerboard",
    "pair-of-discs",
];

/// The test split has one sample for this many in the training split.
const TRAIN_PER_TEST: u64 = 5;

/// Drawings whose bytes enter the dataset digest, so that another renderer is another dataset.
const DIGESTED_DRAWINGS: u64 = 32;

/// Makes the synthetic set with `train_samples` training samples (at least 1) and a fifth as many
/// test samples (at least 1).
#[must_use]
pub fn dataset(train_samples: u64) -> Dataset {
    let train = Drawings::new(Seed(0), train_samples.max(1));
    let test = Drawings::new(Seed(1), (train_samples / TRAIN_PER_TEST).max(1));
    Dataset {
        name: "synthetic".into(),
        classes: CLASSES.map(String::from).to_vec(),
        image: Some(SHAPE),
        output: None,
        digest: digest_of(&train.digest(), &test.digest()),
        whole_digest: None,
        train: Arc::new(train),
        test: Arc::new(test),
    }
}

/// One split of the synthetic set.
#[derive(Debug)]
struct Drawings {
    key: Key,
    count: u64,
}

impl Drawings {
    fn new(seed: Seed, count: u64) -> Self {
        Self { key: Key::new(seed, Purpose::DRAWING), count }
    }

    /// The records are drawings, which follow from their number. Their hash is that of the first
    /// few, the lengths' that of the empty list.
    fn digest(&self) -> SplitDigest {
        let (mut labels, mut records, mut scratch) =
            (blake3::Hasher::new(), blake3::Hasher::new(), Vec::new());
        for sample in 0..self.count.min(DIGESTED_DRAWINGS) {
            labels.update(&self.label(sample).to_le_bytes());
            draw(self.key.at(sample), self.label(sample), &mut scratch);
            records.update(&scratch);
        }
        SplitDigest {
            samples: self.count,
            labels: labels.finalize().into(),
            lengths: *blake3::hash(b"").as_bytes(),
            records: records.finalize().into(),
        }
    }
}

impl Samples for Drawings {
    fn count(&self) -> u64 {
        self.count
    }

    fn label(&self, sample: u64) -> u32 {
        (sample % CLASSES.len() as u64) as u32
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        draw(self.key.at(sample), self.label(sample), scratch);
        Ok(scratch)
    }
}

/// What is drawn, apart from the class.
struct Scene {
    centre: [f32; 2],
    radius: f32,
    /// Cosine and sine of the tilt.
    turn: [f32; 2],
    ground: [f32; 3],
    ink: [f32; 3],
    noise: f32,
}

impl Scene {
    fn new(generator: &mut Xoshiro256PlusPlus) -> Self {
        let mut between = |low: f32, high: f32| low + (high - low) * unit(generator.next_u64()) as f32;
        let radius = between(7.0, 11.0);
        let centre = [between(12.0, 20.0), between(12.0, 20.0)];
        // (1 − t²)/(1 + t²) and 2t/(1 + t²): an angle of up to 16 degrees either way.
        let t = between(-0.14, 0.14);
        let turn = [(1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)];
        let dark = [between(0.0, 110.0), between(0.0, 110.0), between(0.0, 110.0)];
        let light = [between(0.0, 80.0), between(0.0, 80.0), between(0.0, 80.0)];
        let light = std::array::from_fn(|i| dark[i] + 65.0 + light[i]);
        let (ground, ink) = if between(0.0, 1.0) < 0.5 { (dark, light) } else { (light, dark) };
        Self { centre, radius, turn, ground, ink, noise: between(4.0, 24.0) }
    }
}

fn draw(key: Key, class: u32, out: &mut Vec<u8>) {
    let mut generator = key.generator();
    let scene = Scene::new(&mut generator);
    let (width, height) = (SHAPE.width as usize, SHAPE.height as usize);
    out.clear();
    out.reserve(SHAPE.values());
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (x as f32 + 0.5 - scene.centre[0], y as f32 + 0.5 - scene.centre[1]);
            let [cos, sin] = scene.turn;
            let distance = outside(class, cos * dx + sin * dy, cos * dy - sin * dx, scene.radius);
            let cover = (0.5 - distance).clamp(0.0, 1.0);
            let mut bits = generator.next_u64();
            for channel in 0..3 {
                let colour = scene.ground[channel] + (scene.ink[channel] - scene.ground[channel]) * cover;
                let jitter = ((bits & 0xFF) as f32 / 127.5 - 1.0) * scene.noise;
                bits >>= 8;
                // The cast saturates at 0 and 255.
                out.push((colour + jitter + 0.5) as u8);
            }
        }
    }
}

/// How far (x, y) lies outside the shape, in pixels; negative inside. Near enough to a distance for
/// a soft edge of one pixel.
fn outside(class: u32, x: f32, y: f32, r: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let disc = |x: f32, y: f32, r: f32| (x * x + y * y).sqrt() - r;
    let block = ax.max(ay);
    let stripes = |v: f32| {
        // A wave of triangles, four pixels up and four down.
        let phase = (v + 64.0) % 8.0;
        (phase - 4.0).abs() - 2.0
    };
    match class {
        0 => disc(x, y, r),
        1 => disc(x, y, r - 1.5).abs() - 1.5,
        2 => block - 0.9 * r,
        3 => (block - (0.9 * r - 1.5)).abs() - 1.5,
        4 => (0.9 * ax + 0.45 * y - 0.45 * r).max(-y - 0.8 * r).max(y - 0.9 * r),
        5 => ax.min(ay).max(block - r + 2.0) - 2.0,
        6 => stripes(y).max(block - r),
        7 => stripes(x).max(block - r),
        8 => (if stripes(x) * stripes(y) > 0.0 { -0.5_f32 } else { 0.5 }).max(block - r),
        _ => disc(ax - 0.55 * r, y, 0.42 * r),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_follows_from_its_number_alone() {
        let (small, large) = (dataset(10), dataset(1_000_000_000));
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert_eq!(small.train.image(7, &mut a).unwrap(), large.train.image(7, &mut b).unwrap());
        assert_eq!(large.train.image(999_999_999, &mut b).unwrap().len(), SHAPE.values());
    }

    #[test]
    fn train_and_test_hold_different_drawings_of_the_same_classes() {
        let data = dataset(100);
        assert_eq!((data.train.count(), data.test.count()), (100, 20));
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert_eq!(data.train.label(3), data.test.label(3));
        assert_ne!(data.train.image(3, &mut a).unwrap(), data.test.image(3, &mut b).unwrap());
    }

    #[test]
    fn sets_of_different_size_have_different_digests() {
        assert_ne!(dataset(100).digest, dataset(101).digest);
        assert_eq!(dataset(100).digest, dataset(100).digest);
    }

    #[test]
    fn mean_brightness_does_not_tell_the_class() {
        let data = dataset(5_000);
        let mut sums = [0.0_f64; 10];
        let mut scratch = Vec::new();
        for sample in 0..5_000 {
            let image = data.train.image(sample, &mut scratch).unwrap();
            let mean = image.iter().map(|p| f64::from(*p)).sum::<f64>() / image.len() as f64;
            sums[(sample % 10) as usize] += mean / 500.0;
        }
        let (low, high) = sums.iter().fold((255.0_f64, 0.0_f64), |(l, h), s| (l.min(*s), h.max(*s)));
        assert!(high - low < 15.0, "class means from {low} to {high}");
    }
}
