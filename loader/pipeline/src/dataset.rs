//! What batches are made of: labelled images, of one shape or of many, read by number.
//!
//! A [`Dataset`] is complete and immutable once made. Where its bytes come from (files, a
//! generator) is the business of whoever makes it; here it is only read, from many threads.
//!
//! ```
//! use mixfeed_pipeline::dataset::InMemory;
//! use mixfeed_pipeline::{Dataset, ImageShape};
//! use std::sync::Arc;
//!
//! let shape = ImageShape { height: 1, width: 2, channels: 3 };
//! let train = Arc::new(InMemory::new(shape, vec![0; 12], vec![0, 1]));
//! let test = Arc::new(InMemory::new(shape, vec![255; 6], vec![1]));
//! let dataset = Dataset::new("two", vec!["dark".into(), "light".into()], shape, train, test)?;
//! assert_eq!((dataset.train.count(), dataset.test.label(0)), (2, 1));
//! # Ok::<(), mixfeed_pipeline::SampleError>(())
//! ```

use crate::blend::Region;
use crate::left_out::LeftOut;
use mixfeed_streamspec::{ImageShape, ImageSize, Output, Split};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A sample that cannot be read or shown. The message names file, record or offset, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample {sample}: {record}: {reason}")]
pub struct SampleError {
    /// Number of the sample in its split.
    pub sample: u64,
    /// Where its record lies in the set.
    pub record: String,
    /// What is wrong.
    pub reason: String,
    /// Whether it will be so elsewhere, and later.
    pub fault: Fault,
}

/// What kind of fault keeps a sample from being read, or shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Its bytes are damaged: every replica with the same data finds the same, whenever it looks.
    Damaged,
    /// It is not what it was when the set was read: gone, or of other bytes. Another replica may still have it.
    Changed,
    /// It cannot be read at this moment: later, or elsewhere, it may be.
    Unavailable,
    /// It is there, and a custom transform fails on it, as it will everywhere.
    Transform,
}

/// The samples of one split.
pub trait Samples: Send + Sync + fmt::Debug {
    /// Returns the number of samples.
    fn count(&self) -> u64;

    /// Returns the class of a sample, which is below the number of classes.
    fn label(&self, sample: u64) -> u32;

    /// Returns the image of a sample: height × width × channels bytes, row after row. It may be written into
    /// `scratch`, whose contents are free for use.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError>;

    /// Returns the size of a sample's image; none where all are of the dataset's shape, or it is not known because the record
    /// is damaged.
    fn size(&self, _sample: u64) -> Option<ImageSize> {
        None
    }

    /// Returns where the record of a sample lies in the set, for a person; nothing where samples are not records.
    fn record(&self, _sample: u64) -> Option<String> {
        None
    }

    /// Returns at least a part of the image of a sample, of size `original`: what decoding it alone saves. It may be written
    /// into `scratch`, whose contents are free for use.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    fn part<'a>(
        &'a self,
        sample: u64,
        original: ImageSize,
        _part: Part,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Pixels<'a>, SampleError> {
        Ok(Pixels::whole(self.image(sample, scratch)?, original))
    }

    /// Returns which samples were left out, by the numbers that they had among all.
    fn left_out(&self) -> LeftOut {
        LeftOut::default()
    }

    /// Returns how many samples are known to be bad, and the first few of them.
    fn known_bad(&self, _few: usize) -> (u64, Vec<SampleError>) {
        (0, Vec::new())
    }

    /// Returns in what formats the images came, as in "png", and how many of each; nothing where they did not come as files
    /// of their own.
    fn formats(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    /// Returns what memory reading them may still take; none where all is in memory by now.
    fn memory(&self) -> SampleMemory {
        SampleMemory::default()
    }
}

/// A part of an image that somebody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// In pixels of the image.
    pub region: Region,
    /// 1, or 2, 4 or 8 where decoding may shrink the image by it (JPEG's scaled IDCT).
    pub denominator: u32,
}

/// Pixels of a part of an image, row after row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixels<'a> {
    /// Height × width × channels bytes.
    pub bytes: &'a [u8],
    /// The part, in pixels of the image as it was decoded.
    pub region: Region,
    /// The image was decoded at 1/`denominator` of its size.
    pub denominator: u32,
}

