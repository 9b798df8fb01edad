//! From a plan to the bytes of a batch: arithmetic, with no generator in scope.
//!
//! ```
//! use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Scratch, StreamSpec, collate, synthetic};
//!
//! let dataset = synthetic::dataset(100);
//! let checked = CheckedSpec::new(StreamSpec::train(7, 8), &dataset)?;
//! let (mut scratch, mut batch) = (Scratch::default(), BatchBuffer::default());
//! let plan = BatchPlan::new(&checked, 0);
//! collate(&checked, &plan, dataset.train.as_ref(), &mut scratch, &mut batch)?;
//! assert_eq!(batch.pixels.len(), 8 * 32 * 32 * 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::augment::{self, Frames, View};
use crate::checked::CheckedSpec;
use crate::dataset::{Fault, Pixels, SampleError, Samples};
use crate::lambda::Lambda;
use crate::mix::{mix_f32, mix_u8, paste};
use crate::plan::{BatchPlan, RowPlan};
use crate::planar::interleaved_to_planar;
use bytes::BytesMut;
use mixfeed_streamspec::{PixelLayout, PixelType};

/// The bytes of one batch of n rows. Reusing one keeps its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchBuffer {
    /// n images.
    pub pixels: BytesMut,
    /// n labels, u32 little-endian.
    pub labels: Vec<u8>,
    /// n labels of the partners, u32 little-endian; the label itself where nothing is mixed.
    pub partner_labels: Vec<u8>,
    /// n lambdas, u32 little-endian, 0 to 65536.
    pub lambdas: Vec<u8>,
    /// n pairs of sample and partner (the sample itself where nothing is mixed), u64 little-endian, by their numbers among all
    /// of the split; empty unless the spec asks for them.
    pub samples: Vec<u8>,
}

impl BatchBuffer {
    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        let Self { pixels, labels, partner_labels, lambdas, samples } = self;
        pixels.clear();
        [labels, partner_labels, lambdas, samples].into_iter().for_each(Vec::clear);
    }
}

/// Working memory for [`collate_row`], kept from batch to batch.
#[derive(Debug, Default)]
pub struct Scratch {
    base: Seen,
    partner: Seen,
    pasted: Vec<u8>,
    mixed: Vec<u8>,
    planar: Vec<u8>,
}

/// Memory for one image on its way into the mix.
#[derive(Debug, Default)]
struct Seen {
    read: Vec<u8>,
    frames: Frames,
}

/// Writes the batch that `plan` describes into `out`.
///
/// # Errors
/// When a sample cannot be read, or a custom transform fails; `out` then holds nothing of use.
pub fn collate(
    checked: &CheckedSpec,
    plan: &BatchPlan,
    samples: &dyn Samples,
    scratch: &mut Scratch,
    out: &mut BatchBuffer,
) -> Result<(), SampleError> {
    out.clear();
    out.pixels.reserve(plan.rows.len() * checked.image_bytes());
    plan.rows.iter().try_for_each(|row| collate_row(checked, row, samples, scratch, out))
}

/// Writes one row behind those that `out` holds.
///
/// # Errors
/// When a sample cannot be read, or a custom transform fails; `out` is then as before.
pub fn collate_row(
    checked: &CheckedSpec,
    row: &RowPlan,
    samples: &dyn Samples,
    scratch: &mut Scratch,
    out: &mut BatchBuffer,
) -> Result<(), SampleError> {
    let Scratch { base, partner, pasted, mixed, planar } = scratch;
    let label = row.label(samples);
    let base = see(checked, samples, row.sample, &row.view, base)?;
    let (partner_label, lambda, weight, base, partner) = match row.partner {
        None => (label, Lambda::ONE, Lambda::ONE, base, base),
        Some(p) => {
            let image = see(checked, samples, p.sample, &p.view, partner)?;
            let partner_label = p.label(samples);
            match p.blend.pasted {
                None => (partner_label, p.blend.lambda, p.blend.lambda, base, image),
                Some(region) => {
                    pasted.clear();
                    pasted.extend_from_slice(base);
                    paste(pasted, image, checked.image(), region);
                    // The pixels are what they will be: lambda is for the target only.
                    (partner_label, p.blend.lambda, Lambda::ONE, &**pasted, &**pasted)
                }
            }
        }
    };
    let spec = checked.spec();
    // Images are appended, so that a fresh buffer is not filled with zeros first. The detour over
    // `mixed` is one image long. What this gains was not measured in a paired run.
    if weight == Lambda::ONE && (spec.pixel_type, spec.pixel_layout) == (PixelType::U8, PixelLayout::Nhwc) {
        out.pixels.extend_from_slice(base);
    } else {
        mixed.resize(checked.image_bytes(), 0);
        write_image(checked, base, partner, weight, planar, mixed);
        out.pixels.extend_from_slice(mixed);
    }
    out.labels.extend(label.to_le_bytes());
    out.partner_labels.extend(partner_label.to_le_bytes());
    out.lambdas.extend(lambda.to_q16().to_le_bytes());
    if spec.sample_ids {
        let pair = [row.sample, row.partner.map_or(row.sample, |partner| partner.sample)];
        out.samples.extend(pair.into_iter().flat_map(|sample| checked.number_of_all(sample).to_le_bytes()));
    }
    Ok(())
}

/// Reads a sample and shows it as its view says.
fn see<'a>(
    checked: &CheckedSpec,
    samples: &'a dyn Samples,
    sample: u64,
    view: &View,
    Seen { read, frames }: &'a mut Seen,
) -> Result<&'a [u8], SampleError> {
    let shape = checked.image();
    let pixels = match &view.resized {
        Some(placed) => samples.part(sample, placed.original, placed.wanted(shape.size()), read)?,
        None => Pixels::whole(samples.image(sample, read)?, shape.size()),
    };
    if *view == View::PLAIN {
        return Ok(pixels.bytes);
    }
    augment::try_apply(view, shape, pixels, frames).map_err(|reason| {
        let record = samples.record(sample).unwrap_or_else(|| format!("record {sample}"));
        SampleError { sample, record, reason, fault: Fault::Transform }
    })
}

fn write_image(
    checked: &CheckedSpec,
    base: &[u8],
    partner: &[u8],
    lambda: Lambda,
    planar: &mut Vec<u8>,
    out: &mut [u8],
) {
    let spec = checked.spec();
    match spec.pixel_layout {
        PixelLayout::Nhwc => mix_row(spec.pixel_type, base, partner, lambda, out),
        PixelLayout::Nchw => {
            planar.resize(out.len(), 0);
            mix_row(spec.pixel_type, base, partner, lambda, planar);
            interleaved_to_planar(planar, checked.image().channels as usize, spec.pixel_type.bytes(), out);
        }
    }
}

fn mix_row(pixel_type: PixelType, base: &[u8], partner: &[u8], lambda: Lambda, out: &mut [u8]) {
    match pixel_type {
        PixelType::U8 => mix_u8(out, base, partner, lambda),
        PixelType::F32 => mix_f32(out, base, partner, lambda),
    }
}

#[cfg(test)]
mod tests;
