//! What a fake loader serves: a function of data, spec and index.

use bytes::Bytes;
use mixfeed_proto::{BatchBytes, batch_checksum, v1};
use mixfeed_streamspec::ImageShape;

/// The dataset of a fake loader.
#[derive(Clone, Debug)]
pub struct FakeData {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: [u8; 32],
    /// The fingerprint of the algorithm.
    pub fingerprint: [u8; 32],
    /// Number of classes.
    pub classes: u32,
    /// Training samples.
    pub train_samples: u64,
    /// Test samples.
    pub test_samples: u64,
    /// Shape of an image.
    pub image: ImageShape,
    /// Release of the loader.
    pub release: String,
}

impl Default for FakeData {
    fn default() -> Self {
        Self {
            name: "fake".into(),
            digest: [1; 32],
            fingerprint: [2; 32],
            classes: 10,
            train_samples: 1000,
            test_samples: 200,
            image: ImageShape { height: 4, width: 4, channels: 3 },
            release: "fake".into(),
        }
    }
}

impl FakeData {
    /// Samples and batches of an epoch of `spec`.
    pub(crate) fn epoch(&self, spec: &v1::StreamSpec) -> (u64, u64) {
        let all = if spec.split() == v1::Split::Test { self.test_samples } else { self.train_samples };
        let samples = if spec.limit > 0 { spec.limit.min(all) } else { all };
        let size = u64::from(spec.batch_size);
        match spec.remainder() {
            v1::Remainder::Drop => (samples / size * size, samples / size),
            _ => (samples, samples.div_ceil(size)),
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes one batch. The first bytes of each image are the number of its sample, little-endian, as far as they
/// fit; with shuffling, the order of an epoch is a rotation by the seed and the epoch.
#[must_use]
pub fn batch(data: &FakeData, spec: &v1::StreamSpec, index: u64) -> v1::Batch {
    let (samples, batches) = data.epoch(spec);
    let (epoch, size) = (index / batches, u64::from(spec.batch_size));
    let first = index % batches * size;
    let rows = size.min(samples - first);
    let part = |rank: u64| {
        spec.shard.map_or(rank * rows, |shard| (u64::from(shard.rank) + rank) * rows / u64::from(shard.world))
    };
    let turn = if spec.shuffle { mix(spec.seed ^ mix(epoch + 1)) % samples } else { 0 };
    let image_bytes = data.image.values();
    let (mut pixels, mut labels, mut partners, mut lambdas, mut numbers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in part(0)..part(1) {
        let sample = (first + row + turn) % samples;
        let mut image: Vec<u8> = sample.to_le_bytes().to_vec();
        image.resize(image_bytes, mix(sample ^ spec.seed) as u8);
        if spec.pixel_type() == v1::PixelType::F32 {
            pixels.extend(image.iter().flat_map(|value| (f32::from(*value) / 255.0).to_le_bytes()));
        } else {
            pixels.extend(image);
        }
        labels.push((sample % u64::from(data.classes)) as u32);
        partners.push((mix(sample ^ epoch) % u64::from(data.classes)) as u32);
        lambdas.push((mix(sample + epoch) % 65_537) as u32);
        if spec.sample_ids {
            numbers.extend([sample, mix(sample ^ epoch) % samples].into_iter().flat_map(u64::to_le_bytes));
        }
    }
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Bytes>();
    let mut message = v1::Batch {
        index,
        pixels: pixels.into(),
        labels: words(&labels),
        partner_labels: words(&partners),
        lambdas: words(&lambdas),
        samples: numbers.into(),
        ..v1::Batch::default()
    };
    seal(&mut message, spec);
    message
}

/// Gives the message the checksum of what it holds.
pub(crate) fn seal(message: &mut v1::Batch, spec: &v1::StreamSpec) {
    message.checksum = batch_checksum(&BatchBytes::of(message, &mixfeed_proto::spec_digest(spec)));
}
