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
    /// It is no image.
    #[error("{path} is no image that can be read (PNG, JPEG, WebP, BMP, GIF or TIFF): {problem}", path = path.display())]
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
