//! The samples of a split of image files, for whoever asks: read, checked and decoded, unless they are kept.

use super::super::checks::Checks;
use super::super::options::Cache;
use super::super::record_cache::RecordCache;
use super::super::records::{Archive, ReadError, Record};
use super::super::sizes::Sizes;
use super::super::skip_list::Skipped;
use mixfeed_pipeline::dataset::{Part, Pixels};
use mixfeed_pipeline::decode::{DecodeError, MAX_DECODE_BYTES, decode_part, decode_rgb, shape_of};
use mixfeed_pipeline::spec::ImageSize;
use mixfeed_pipeline::{Fault, ImageShape, LeftOut, SampleError, SampleMemory, Samples, Split};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Memory that decoding takes for each pixel of an image, at most: values of up to four bytes of four channels in the file
/// and again as they are handed out, coefficients of a progressive JPEG, and the image turned as its orientation says.
const DECODING_BYTES: u64 = 40;

/// The samples of one split.
pub(super) struct Encoded {
    pub(super) archive: Arc<dyn Archive>,
    pub(super) records: Vec<Record>,
    pub(super) sizes: Sizes,
    pub(super) kept: RecordCache,
    pub(super) checks: Checks,
    /// Records known to be bad, by sample, with the reason.
    pub(super) bad: BTreeMap<u64, String>,
    /// Of all records, those too that were left out.
    pub(super) formats: BTreeMap<String, u64>,
    /// Of all files together, as far as they are known.
    pub(super) bytes: u64,
    /// Those that were left out.
    pub(super) left_out: LeftOut,
    pub(super) is_test: bool,
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("samples", &self.records.len()).finish_non_exhaustive()
    }
}

impl Encoded {
    /// The records that are known to be bad.
    pub(super) fn bad(&self, split: Split) -> impl Iterator<Item = Skipped> + '_ {
        self.bad.iter().map(move |(&sample, reason)| Skipped {
            split,
            sample,
            record: self.archive.path(self.records[sample as usize].number),
            reason: reason.clone(),
        })
    }

    /// Leaves samples out; those after them move up.
    pub(super) fn without(mut self, left_out: LeftOut) -> Self {
        let stays = || {
            let mut sample = 0..;
            let left_out = &left_out;
            move || sample.next().is_some_and(|sample| !left_out.contains(sample))
        };
        let mut keep = stays();
        self.records.retain(|_| keep());
        self.checks.retain(stays());
        self.sizes.retain(stays());
        self.kept.leave_out(&left_out);
        let bad = self.bad.into_iter().filter(|(sample, _)| !left_out.contains(*sample));
        self.bad = bad.map(|(sample, reason)| (left_out.number_left(sample), reason)).collect();
        self.left_out = left_out;
        self
    }

    fn error(&self, sample: u64, fault: Fault, reason: &str) -> SampleError {
        let record = self.archive.path(self.records[sample as usize].number);
        SampleError { sample, record, reason: reason.into(), fault }
    }

    fn damaged(&self, sample: u64) -> impl Fn(DecodeError) -> SampleError + '_ {
        move |error| self.error(sample, Fault::Damaged, &error.to_string())
    }

    /// The file of a sample, as it was at the start.
    fn file<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        if let Some(reason) = self.bad.get(&sample) {
            return Err(self.bad_file(sample, reason, scratch));
        }
        if let Some(kept) = self.kept.get(sample) {
            return Ok(kept);
        }
        self.read(sample, scratch)?;
        // The size that was planned with came from elsewhere, too.
        if self.checks.came_from_elsewhere() && !self.is_of_its_size(sample, scratch) {
            return Err(self.error(sample, Fault::Changed, "its image is not of the size in the index"));
        }
        self.kept.offer(Cache::Encoded, sample, scratch);
        Ok(scratch)
    }

    /// What is wrong with a record that is known to be bad: that, or that it is another one than an index says.
    fn bad_file(&self, sample: u64, reason: &str, scratch: &mut Vec<u8>) -> SampleError {
        if self.checks.came_from_elsewhere()
            && let Err(error) = self.read(sample, scratch)
            && error.fault == Fault::Changed
            && error.reason != reason
        {
            return error;
        }
        self.error(sample, Fault::Damaged, reason)
    }

    /// Reads the file of a sample, and sees whether it is still the same.
    fn read(&self, sample: u64, scratch: &mut Vec<u8>) -> Result<(), SampleError> {
        let record = self.records[sample as usize];
        self.archive.read(record.number, scratch).map_err(|e| {
            let fault = match e {
                ReadError::Moment(_) => Fault::Unavailable,
                // It was a record when the set was read.
                ReadError::Record(_)
                | ReadError::Nothing(_)
                | ReadError::Changed(_)
                | ReadError::Holder(_) => Fault::Changed,
            };
            self.error(sample, fault, &e.to_string())
        })?;
        // What was learnt of a file, now or at an earlier start, is of these bytes and no others.
        let differs = self.checks.differ(sample as usize, record, scratch);
        differs.map_or(Ok(()), |reason| Err(self.error(sample, Fault::Changed, reason)))
    }

    /// Whether a file has an image of the size that is known of it.
    fn is_of_its_size(&self, sample: u64, file: &[u8]) -> bool {
        shape_of(file).ok().map(ImageShape::size) == self.sizes.get(sample)
    }

    /// The pixels of a sample, where they are kept.
    fn decoded(&self, sample: u64) -> Option<&[u8]> {
        (self.kept.what() == Cache::Decoded).then(|| self.kept.get(sample))?
    }
}

