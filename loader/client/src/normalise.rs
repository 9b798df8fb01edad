//! From bytes to normalised numbers, for consumers that have no device to do it on.
//!
//! Bytes travel, a quarter of what numbers would be, and become numbers here, in one pass over memory: changed
//! in type, scaled, and put in planes where that is wanted. The trainer does the same on its device instead.
//!
//! What is deliberately not here: a buffer per batch. The caller keeps one and hands it in again.

use crate::batch::Batch;
use mixfeed_streamspec::ImageShape;
use mixfeed_streamspec::PixelLayout;

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Turns u8 pixels into f32: `(pixel / 255 - mean) / standard_deviation` for each channel, computed as
/// `pixel * scale + shift` with both rounded to f32 once. The result is the same on every CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normaliser {
    /// Values of one image.
    image: usize,
    layout: PixelLayout,
    scale: [f32; CHANNELS],
    shift: [f32; CHANNELS],
}

impl Normaliser {
    /// Prepares for batches of images of this shape, which come as u8 in NHWC.
    ///
    /// `mean` and `standard_deviation` (not 0) are those of each channel in units of full brightness; `layout` is that of the
    /// result.
    ///
    /// # Panics
    /// When the images have no three channels.
    #[must_use]
    pub fn new(
        image: ImageShape,
        mean: [f64; CHANNELS],
        standard_deviation: [f64; CHANNELS],
        layout: PixelLayout,
    ) -> Self {
        let ImageShape { height, width, channels } = image;
        assert_eq!(channels as usize, CHANNELS, "channels of an image");
        let of_channel = |f: &dyn Fn(f64, f64) -> f64| {
            std::array::from_fn(|channel| f(mean[channel], standard_deviation[channel]) as f32)
        };
        Self {
            image: height as usize * width as usize * CHANNELS,
            layout,
            scale: of_channel(&|_, deviation| 1.0 / (255.0 * deviation)),
            shift: of_channel(&|mean, deviation| -mean / deviation),
        }
    }

    /// Writes the images of `batch` into `out`, which becomes `rows` times height, width and channels long.
    ///
    /// # Panics
    /// When the batch has not as many bytes as its rows of such images have values: it was asked for as
    /// f32, or belongs to another stream.
    pub fn write(&self, batch: &Batch, out: &mut Vec<f32>) {
        assert_eq!(batch.pixels.len(), batch.rows * self.image, "bytes of batch {}", batch.index);
        out.resize(batch.pixels.len(), 0.0);
        let images = batch.pixels.chunks_exact(self.image).zip(out.chunks_exact_mut(self.image));
        for (image, out) in images {
            match self.layout {
                PixelLayout::Nhwc => to_rows(image, &self.scale, &self.shift, out),
                PixelLayout::Nchw => to_planes(image, &self.scale, &self.shift, out),
            }
        }
    }
}

/// Defines a function that runs `plain` in the copy that was compiled for the CPU at hand. Nothing in it is fused or
/// reordered, so both copies give the same bits.
macro_rules! dispatched {
    ($name:ident = $plain:ident) => {
        fn $name(image: &[u8], scale: &[f32; CHANNELS], shift: &[f32; CHANNELS], out: &mut [f32]) {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                #[target_feature(enable = "avx2")]
                fn wide(image: &[u8], scale: &[f32; CHANNELS], shift: &[f32; CHANNELS], out: &mut [f32]) {
                    $plain(image, scale, shift, out);
                }
                // SAFETY: `wide` asks for a CPU that has AVX2, which was found just above.
                #[expect(unsafe_code, reason = "calls what only some CPUs can run")]
                return unsafe { wide(image, scale, shift, out) };
            }
            $plain(image, scale, shift, out);
        }
    };
}

dispatched!(to_rows = to_rows_plain);
dispatched!(to_planes = to_planes_plain);

#[inline(always)]
fn to_rows_plain(image: &[u8], scale: &[f32; CHANNELS], shift: &[f32; CHANNELS], out: &mut [f32]) {
    let pixels = image.as_chunks::<CHANNELS>().0.iter();
    for (pixel, out) in pixels.zip(out.as_chunks_mut::<CHANNELS>().0) {
        *out = std::array::from_fn(|channel| f32::from(pixel[channel]) * scale[channel] + shift[channel]);
    }
}

#[inline(always)]
fn to_planes_plain(image: &[u8], scale: &[f32; CHANNELS], shift: &[f32; CHANNELS], out: &mut [f32]) {
    let (red, rest) = out.split_at_mut(out.len() / CHANNELS);
    let (green, blue) = rest.split_at_mut(red.len());
    let planes = red.iter_mut().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in image.as_chunks::<CHANNELS>().0.iter().zip(planes) {
        let value = |channel: usize| f32::from(pixel[channel]) * scale[channel] + shift[channel];
        (*red, *green, *blue) = (value(0), value(1), value(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SCALE: [f32; 3] = [0.017, 0.0175, 0.0171];
    const SHIFT: [f32; 3] = [-2.1, -2.03, -1.8];

    fn batch(pixels: Vec<u8>, rows: usize) -> Batch {
        Batch {
            index: 0,
            epoch: 0,
            rows,
            pixels: pixels.into(),
            labels: vec![0; rows],
            partner_labels: vec![0; rows],
            lambdas: vec![65_536; rows],
            samples: Vec::new(),
            spec_digest: [0; 32],
        }
    }

    proptest! {
        #[test]
        fn wide_and_plain_code_agree_at_every_length(image in (0_usize..130).prop_flat_map(|n| vec(any::<u8>(), 3 * n))) {
            let (mut wide, mut plain) = (vec![1.0; image.len()], vec![2.0; image.len()]);
            to_rows(&image, &SCALE, &SHIFT, &mut wide);
            to_rows_plain(&image, &SCALE, &SHIFT, &mut plain);
            prop_assert_eq!(&wide, &plain);
            to_planes(&image, &SCALE, &SHIFT, &mut wide);
            to_planes_plain(&image, &SCALE, &SHIFT, &mut plain);
            prop_assert_eq!(&wide, &plain);
        }
    }

    #[test]
    fn values_are_those_of_the_formula_in_the_layout_asked_for() {
        let (mean, deviation) = ([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]);
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let pixels: Vec<u8> = (0..36).map(|i| i * 7).collect();
        let batch = batch(pixels.clone(), 2);
        let (mut rows, mut planes) = (Vec::new(), vec![9.0; 100]);
        Normaliser::new(shape, mean, deviation, PixelLayout::Nhwc).write(&batch, &mut rows);
        Normaliser::new(shape, mean, deviation, PixelLayout::Nchw).write(&batch, &mut planes);
        assert_eq!((rows.len(), planes.len()), (36, 36));
        for (row, pixel, channel) in
            (0..2).flat_map(|r| (0..6).flat_map(move |p| (0..3).map(move |c| (r, p, c))))
        {
            let at = row * 18 + pixel * 3 + channel;
            let exact = (f64::from(pixels[at]) / 255.0 - mean[channel]) / deviation[channel];
            assert!((f64::from(rows[at]) - exact).abs() < 1e-6, "{at}");
            assert!((planes[row * 18 + channel * 6 + pixel] - rows[at]).abs() < f32::MIN_POSITIVE);
        }
    }

    #[test]
    #[should_panic(expected = "bytes of batch 0")]
    fn a_batch_of_another_shape_is_not_taken_for_one_of_this() {
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let normaliser = Normaliser::new(shape, [0.5; 3], [0.5; 3], PixelLayout::Nhwc);
        normaliser.write(&batch(vec![0; 19], 1), &mut Vec::new());
    }
}