impl<'a> Pixels<'a> {
    /// All pixels of an image.
    #[must_use]
    pub const fn whole(bytes: &'a [u8], size: ImageSize) -> Self {
        Self { bytes, region: Region::whole(size), denominator: 1 }
    }
}

/// Memory that reading samples may take, beside what they have by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleMemory {
    /// Bytes of what is kept once somebody has asked for it.
    pub to_keep_bytes: u64,
    /// Bytes, at most, that one thread needs to decode one image.
    pub decoding_bytes: u64,
}

/// A labelled image set.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Short readable name, as in "cifar10".
    pub name: String,
    /// Names of the classes, in the order of the labels.
    pub classes: Vec<String>,
    /// Shape of every image; none where they are of many sizes.
    pub image: Option<ImageShape>,
    /// Output size of streams that name none; none sends images as they are.
    pub output: Option<Output>,
    /// The training samples.
    pub train: Arc<dyn Samples>,
    /// The test samples.
    pub test: Arc<dyn Samples>,
    /// See [`digest_of`].
    pub digest: [u8; 32],
    /// Where samples were left out: the digest of the set with them. See [`digest_without`].
    pub whole_digest: Option<[u8; 32]>,
}

impl Dataset {
    /// Puts a set together whose digest covers the labels and pixels of all samples, each of which is read for
    /// it once.
    ///
    /// # Errors
    /// When a sample cannot be read.
    pub fn new(
        name: impl Into<String>,
        classes: Vec<String>,
        image: ImageShape,
        train: Arc<dyn Samples>,
        test: Arc<dyn Samples>,
    ) -> Result<Self, SampleError> {
        let digest = digest_of(&SplitDigest::of(train.as_ref())?, &SplitDigest::of(test.as_ref())?);
        Ok(Self {
            name: name.into(),
            classes,
            image: Some(image),
            output: None,
            train,
            test,
            digest,
            whole_digest: None,
        })
    }

    /// Returns the samples of a split.
    #[must_use]
    pub fn samples(&self, split: Split) -> &Arc<dyn Samples> {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }

    /// Says of two training samples that they are of two sizes; nothing where all images are of one.
    #[must_use]
    pub fn odd_size(&self) -> Option<String> {
        let samples = &self.train;
        let sizes = || (0..samples.count()).filter_map(|sample| Some((sample, samples.size(sample)?)));
        let (_, first) = sizes().next()?;
        let (odd, size) = sizes().find(|(_, size)| *size != first)?;
        let name = samples.record(odd).unwrap_or_else(|| format!("training sample {odd}"));
        Some(format!("{name} is {}, others are {}", size.rgb(), first.rgb())).filter(|_| self.image.is_none())
    }

    /// Returns the shape of a sample's image; of one without pixels where it is not known because the record is damaged.
    #[must_use]
    pub fn shape(&self, split: Split, sample: u64) -> ImageShape {
        let own = || self.samples(split).size(sample).map(ImageSize::rgb);
        self.image.or_else(own).unwrap_or(ImageShape { height: 0, width: 0, channels: 3 })
    }
}

/// What enters the dataset digest of one split: BLAKE3 hashes over all its records, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitDigest {
    /// Number of records.
    pub samples: u64,
    /// Over the labels, u32 little-endian each.
    pub labels: [u8; 32],
    /// Over the lengths of the encoded records, u64 little-endian each.
    pub lengths: [u8; 32],
    /// Over the encoded records, one after the other; for records that are files of their own, over
    /// their BLAKE3 hashes, so that many threads can compute them. (The lengths keep two sets apart
    /// whose records are cut differently.)
    pub records: [u8; 32],
}

impl SplitDigest {
    /// Reads all samples, whose records are their pixels.
    ///
    /// # Errors
    /// When a sample cannot be read.
    pub fn of(samples: &dyn Samples) -> Result<Self, SampleError> {
        let [mut labels, mut lengths, mut records] = std::array::from_fn(|_| blake3::Hasher::new());
        let mut scratch = Vec::new();
        for sample in 0..samples.count() {
            let pixels = samples.image(sample, &mut scratch)?;
            labels.update(&samples.label(sample).to_le_bytes());
            lengths.update(&(pixels.len() as u64).to_le_bytes());
            records.update(blake3::hash(pixels).as_bytes());
        }
        Ok(Self {
            samples: samples.count(),
            labels: labels.finalize().into(),
            lengths: lengths.finalize().into(),
            records: records.finalize().into(),
        })
    }
}

