//! What a model says of image files.
//!
//! An image of another size than the model takes is brought to it by one rule: it is scaled so that it just
//! covers that size, keeping its proportions (bilinear, smoothed where it shrinks, as torchvision's
//! `Resize` with `antialias`), and its middle is cut out. Transparency is dropped; a model of one channel
//! sees the brightness (0.299 red + 0.587 green + 0.114 blue).
//!
//! This is the one place where the trainer reads images itself; decoding is the pipeline's.

use crate::model::{Model, Problem};
use crate::staging::Normalisation;
use mixfeed_pipeline::decode::decode_rgb;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, no_grad};

/// Images scored at once.
const BATCH_SIZE: usize = 256;

/// An image file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is no image.
    #[error("{path} is no image that can be read (PNG, JPEG or WebP): {problem}", path = path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        problem: String,
    },
    /// The model takes neither colours nor brightness.
    #[error("the model takes images of {0} channels, image files have 3 or 1")]
    Channels(i64),
}

/// Reads an image file and brings it to the size of the images of `problem`: 1 × channels × height ×
/// width, f32, whole numbers of 0 to 255.
///
/// # Errors
/// When the file is no image, or the model does not take such images.
pub fn read(path: &Path, problem: Problem) -> Result<Tensor, ImageError> {
    let bytes = std::fs::read(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
    let (shape, pixels) = decode_rgb(&bytes)
        .map_err(|error| ImageError::Decode { path: path.to_owned(), problem: error.to_string() })?;
    let size = [1, i64::from(shape.height), i64::from(shape.width), 3];
    let image =
        Tensor::from_data_size(&pixels, &size, Kind::Uint8).permute([0, 3, 1, 2]).to_kind(Kind::Float);
    let image = fit(&image, problem.height, problem.width);
    match problem.channels {
        3 => Ok(image),
        1 => {
            let weights = Tensor::from_slice(&[0.299_f32, 0.587, 0.114]).reshape([1, 3, 1, 1]);
            Ok((image * weights).sum_dim_intlist(1, true, Kind::Float).round())
        }
        channels => Err(ImageError::Channels(channels)),
    }
}

/// The rule of the module.
fn fit(image: &Tensor, height: i64, width: i64) -> Tensor {
    let (_, _, from_height, from_width) = image.size4().expect("four dimensions");
    if (from_height, from_width) == (height, width) {
        return image.shallow_clone();
    }
    let scale = f64::max(height as f64 / from_height as f64, width as f64 / from_width as f64);
    let scaled = |from: i64, to: i64| ((from as f64 * scale).round() as i64).max(to);
    let (covering_height, covering_width) = (scaled(from_height, height), scaled(from_width, width));
    image
        .contiguous()
        .internal_upsample_bilinear2d_aa([covering_height, covering_width], false, None, None)
        .narrow(2, (covering_height - height) / 2, height)
        .narrow(3, (covering_width - width) / 2, width)
        .round()
        .clamp(0.0, 255.0)
}

/// The probability of each class, for each image as [`read`] gives it.
///
/// # Panics
/// Never: probabilities are rows of numbers.
#[must_use]
pub fn probabilities(
    model: &dyn Model,
    normalisation: Normalisation,
    device: Device,
    images: &[Tensor],
) -> Vec<Vec<f32>> {
    let Normalisation { mean, standard_deviation } = normalisation;
    let of = |images: &[Tensor]| {
        let images = (Tensor::cat(images, 0).to_device(device) / 255.0 - mean) / standard_deviation;
        let shares = no_grad(|| model.forward(&images)).softmax(1, Kind::Float).to_device(Device::Cpu);
        Vec::<Vec<f32>>::try_from(shares).expect("rows of numbers")
    };
    images.chunks(BATCH_SIZE).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(height: i64, width: i64) -> Tensor {
        Tensor::arange(height * width, (Kind::Float, Device::Cpu)).reshape([1, 1, height, width])
    }

    fn values(image: &Tensor) -> Vec<f32> {
        Vec::try_from(image.contiguous().view(-1)).unwrap()
    }

    #[test]
    fn an_image_of_the_right_size_stays_as_it_is() {
        assert_eq!(values(&fit(&ramp(3, 5), 3, 5)), values(&ramp(3, 5)));
    }

    #[test]
    fn a_wide_image_loses_its_sides_and_a_high_one_its_ends() {
        // Two rows of four are cut to the two columns in the middle.
        assert_eq!(values(&fit(&ramp(2, 4), 2, 2)), [1.0, 2.0, 5.0, 6.0]);
        assert_eq!(values(&fit(&ramp(4, 2), 2, 2)), [2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn shrinking_takes_every_pixel_into_account() {
        let image = ramp(8, 8).zeros_like();
        let mut corner = image.narrow(2, 3, 1).narrow(3, 3, 1);
        let _ = corner.fill_(255.0);
        let small = fit(&image, 2, 2);
        assert_eq!(small.size(), [1, 1, 2, 2]);
        assert!(values(&small)[0] > 0.0, "one bright pixel among sixteen is seen: {:?}", values(&small));
        // And a plain image stays plain.
        assert_eq!(values(&fit(&(ramp(9, 7).zeros_like() + 200.0), 4, 4)), [200.0; 16]);
    }

    #[test]
    fn files_that_are_no_images_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let problem = Problem { height: 4, width: 4, channels: 3, classes: 2 };
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "not an image").unwrap();
        for path in [text, folder.path().join("nowhere.png")] {
            let error = read(&path, problem).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
