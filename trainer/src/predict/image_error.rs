//! Why an image file cannot be predicted.

use std::path::PathBuf;

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
    /// It is a folder, a pipe or a device.
    #[error("{path} is not a regular file", path = .0.display())]
    NoFile(PathBuf),
    /// It is not an image.
    #[error("{path} is not an image that can be read (PNG, JPEG, WebP, BMP, GIF or TIFF): {problem}", path = path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        problem: String,
    },
    /// Of several files, some are not predicted.
    #[error("{failed} of {all} images are not predicted, the first because {first}")]
    Some {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// The first failure.
        first: Box<ImageError>,
    },
    /// The model takes neither colours nor brightness.
    #[error("the model takes images of {0} channels, image files have 3 or 1")]
    Channels(i64),
}
