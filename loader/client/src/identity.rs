//! What a replica says that it is, and whether it may join the others.
//!
//! Read right after connecting. Two replicas may feed one stream when they serve the same data and
//! compute the same batches from it; both are compared here, by digest. What a batch really
//! contains is looked at in `checks.rs`.

use crate::config::Expected;
use crate::geometry::Geometry;
use mixfeed_proto::{limits, v1};
use mixfeed_streamspec::{ImageShape, Split, StreamSpec};

/// The dataset behind a stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatasetInfo {
    /// Short readable name.
    pub name: String,
    /// Digest of its records.
    pub digest: [u8; 32],
    /// Names of the classes; a label is a position in this list.
    pub classes: Vec<String>,
    /// Shape of its images, or the range of their sizes, for a person.
    pub images: String,
    /// Number of training samples.
    pub train_samples: u64,
    /// Number of test samples.
    pub test_samples: u64,
    /// What was left out of it.
    pub left_out: LeftOutInfo,
    /// What is known to be bad in it.
    pub bad_records: BadRecordsInfo,
}

impl DatasetInfo {
    /// [`classes_digest`] of its classes.
    #[must_use]
    pub fn classes_digest(&self) -> [u8; 32] {
        classes_digest(&self.classes)
    }
}

/// BLAKE3 over the class names in order, each with its length in bytes as a little-endian u64 before it. The digest of the
/// records knows labels, and no names of classes.
#[must_use]
pub fn classes_digest(classes: &[String]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for class in classes {
        hasher.update(&(class.len() as u64).to_le_bytes());
        hasher.update(class.as_bytes());
    }
    hasher.finalize().into()
}

/// Samples that loaders leave out of a dataset.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeftOutInfo {
    /// Digest of the set with them; none where nothing is left out.
    pub whole_digest: Option<[u8; 32]>,
    /// Of the training samples, by their numbers among all, ascending.
    pub train: Vec<u64>,
    /// Of the test samples.
    pub test: Vec<u64>,
}

/// Records that a loader knows to be bad: batches with them will fail.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BadRecordsInfo {
    /// How many there are.
    pub count: u64,
    /// The first of them, a line each.
    pub examples: Vec<String>,
}

/// What is fixed about a stream once it is open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamInfo {
    /// The dataset.
    pub dataset: DatasetInfo,
    /// Readable name of the algorithm that makes batches.
    pub algorithm_version: u32,
    /// Fingerprint of that algorithm.
    pub algorithm_fingerprint: [u8; 32],
    /// Shape of each image as sent.
    pub image: ImageShape,
    /// Samples of an epoch.
    pub samples_per_epoch: u64,
    /// Batches of an epoch.
    pub batches_per_epoch: u64,
}

/// What a replica answered to `Describe`.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) dataset: DatasetInfo,
    /// Of all images where a stream names no output; none where they are of many sizes.
    pub(crate) image: Option<ImageShape>,
    pub(crate) algorithm_version: u32,
    pub(crate) algorithm_fingerprint: [u8; 32],
    pub(crate) max_batch_size: u32,
    pub(crate) max_batch_bytes: u64,
    pub(crate) max_wanted: u32,
    pub(crate) max_indices_per_request: u32,
    pub(crate) release: String,
    pub(crate) workers: u32,
    /// Random id of its process, as hexadecimal digits; empty from a release that draws none.
    pub(crate) instance: String,
}

impl Identity {
    /// What is fixed about a stream of this shape that the replica opened.
    pub(crate) fn into_info(self, geometry: &Geometry) -> StreamInfo {
        StreamInfo {
            image: geometry.image,
            samples_per_epoch: geometry.epochs.samples(),
            batches_per_epoch: geometry.epochs.batches(),
            algorithm_version: self.algorithm_version,
            algorithm_fingerprint: self.algorithm_fingerprint,
            dataset: self.dataset,
        }
    }

