//! Why a file cannot be decoded.

/// A file that cannot be decoded, or a part that it does not have. Trying again never helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegError {
    /// The first two bytes are not those of a JPEG.
    #[error("not a JPEG file")]
    NotJpeg,
    /// The file ends before the image does: its end marker is missing, or lies within what a segment claims for itself.
    #[error("the JPEG file is cut short: it ends within a segment, or its end marker is missing")]
    CutShort,
    /// The file breaks the format's rules; the words are libjpeg's.
    #[error("the JPEG file is damaged: {0}")]
    Damaged(String),
    /// The format has it, libjpeg or Pillow does not.
    #[error("this kind of JPEG is not supported: {0}")]
    Unsupported(String),
    /// The image has no rows or no columns.
    #[error("the JPEG image has no pixels")]
    Empty,
    /// A side is longer than the limit.
    #[error("the JPEG image is too large: width={width} height={height} max={max}")]
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Pixels of the longer side, at most.
        max: u32,
    },
    /// Decoding would take more memory than the limit.
    #[error("decoding the JPEG would take too much memory: bytes={bytes} max={max}")]
    TooMuchMemory {
        /// What it would take, an upper bound.
        bytes: u64,
        /// What it may take.
        max: u64,
    },
    /// The allocator had no more.
    #[error("no memory is left for decoding the JPEG")]
    NoMemory,
    /// There are more scans than [`MAX_SCANS`](crate::MAX_SCANS), or fewer, each of them over so large an image that they would
    /// take long.
    #[error(
        "the JPEG file has too many scans for its size: more than {max}, or together they go over the image too often"
    )]
    TooManyScans {
        /// The limit.
        max: u32,
    },
    /// The part is empty or reaches beyond the image.
    #[error("no such part in the JPEG image: {part} of {width}x{height}")]
    NoSuchPart {
        /// What was asked for.
        part: crate::Part,
        /// Of the scaled image, in pixels.
        width: u32,
        /// Of the scaled image, in pixels.
        height: u32,
    },
}
