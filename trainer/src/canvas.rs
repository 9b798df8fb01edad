//! Where pictures are drawn: large, then made small, which smooths every edge.

use crate::error::TrainError;
use crate::files::write_atomically;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::io;
use std::path::Path;
use std::sync::Once;

/// How many times larger each side is drawn. The drawing library smooths no lines thicker than one
/// pixel; the mean of three by three smooths all of them.
const OVERSAMPLING: u32 = 3;

/// Almost black.
pub(crate) const INK: RGBColor = RGBColor(34, 40, 49);

/// For what is read second.
pub(crate) const FAINT_INK: RGBColor = RGBColor(107, 114, 128);

/// For lines that only guide the eye.
pub(crate) const GRID: RGBColor = RGBColor(229, 231, 235);

/// What is drawn on.
pub(crate) type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// How drawing ends.
pub(crate) type Painted<'a> =
    Result<(), DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

const BYTES_PER_PIXEL: usize = 3;

/// A picture being drawn.
pub(crate) struct Canvas {
    width: u32,
    height: u32,
    large: Vec<u8>,
}

/// Letters of a height in pixels of the finished picture.
pub(crate) fn text(pixels: u32, scale: u32) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(pixels * scale), FontStyle::Normal)
}

/// Bold letters of a height in pixels of the finished picture.
pub(crate) fn bold(pixels: u32, scale: u32) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(pixels * scale), FontStyle::Bold)
}

impl Canvas {
    /// Draws a picture of a size in pixels into a file; `paint` is told how many pixels to draw for one
    /// of the finished picture.
    pub(crate) fn draw(
        path: &Path,
        size: (u32, u32),
        paint: impl for<'a> FnOnce(&Area<'a>, u32) -> Painted<'a>,
    ) -> Result<(), TrainError> {
        let mut canvas = Canvas::new(size);
        let drawn = canvas.paint(paint).and_then(|()| canvas.save(path));
        drawn.map_err(|source| TrainError::Write { what: path.display().to_string(), source })
    }

    fn new((width, height): (u32, u32)) -> Self {
        static FONTS: Once = Once::new();
        FONTS.call_once(|| {
            for (style, bytes) in
                [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
            {
                let known = register_font("sans-serif", style, bytes).is_ok();
                assert!(known, "the built-in font is a font");
            }
        });
        let pixels = (width * OVERSAMPLING) as usize * (height * OVERSAMPLING) as usize;
        Canvas { width, height, large: vec![0; pixels * BYTES_PER_PIXEL] }
    }

    fn paint(&mut self, paint: impl for<'a> FnOnce(&Area<'a>, u32) -> Painted<'a>) -> io::Result<()> {
        let size = (self.width * OVERSAMPLING, self.height * OVERSAMPLING);
        let area = BitMapBackend::with_buffer(&mut self.large, size).into_drawing_area();
        paint(&area, OVERSAMPLING).map_err(io::Error::other)?;
        area.present().map_err(io::Error::other)
    }

    /// Writes the picture as PNG, whole or not at all.
    fn save(&self, path: &Path) -> io::Result<()> {
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&self.small(), self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(io::Error::other)?;
        write_atomically(path, &png)
    }

    /// The mean of each square of pixels.
    fn small(&self) -> Vec<u8> {
        let scale = OVERSAMPLING as usize;
        let row = self.width as usize * BYTES_PER_PIXEL;
        let mut small = Vec::with_capacity(row * self.height as usize);
        for band in self.large.chunks_exact(row * scale * scale) {
            let mut sums = vec![0_u16; row];
            for large_row in band.chunks_exact(row * scale) {
                let squares = large_row.chunks_exact(BYTES_PER_PIXEL * scale);
                for (sum, square) in sums.chunks_exact_mut(BYTES_PER_PIXEL).zip(squares) {
                    for (position, value) in square.iter().enumerate() {
                        sum[position % BYTES_PER_PIXEL] += u16::from(*value);
                    }
                }
            }
            let count = OVERSAMPLING as u16 * OVERSAMPLING as u16;
            small.extend(sums.into_iter().map(|sum| ((sum + count / 2) / count) as u8));
        }
        small
    }
}