    /// Reads the answer to `Describe`; an error says what is wrong with it.
    pub(crate) fn read(message: v1::DescribeResponse) -> Result<Self, String> {
        let dataset = message.dataset.ok_or("it describes no dataset")?;
        let own = message.limits.ok_or("it names no limits")?;
        let samples = |split: v1::Split| {
            dataset.splits.iter().find(|s| s.split == i32::from(split)).map_or(0, |s| s.samples)
        };
        let left_out = |split: v1::Split| {
            let found = dataset.splits.iter().find(|s| s.split == i32::from(split));
            let numbers = found.map_or_else(Vec::new, |s| s.left_out.clone());
            let ascending = numbers.is_sorted_by(|a, b| a < b) && numbers.len() <= limits::MAX_LEFT_OUT;
            ascending.then_some(numbers).ok_or("its samples left out are not in order, or too many")
        };
        let left_out = LeftOutInfo {
            whole_digest: digest(&dataset.whole_digest),
            train: left_out(v1::Split::Train)?,
            test: left_out(v1::Split::Test)?,
        };
        let examples = dataset.bad_record_examples.iter().take(limits::MAX_BAD_RECORDS).map(bad_record);
        let bad_records = BadRecordsInfo { count: dataset.bad_records, examples: examples.collect() };
        let image: Option<ImageShape> = dataset.image.map(TryInto::try_into).transpose()?;
        let images = match (image, dataset.sizes) {
            (Some(image), None) => image.to_string(),
            (_, Some(v1::ImageSizes { min_height, min_width, max_height, max_width })) => {
                format!("many sizes, {min_height}×{min_width} to {max_height}×{max_width}")
            }
            (None, None) => return Err("it names neither a shape nor sizes of its images".into()),
        };
        let classes = dataset.classes.len();
        if classes == 0 || classes > limits::MAX_CLASSES {
            return Err(format!(
                "its dataset has {classes} classes, 1 to {} are allowed",
                limits::MAX_CLASSES
            ));
        }
        Ok(Self {
            image,
            dataset: DatasetInfo {
                train_samples: samples(v1::Split::Train),
                test_samples: samples(v1::Split::Test),
                digest: digest(&dataset.digest).ok_or("its dataset digest has not 32 bytes")?,
                name: dataset.name,
                classes: dataset.classes,
                images,
                left_out,
                bad_records,
            },
            algorithm_version: message.algorithm_version,
            algorithm_fingerprint: digest(&message.algorithm_fingerprint)
                .ok_or("its algorithm fingerprint has not 32 bytes")?,
            max_batch_size: own.max_batch_size,
            max_batch_bytes: own.max_batch_bytes,
            max_wanted: own.max_wanted.max(1),
            max_indices_per_request: own.max_indices_per_request.max(1),
            release: message.release,
            workers: message.workers,
            instance: instance(&message.instance_id),
        })
    }

    /// The shape of a stream by `spec` from this replica; an error where its images are of many sizes and the spec names none.
    pub(crate) fn geometry(&self, spec: &StreamSpec) -> Result<Geometry, String> {
        let DatasetInfo { train_samples, test_samples, left_out, .. } = &self.dataset;
        let (served, left_out) = match spec.split {
            Split::Train => (*train_samples, &left_out.train),
            Split::Test => (*test_samples, &left_out.test),
        };
        // A limit counts those that are left out, too.
        let limited = |limit: u64| {
            let all = limit.min(served.saturating_add(left_out.len() as u64));
            all - left_out.partition_point(|sample| *sample < all) as u64
        };
        let samples = if spec.limit == 0 { served } else { limited(spec.limit) };
        let image = spec.sent(self.image).ok_or("its images are of many sizes, and the spec names none")?;
        Ok(Geometry::new(spec, samples, image))
    }

    /// What a stream with this replica as its reference expects of the others.
    pub(crate) fn expected(&self) -> Expected {
        Expected {
            dataset_digest: self.dataset.digest,
            algorithm_fingerprint: self.algorithm_fingerprint,
            classes_digest: Some(self.dataset.classes_digest()),
        }
    }

