//! What a model says of image files.
//!
//! They are decoded and resized as a loader does it for an evaluation ([`mixfeed_pipeline::decode`]): to the output size of
//! the training, or, where it had none, so that they cover the size that the model takes, cropped in the center. A model of one
//! channel sees the brightness (0.299 red + 0.587 green + 0.114 blue).
//!
//! This is the one place where the trainer reads images itself.

pub mod image_error;

use crate::learn::model::{Model, Problem};
use crate::learn::rows::rows_at_once;
use crate::learn::staging::Normalisation;
use crate::predict::image_error::ImageError;
use crate::run::checkpoint::Header;
use mixfeed_client::{ImageSize, Output};
use mixfeed_pipeline::decode::decode_to;
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad};

/// Images scored at once, at most.
const MAX_ROWS: usize = 256;

/// Reads an image file as the model of `header` takes it: 1 × channels × height × width, f32, whole numbers of 0 to 255.
///
/// # Errors
/// When the file is not an image, or the model does not take such images.
pub fn read(path: &Path, header: &Header) -> Result<Tensor, ImageError> {
    read_as(path, header.problem, header.output)
}

fn read_as(path: &Path, problem: Problem, output: Option<Output>) -> Result<Tensor, ImageError> {
    // A pipe would be waited for.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(ImageError::NoFile(path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
    let size = ImageSize { height: problem.height as u32, width: problem.width as u32 };
    let pixels = decode_to(&bytes, &output.unwrap_or(Output::center_crop(size)))
        .map_err(|error| ImageError::Decode { path: path.to_owned(), problem: error.to_string() })?;
    let size = [1, problem.height, problem.width, 3];
    let image =
        Tensor::from_data_size(&pixels, &size, Kind::Uint8).permute([0, 3, 1, 2]).to_kind(Kind::Float);
    match problem.channels {
        3 => Ok(image),
        1 => {
            let weights = Tensor::from_slice(&[0.299_f32, 0.587, 0.114]).reshape([1, 3, 1, 1]);
            Ok((image * weights).sum_dim_intlist(1, true, Kind::Float).round())
        }
        channels => Err(ImageError::Channels(channels)),
    }
}

/// The probability of each class, for each image as [`read`] gives it, from the model of `header`.
///
/// # Panics
/// Never: probabilities are rows of numbers.
#[must_use]
pub fn probabilities(model: &dyn Model, header: &Header, device: Device, images: &[Tensor]) -> Vec<Vec<f32>> {
    let Normalisation { mean, standard_deviation } = header.normalisation;
    let image_values = images.first().map_or(1, Tensor::numel) as u64;
    let rows = (rows_at_once(image_values, header.batch_size) as usize).min(MAX_ROWS);
    let of = |images: &[Tensor]| {
        let images = (Tensor::cat(images, 0).to_device(device) / 255.0 - mean) / standard_deviation;
        let shares = no_grad(|| model.forward(&images)).softmax(1, Kind::Float).to_device(Device::Cpu);
        Vec::<Vec<f32>>::try_from(shares).expect("rows of numbers")
    };
    images.chunks(rows).flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_what_a_loader_would_make_of_it_and_brightness_for_one_channel() {
        let file = include_bytes!("../../loader/pipeline/assets/probe.png");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probe.png");
        std::fs::write(&path, file).unwrap();
        let problem = |side, channels| Problem { height: side, width: side, channels, classes: 2 };
        for side in [32, 20] {
            let image = read_as(&path, problem(side, 3), None).unwrap();
            assert_eq!(image.size(), [1, 3, side, side]);
            let size = ImageSize { height: side as u32, width: side as u32 };
            let pixels = decode_to(file, &Output::center_crop(size)).unwrap();
            let values: Vec<f32> = image.permute([0, 2, 3, 1]).contiguous().view(-1).try_into().unwrap();
            assert_eq!(values, pixels.iter().map(|pixel| f32::from(*pixel)).collect::<Vec<_>>());

            let grey: Vec<f32> = read_as(&path, problem(side, 1), None).unwrap().view(-1).try_into().unwrap();
            let [red, green, blue] = [0, 1, 2].map(|channel| f32::from(pixels[channel]));
            assert!((grey[0] - (0.299 * red + 0.587 * green + 0.114 * blue)).abs() <= 0.51);
        }
        assert!(read_as(&path, problem(32, 5), None).is_err());
    }

    #[test]
    fn files_that_are_no_images_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let problem = Problem { height: 4, width: 4, channels: 3, classes: 2 };
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "not an image").unwrap();
        for path in [text, folder.path().join("nowhere.png")] {
            let error = read_as(&path, problem, None).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
