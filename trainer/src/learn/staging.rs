//! From a batch as it came over the wire to tensors on the device.
//!
//! Pixels travel as bytes, a quarter of what they are as numbers, and become numbers only where they
//! are used. Labels travel as (label, partner, lambda) and become soft targets there too. To a GPU they
//! are copied while it computes the steps before, through pinned memory, and nothing waits for the copy
//! but the step that needs it.

use crate::machine::shim::Uploader;
use mixfeed_client::{Batch, StreamInfo};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// How pixels become numbers: (pixel / 255 - mean) / standard deviation, per channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Normalisation {
    /// Subtracted, in units of full brightness.
    pub mean: f64,
    /// Divided by, in units of full brightness; above 0.
    pub standard_deviation: f64,
}

impl Default for Normalisation {
    /// The article's: -1 to 1.
    fn default() -> Self {
        Normalisation { mean: 0.5, standard_deviation: 0.5 }
    }
}

/// A batch on the device.
#[derive(Debug)]
pub struct Staged {
    /// Rows × channels × height × width, f32, normalised; channels last in memory.
    pub images: Tensor,
    /// Rows × classes, f32; each row sums to one.
    pub targets: Tensor,
}

/// Takes batches of one stream to the device.
pub struct Stager {
    /// The way to a GPU; none to the CPU, where the batch is already.
    uploader: Option<Uploader>,
    image: [i64; 3],
    /// 0, 1, … as many as there are classes, on the device.
    classes: Tensor,
    scale: f64,
    shift: f64,
}

impl Stager {
    /// Prepares for the batches of a stream.
    ///
    /// # Panics
    /// When `device` is a GPU that is not there: whoever chose it has made sure that it is.
    #[must_use]
    pub fn new(info: &StreamInfo, normalisation: Normalisation, device: Device) -> Self {
        let Normalisation { mean, standard_deviation } = normalisation;
        let image = info.image;
        let classes = info.dataset.classes.len() as i64;
        let uploader = device.is_cuda().then(|| Uploader::new(device).expect("the GPU is there"));
        Stager {
            uploader,
            image: [image.height, image.width, image.channels].map(i64::from),
            classes: Tensor::arange(classes, (Kind::Int, device)),
            scale: 1.0 / (255.0 * standard_deviation),
            shift: -mean / standard_deviation,
        }
    }

    /// Takes a batch of the stream to the device.
    ///
    /// # Panics
    /// When the pixels do not fill the images: the client has checked that they do.
    pub fn stage(&self, batch: &Batch) -> Staged {
        self.stage_rows(batch, 0..batch.rows)
    }

    /// Takes some rows of a batch of the stream to the device, into memory of their own: what they come to does not depend
    /// on the rows around them.
    ///
    /// # Panics
    /// When the batch has fewer rows, or the pixels do not fill the images: the client has checked that they do.
    pub fn stage_rows(&self, batch: &Batch, range: Range<usize>) -> Staged {
        let [height, width, channels] = self.image;
        let image_bytes = (height * width * channels) as usize;
        assert_eq!(batch.pixels.len(), batch.rows * image_bytes, "bytes of batch {}", batch.index);
        let pixels = &batch.pixels[range.start * image_bytes..range.end * image_bytes];
        let rows = range.len() as i64;

        // The memory stays as it came, channels last; permute only turns how it is looked at.
        let images = self
            .upload(pixels)
            .reshape([rows, height, width, channels])
            .to_kind(Kind::Float)
            .g_mul_scalar_(self.scale)
            .g_add_scalar_(self.shift)
            .permute([0, 3, 1, 2]);
        Staged { images, targets: self.targets(batch, range) }
    }

    /// Bytes as a row on the device.
    fn upload(&self, bytes: &[u8]) -> Tensor {
        match &self.uploader {
            // As with any call of libtorch for which memory is short.
            Some(uploader) => {
                uploader.upload(bytes).unwrap_or_else(|problem| panic!("copying to the GPU: {problem}"))
            }
            None => Tensor::from_slice(bytes),
        }
    }

    /// lambda × label + (1 - lambda) × partner, as shares per class.
    fn targets(&self, batch: &Batch, rows: Range<usize>) -> Tensor {
        // One small copy for all three.
        let columns =
            [&batch.labels, &batch.partner_labels, &batch.lambdas].map(|column| &column[rows.clone()]);
        let bytes: Vec<u8> = columns.into_iter().flatten().flat_map(|value| value.to_ne_bytes()).collect();
        let columns = self.upload(&bytes).view_dtype(Kind::Int).reshape([3, -1, 1]);
        let one_hot = |column: i64| columns.get(column).eq_tensor(&self.classes).to_kind(Kind::Float);
        let lambda = columns.get(2).to_kind(Kind::Float) / f64::from(LAMBDA_ONE);
        one_hot(0) * &lambda + one_hot(1) * (1.0 - lambda)
    }
}

/// The value of a lambda on the wire that stands for 1.
const LAMBDA_ONE: u32 = 65_536;

#[cfg(test)]
mod tests;