impl Samples for Encoded {
    fn count(&self) -> u64 {
        self.records.len() as u64
    }

    fn label(&self, sample: u64) -> u32 {
        self.records[sample as usize].label
    }

    fn left_out(&self) -> LeftOut {
        self.left_out.clone()
    }

    fn known_bad(&self, few: usize) -> (u64, Vec<SampleError>) {
        let first = self.bad.iter().take(few);
        let first = first.map(|(sample, reason)| self.error(*sample, Fault::Damaged, reason)).collect();
        (self.bad.len() as u64, first)
    }

    fn formats(&self) -> BTreeMap<String, u64> {
        self.formats.clone()
    }

    fn size(&self, sample: u64) -> Option<ImageSize> {
        self.sizes.get(sample)
    }

    fn record(&self, sample: u64) -> Option<String> {
        self.records.get(usize::try_from(sample).ok()?).map(|record| self.archive.path(record.number))
    }

    fn memory(&self) -> SampleMemory {
        let good = |sample: &u64| !self.bad.contains_key(sample);
        // Those that are known to be bad are never kept, and never decoded.
        let missing = self.kept.missing().filter(good);
        let bytes = |sample| self.sizes.get(sample).map_or(0, |size| size.rgb().values() as u64);
        let to_keep_bytes = match self.kept.what() {
            Cache::Decoded => missing.map(bytes).fold(0, u64::saturating_add).min(self.kept.room()),
            Cache::Encoded if self.kept.missing().next().is_some() => self.bytes,
            Cache::Encoded | Cache::Auto | Cache::None => 0,
        };
        let all_decoded = self.kept.what() == Cache::Decoded && to_keep_bytes == 0;
        // What the archive keeps is of both splits, and counts once.
        let by_archive = if self.is_test { 0 } else { self.archive.to_keep_bytes() };
        let to_keep_bytes = to_keep_bytes.saturating_add(by_archive);
        let largest = self.sizes.iter().map(|size| u64::from(size.height) * u64::from(size.width)).max();
        let file = self.checks.most_bytes(&self.records);
        let decoding = (DECODING_BYTES * largest.unwrap_or(0)).min(MAX_DECODE_BYTES);
        // The file, and the data of a JPEG's scan once more.
        let decoding_bytes = if all_decoded { 0 } else { decoding + 2 * file };
        SampleMemory { to_keep_bytes, decoding_bytes }
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        if let Some(pixels) = self.decoded(sample) {
            return Ok(pixels);
        }
        let (_, pixels) = decode_rgb(self.file(sample, scratch)?).map_err(self.damaged(sample))?;
        self.kept.offer(Cache::Decoded, sample, &pixels);
        *scratch = pixels;
        Ok(scratch)
    }

    fn part<'a>(
        &'a self,
        sample: u64,
        original: ImageSize,
        part: Part,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Pixels<'a>, SampleError> {
        // Pixels that are kept are those of whole images.
        if self.kept.what() == Cache::Decoded && part.denominator == 1 {
            return Ok(Pixels::whole(self.image(sample, scratch)?, original));
        }
        let mut pixels = Vec::new();
        let (region, denominator) =
            decode_part(self.file(sample, scratch)?, part, &mut pixels).map_err(self.damaged(sample))?;
        *scratch = pixels;
        Ok(Pixels { bytes: scratch, region, denominator })
    }
}
