//! The shape of an image.

use std::fmt;

/// Bytes of one image of bytes, at most. A loader's word is not taken for more.
pub const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// Height, width and channels of an image. Images are rows of pixels, each pixel red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Values of a pixel.
    pub channels: u32,
}

impl ImageShape {
    /// Returns the number of values of one image.
    #[must_use]
    pub const fn values(self) -> usize {
        self.height as usize * self.width as usize * self.channels as usize
    }

    /// Returns height and width.
    #[must_use]
    pub const fn size(self) -> crate::ImageSize {
        crate::ImageSize { height: self.height, width: self.width }
    }

    /// Tells whether images of this shape may be in a stream: sides and channels of 1 to 65,535, and
    /// [`MAX_IMAGE_BYTES`] at most.
    #[must_use]
    pub fn is_possible(self) -> bool {
        let in_range = |value| (1..=65_535).contains(&value);
        [self.height, self.width, self.channels].into_iter().all(in_range)
            && self.values() as u64 <= MAX_IMAGE_BYTES
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}
