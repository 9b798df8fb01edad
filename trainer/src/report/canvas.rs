//! Where pictures are drawn, as PNG and as SVG, by the ending of the file's name.
//!
//! A PNG is drawn large, then made small, which smooths every edge. In an SVG text stays text, so that it can be
//! searched and edited; it is set in whatever sans-serif font the viewer has.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use mixfeed_ops::files::write_atomically;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// How many times larger each side is drawn. The drawing library smooths no lines thicker than one
/// pixel; the mean of three by three smooths all of them. An SVG gets finer coordinates by it.
const OVERSAMPLING: u32 = 3;

/// Almost black.
pub(crate) const INK: RGBColor = RGBColor(34, 40, 49);

/// For what is read second.
pub(crate) const FAINT_INK: RGBColor = RGBColor(95, 102, 115);

/// For lines that only guide the eye.
pub(crate) const GRID: RGBColor = RGBColor(229, 231, 235);

/// What is drawn on.
pub(crate) type Area<B> = DrawingArea<B, Shift>;

/// How drawing ends.
pub(crate) type Painted<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

const BYTES_PER_PIXEL: usize = 3;

/// 200 to the inch: curves are as wide as the text of a page.
const PIXELS_PER_METRE: u32 = 7874;

/// The signature of a PNG and its first chunk, which have one size always.
const PNG_HEADER_BYTES: usize = 33;

/// A picture cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}", path = path.display())]
pub struct PictureError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// Something that can be drawn.
pub(crate) trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it; `scale` is how many pixels to draw for one of the finished picture.
    fn paint<B: DrawingBackend>(&self, area: &Area<B>, scale: u32) -> Painted<B>;
}

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Svg,
}

impl Format {
    /// The one that a file's name asks for.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "png" => Some(Format::Png),
            "svg" => Some(Format::Svg),
            _ => None,
        }
    }
}

/// Letters of a height in pixels of the finished picture.
pub(crate) fn text(pixels: u32, scale: u32) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(pixels * scale), FontStyle::Normal)
}

/// Bold letters of a height in pixels of the finished picture.
pub(crate) fn bold(pixels: u32, scale: u32) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(pixels * scale), FontStyle::Bold)
}

/// Draws a picture into a file, whole or not at all: an SVG where its name ends so, a PNG where not.
pub(crate) fn draw(picture: &impl Picture, path: &Path) -> Result<(), PictureError> {
    register_fonts();
    let drawn = match Format::of(path) {
        Some(Format::Svg) => svg(picture).map(String::into_bytes),
        Some(Format::Png) | None => png(picture),
    };
    drawn
        .and_then(|bytes| write_atomically(path, &bytes))
        .map_err(|source| PictureError { path: path.to_owned(), source })
}

/// Draws a picture into a PNG file and, beside it, into an SVG file.
pub(crate) fn draw_both(picture: &impl Picture, png: &Path) -> Result<(), PictureError> {
    draw(picture, png)?;
    draw(picture, &png.with_extension("svg"))
}

/// The letters come with the program; of an SVG they tell how wide a text is about to be.
fn register_fonts() {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        for (style, bytes) in
            [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
        {
            let known = register_font("sans-serif", style, bytes).is_ok();
            assert!(known, "the built-in font is a font");
        }
    });
}

fn large((width, height): (u32, u32)) -> (u32, u32) {
    (width * OVERSAMPLING, height * OVERSAMPLING)
}

fn svg(picture: &impl Picture) -> io::Result<String> {
    let (width, height) = picture.size();
    let (large_width, large_height) = large((width, height));
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (large_width, large_height)).into_drawing_area();
        picture.paint(&area, OVERSAMPLING).map_err(io::Error::other)?;
        area.present().map_err(io::Error::other)?;
    }
    // The coordinates stay fine; what is shown is as large as the PNG.
    let drawn = format!(r#"width="{large_width}" height="{large_height}""#);
    Ok(text.replacen(&drawn, &format!(r#"width="{width}" height="{height}""#), 1))
}

fn png(picture: &impl Picture) -> io::Result<Vec<u8>> {
    let size = picture.size();
    let large_size = large(size);
    let mut pixels = vec![0; large_size.0 as usize * large_size.1 as usize * BYTES_PER_PIXEL];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, large_size).into_drawing_area();
        picture.paint(&area, OVERSAMPLING).map_err(io::Error::other)?;
        area.present().map_err(io::Error::other)?;
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&small(&pixels, size), size.0, size.1, ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok(with_resolution(&png))
}

/// Says how large the pixels are: in the chunk `pHYs`, right behind the header.
fn with_resolution(png: &[u8]) -> Vec<u8> {
    let (header, rest) = png.split_at(PNG_HEADER_BYTES);
    let pixels = PIXELS_PER_METRE.to_be_bytes();
    // In metres.
    let chunk = [&b"pHYs"[..], &pixels, &pixels, &[1]].concat();
    let (length, checksum) = (9_u32.to_be_bytes(), crc32fast::hash(&chunk).to_be_bytes());
    [header, &length, &chunk, &checksum, rest].concat()
}

/// The mean of each square of pixels.
fn small(large: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let scale = OVERSAMPLING as usize;
    let row = width as usize * BYTES_PER_PIXEL;
    let mut small = Vec::with_capacity(row * height as usize);
    for band in large.chunks_exact(row * scale * scale) {
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Square;

    impl Picture for Square {
        fn size(&self) -> (u32, u32) {
            (20, 10)
        }

        fn paint<B: DrawingBackend>(&self, area: &Area<B>, scale: u32) -> Painted<B> {
            area.fill(&WHITE)?;
            area.draw_text("a < b", &text(8, scale).color(&INK), (0, 0))
        }
    }

    #[test]
    fn a_png_says_how_large_its_pixels_are_and_can_be_read() {
        register_fonts();
        let png = png(&Square).unwrap();
        assert_eq!(&png[PNG_HEADER_BYTES..][..17], b"\0\0\0\x09pHYs\0\0\x1E\xC2\0\0\x1E\xC2\x01");
        let image = image::load_from_memory(&png).unwrap();
        assert_eq!((image.width(), image.height()), (20, 10));
    }

    #[test]
    fn an_svg_is_as_large_as_the_png_and_its_text_is_text() {
        register_fonts();
        let svg = svg(&Square).unwrap();
        assert!(svg.starts_with(r#"<svg width="20" height="10" viewBox="0 0 60 30""#), "{svg}");
        assert!(svg.contains("a &lt; b"), "{svg}");
    }

    #[test]
    fn a_name_tells_the_format() {
        for (name, format) in
            [("a.png", Some(Format::Png)), ("a.b.SVG", Some(Format::Svg)), ("a.jpg", None), ("png", None)]
        {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
