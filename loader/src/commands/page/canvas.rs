//! Pixels, images and letters: what a page is drawn with.

use ab_glyph::{Font as _, FontRef, ScaleFont as _, point};
use image::{Rgb, RgbImage, imageops};
use mixfeed_pipeline::ImageShape;
use mixfeed_pipeline::blend::Region;

const PAPER: Rgb<u8> = Rgb([252, 252, 250]);
pub(super) const INK: Rgb<u8> = Rgb([32, 32, 36]);
pub(super) const FAINT: Rgb<u8> = Rgb([96, 96, 104]);

const FRAME: Rgb<u8> = Rgb([255, 196, 0]);

/// Where an image stands in a square that it fits into, in its own proportions.
fn fitted(side: u32, shape: ImageShape) -> Region {
    let longer = shape.height.max(shape.width).max(1);
    let drawn = |own: u32| (side * own / longer).max(1);
    let (height, width) = (drawn(shape.height), drawn(shape.width));
    Region { top: (side - height) / 2, left: (side - width) / 2, height, width }
}

/// What a page is drawn on.
pub(super) struct Canvas {
    pixels: RgbImage,
    font: FontRef<'static>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let font = FontRef::try_from_slice(dejavu::sans::regular()).expect("the built-in font is valid");
        Self { pixels: RgbImage::from_pixel(width, height, PAPER), font }
    }

    /// Draws an image as large as fits into a square, in the middle of it, whose top left corner is (x, y).
    pub(super) fn picture(&mut self, x: u32, y: u32, side: u32, shape: ImageShape, pixels: &[u8]) {
        let image = RgbImage::from_raw(shape.width, shape.height, pixels.to_vec());
        let image = image.expect("as many pixels as the shape has");
        let Region { top, left, height, width } = fitted(side, shape);
        // Enlarged pixels stay squares, so that what the network sees is what is shown.
        let filter =
            if width > shape.width { imageops::FilterType::Nearest } else { imageops::FilterType::Triangle };
        let image = imageops::resize(&image, width, height, filter);
        imageops::replace(&mut self.pixels, &image, i64::from(x + left), i64::from(y + top));
    }

    /// Draws a frame around a part of an image that [`picture`](Self::picture) drew.
    pub(super) fn frame(&mut self, x: u32, y: u32, side: u32, shape: ImageShape, part: Region) {
        let image = fitted(side, shape);
        let place = |at: u32, own: u32, drawn: u32| at * (drawn - 1) / own;
        let [left, right] = [part.left, part.left + part.width]
            .map(|at| x + image.left + place(at, shape.width, image.width));
        let [top, bottom] = [part.top, part.top + part.height]
            .map(|at| y + image.top + place(at, shape.height, image.height));
        let edges = (left..=right).flat_map(|x| [(x, top), (x, bottom)]);
        for (x, y) in edges.chain((top..=bottom).flat_map(|y| [(left, y), (right, y)])) {
            self.pixels.put_pixel(x, y, FRAME);
        }
    }

    /// Shortens text until it fits into `width` pixels.
    pub(super) fn fitting(&self, text: &str, size: f32, width: u32) -> String {
        let mut fitting = text.to_string();
        if self.fits(&fitting, size, width) {
            return fitting;
        }
        while fitting.pop().is_some() {
            let shortened = format!("{}…", fitting.trim_end());
            if self.fits(&shortened, size, width) {
                return shortened;
            }
        }
        fitting
    }

    /// Breaks text between words into lines that fit into `width` pixels; only a word that is wider than that is
    /// shortened.
    pub(super) fn wrapped(&self, text: &str, size: f32, width: u32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let longer = lines.last().map(|line| format!("{line} {word}"));
            match longer.filter(|line| self.fits(line, size, width)) {
                Some(line) => {
                    lines.pop();
                    lines.push(line);
                }
                None => lines.push(self.fitting(word, size, width)),
            }
        }
        lines
    }

    fn fits(&self, text: &str, size: f32, width: u32) -> bool {
        let font = self.font.as_scaled(size);
        text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum::<f32>() <= width as f32
    }

    pub(super) fn into_pixels(self) -> RgbImage {
        self.pixels
    }

    /// Writes text with its top left corner at (x, y).
    pub(super) fn text(&mut self, x: u32, y: u32, size: f32, colour: Rgb<u8>, text: &str) {
        let font = self.font.as_scaled(size);
        let (mut pen, baseline) = (x as f32, y as f32 + font.ascent());
        for c in text.chars() {
            let glyph = font.glyph_id(c).with_scale_and_position(size, point(pen, baseline));
            pen += font.h_advance(glyph.id);
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, cover| {
                let (px, py) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py)) else { return };
                if let Some(pixel) = self.pixels.get_pixel_mut_checked(px, py) {
                    for (below, above) in pixel.0.iter_mut().zip(colour.0) {
                        let mixed = f32::from(*below) * (1.0 - cover) + f32::from(above) * cover;
                        *below = mixed.round() as u8;
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_every_word_is_whole() {
        let canvas = Canvas::new(1, 1);
        for text in ["0.873 crop ↔ Solarize 27 colours hole", "1.000", "", "a  b"] {
            for width in [60, 98, 400] {
                let lines = canvas.wrapped(text, 12.5, width);
                assert_eq!(lines.join(" "), text.split_whitespace().collect::<Vec<_>>().join(" "), "{width}");
                assert!(lines.iter().all(|line| canvas.fits(line, 12.5, width)), "{lines:?}");
            }
        }
        let lines = canvas.wrapped("my-very-long-transform-of-my-own 1", 12.5, 98);
        assert!(lines.len() == 2 && lines[0].ends_with('…') && lines[1] == "1", "{lines:?}");
    }
}