/// Returns the dataset digest: BLAKE3 over both splits, train first.
///
/// It covers split, order, label and encoded bytes of every record, so that replicas of one digest
/// give one stream. Names of classes are not part of it.
#[must_use]
pub fn digest_of(train: &SplitDigest, test: &SplitDigest) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mixfeed dataset 1");
    for split in [train, test] {
        hasher.update(&split.samples.to_le_bytes());
        hasher.update(&split.labels);
        hasher.update(&split.lengths);
        hasher.update(&split.records);
    }
    hasher.finalize().into()
}

/// Returns the digest of a set that `setting` turned into another one, as in "image size 32x32".
#[must_use]
pub fn digest_with(digest: &[u8; 32], setting: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mixfeed dataset setting 1");
    hasher.update(digest);
    hasher.update(setting.as_bytes());
    hasher.finalize().into()
}

/// Returns the digest of the set of digest `whole` without these training and test samples; none leave the set.
#[must_use]
pub fn digest_without(whole: &[u8; 32], train: &LeftOut, test: &LeftOut) -> [u8; 32] {
    if train.count() + test.count() == 0 {
        return *whole;
    }
    let mut setting = String::from("left out, in the order of all");
    for (split, left_out) in [("train", train), ("test", test)] {
        let _ = write!(setting, " {split}");
        for number in left_out.numbers() {
            let _ = write!(setting, " {number}");
        }
    }
    digest_with(whole, &setting)
}

/// Samples held decoded in memory.
pub struct InMemory {
    image_bytes: usize,
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl InMemory {
    /// Takes images one after the other and a label for each.
    ///
    /// # Panics
    /// When the number of images and of labels differ.
    #[must_use]
    pub fn new(shape: ImageShape, pixels: Vec<u8>, labels: Vec<u32>) -> Self {
        let image_bytes = shape.values();
        assert_eq!(pixels.len(), image_bytes * labels.len(), "one image for each label");
        Self { image_bytes, pixels, labels }
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").field("samples", &self.labels.len()).finish_non_exhaustive()
    }
}

impl Samples for InMemory {
    fn count(&self) -> u64 {
        self.labels.len() as u64
    }

    fn label(&self, sample: u64) -> u32 {
        self.labels[sample as usize]
    }

    fn image<'a>(&'a self, sample: u64, _scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        let start = sample as usize * self.image_bytes;
        Ok(&self.pixels[start..start + self.image_bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: SplitDigest =
        SplitDigest { samples: 3, labels: [1; 32], lengths: [2; 32], records: [3; 32] };

    #[test]
    fn a_set_put_together_is_named_by_labels_and_pixels() {
        let shape = ImageShape { height: 1, width: 1, channels: 3 };
        let set = |pixels: [u8; 6], labels: [u32; 2]| {
            let samples: Arc<dyn Samples> = Arc::new(InMemory::new(shape, pixels.into(), labels.into()));
            Dataset::new("two", vec!["a".into(), "b".into()], shape, Arc::clone(&samples), samples).unwrap()
        };
        let base = set([1, 2, 3, 4, 5, 6], [0, 1]).digest;
        assert_eq!(set([1, 2, 3, 4, 5, 6], [0, 1]).digest, base);
        assert_ne!(set([1, 2, 3, 4, 5, 7], [0, 1]).digest, base);
        assert_ne!(set([1, 2, 3, 4, 5, 6], [1, 1]).digest, base);
    }

    #[test]
    fn every_part_of_a_split_moves_the_digest() {
        let base = digest_of(&SPLIT, &SPLIT);
        let others = [
            SplitDigest { samples: 4, ..SPLIT },
            SplitDigest { labels: [9; 32], ..SPLIT },
            SplitDigest { lengths: [9; 32], ..SPLIT },
            SplitDigest { records: [9; 32], ..SPLIT },
        ];
        for other in &others {
            assert_ne!(digest_of(other, &SPLIT), base);
            assert_ne!(digest_of(&SPLIT, other), base);
            assert_ne!(digest_of(other, &SPLIT), digest_of(&SPLIT, other));
        }
    }
}