    /// Says why this replica must not feed a stream that expects `expected`.
    pub(crate) fn differs_from(&self, expected: &Expected) -> Option<String> {
        let mut reasons = Vec::new();
        if self.dataset.digest != expected.dataset_digest {
            reasons.push(format!(
                "it serves dataset {} ({}), expected {}",
                short(&self.dataset.digest),
                self.dataset.name,
                short(&expected.dataset_digest)
            ));
        }
        if expected.classes_digest.is_some_and(|expected| expected != self.dataset.classes_digest()) {
            let classes = &self.dataset.classes;
            reasons.push(format!(
                "it has other classes than expected: {} of them, from {:?} to {:?}",
                classes.len(),
                short_name(classes.first()),
                short_name(classes.last())
            ));
        }
        if self.algorithm_fingerprint != expected.algorithm_fingerprint {
            reasons.push(format!(
                "it computes batches by algorithm {} (version {}, release {}), expected {}",
                short(&self.algorithm_fingerprint),
                self.algorithm_version,
                self.release,
                short(&expected.algorithm_fingerprint)
            ));
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Says why this replica cannot serve `spec` within its limits.
    pub(crate) fn cannot_serve(&self, spec: &StreamSpec) -> Option<String> {
        let rows =
            u64::from(spec.batch_size).div_ceil(spec.shard.map_or(1, |shard| shard.world.max(1).into()));
        let Some(image) = spec.sent(self.image) else {
            return Some(format!(
                "its images are of {}, so that the stream needs an output size, as in --image-size 224",
                self.dataset.images
            ));
        };
        let row_bytes = spec.image_bytes(image) as u64;
        let max_batch_bytes = self.max_batch_bytes.min(limits::MAX_BATCH_BYTES);
        if spec.batch_size > self.max_batch_size {
            Some(format!("batch size {} is above its limit of {}", spec.batch_size, self.max_batch_size))
        } else if rows * row_bytes > max_batch_bytes {
            Some(format!(
                "a batch of {rows} rows has {} bytes, above its limit of {max_batch_bytes}: at most {} rows",
                rows * row_bytes,
                max_batch_bytes / row_bytes
            ))
        } else {
            None
        }
    }
}

/// A bad record in one line.
fn bad_record(bad: &v1::BadRecord) -> String {
    let split = if bad.split() == v1::Split::Test { "test" } else { "train" };
    let part = |text: &str| limits::cut(text, limits::MAX_BAD_RECORD_BYTES).to_owned();
    format!("{split} sample {}: {}: {}", bad.sample, part(&bad.record), part(&bad.reason))
}

/// A class as far as it fits into a message.
fn short_name(class: Option<&String>) -> &str {
    class.map_or("", |class| limits::cut(class, 40))
}

/// The id of a process as text; what is not 16 bytes long is none.
pub(crate) fn instance(id: &[u8]) -> String {
    let hex = |byte: &u8| format!("{byte:02x}");
    if id.len() == 16 { id.iter().map(hex).collect() } else { String::new() }
}

fn digest(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

/// The first 12 hexadecimal digits: enough for a person to compare.
pub(crate) fn short(digest: &[u8; 32]) -> String {
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(height: u32, width: u32, channels: u32) -> Result<ImageShape, String> {
        ImageShape::try_from(v1::ImageShape { height, width, channels })
    }

    #[test]
    fn an_image_that_no_batch_could_hold_is_refused() {
        assert!(read(32, 32, 3).is_ok());
        assert!(read(4096, 4096, 4).is_ok(), "64 MiB");
        for (height, width, channels) in [(4096, 4096, 5), (65_535, 65_535, 1), (65_535, 65_535, 65_535)] {
            assert!(read(height, width, channels).unwrap_err().contains("impossible shape"));
        }
        assert!(read(0, 32, 3).is_err());
    }
}
