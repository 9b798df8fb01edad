//! Changes of tone, as Pillow's `ImageOps` makes them: fewer bits, inverted lights, stretched and
//! levelled histograms; and its sharpening. All in whole numbers, but for the stretch (f64, one product
//! and one sum) and the last step of sharpening (see [`color`](super::color)).

use super::color::toward;
use mixfeed_streamspec::ImageShape;

/// Keeps the upper `bits` of each value.
pub(super) fn posterize(image: &mut [u8], bits: u32) {
    let mask = !(0xFF_u32 >> bits) as u8;
    image.iter_mut().for_each(|value| *value &= mask);
}

/// Inverts values that are not below `threshold_tenths` tenths.
pub(super) fn solarize(image: &mut [u8], threshold_tenths: u32) {
    for value in image.iter_mut().filter(|value| 10 * u32::from(**value) >= threshold_tenths) {
        *value = 255 - *value;
    }
}

/// Stretches each channel to the whole range.
pub(super) fn autocontrast(image: &mut [u8], channels: usize) {
    by_channel(image, channels, |histogram| {
        let least = histogram.iter().position(|n| *n > 0)? as f64;
        let most = histogram.iter().rposition(|n| *n > 0)? as f64;
        let scale = 255.0 / (most - least);
        let offset = -least * scale;
        (most > least).then(|| std::array::from_fn(|value| (value as f64 * scale + offset) as u8))
    });
}

/// Levels the histogram of each channel.
pub(super) fn equalize(image: &mut [u8], channels: usize) {
    by_channel(image, channels, |histogram| {
        let last = *histogram.iter().rfind(|n| **n > 0)?;
        let step = (histogram.iter().sum::<u32>() - last) / 255;
        let mut below = step / 2;
        (step > 0).then(|| {
            histogram.map(|n| {
                let level = below / step;
                below += n;
                level.min(255) as u8
            })
        })
    });
}

/// Replaces the values of each channel by those of a table made from its histogram.
fn by_channel(image: &mut [u8], channels: usize, table: impl Fn(&[u32; 256]) -> Option<[u8; 256]>) {
    for channel in 0..channels {
        let mut histogram = [0; 256];
        image.iter().skip(channel).step_by(channels).for_each(|value| histogram[usize::from(*value)] += 1);
        if let Some(table) = table(&histogram) {
            image
                .iter_mut()
                .skip(channel)
                .step_by(channels)
                .for_each(|value| *value = table[usize::from(*value)]);
        }
    }
}

/// Goes from a smoothed image (the mean of 3 × 3 pixels, in which the middle counts five times; the
/// border as it is) to the image and beyond.
pub(super) fn sharpen(factor: f32, shape: ImageShape, image: &[u8], out: &mut [u8]) {
    let (height, width, channels) = (shape.height as usize, shape.width as usize, shape.channels as usize);
    out.copy_from_slice(image);
    let row = width * channels;
    for y in 1..height.saturating_sub(1) {
        for at in y * row + channels..(y * row + row).saturating_sub(channels) {
            let three = |at: usize| {
                u32::from(image[at - channels]) + u32::from(image[at]) + u32::from(image[at + channels])
            };
            let sum = three(at - row) + three(at) + three(at + row) + 4 * u32::from(image[at]);
            // Rounded to nearest; thirteenths are never half way.
            out[at] = ((2 * sum + 13) / 26) as u8;
        }
    }
    for (out, value) in out.iter_mut().zip(image) {
        *out = toward(*out, *value, factor);
    }
}
