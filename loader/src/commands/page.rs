//! A page that shows what a batch contains: each image, what it was mixed from, labels and lambda.

use super::{Failure, view};
use ab_glyph::{Font as _, FontRef, ScaleFont as _, point};
use image::{Rgb, RgbImage, imageops};
use mixfeed_pipeline::augment::View;
use mixfeed_pipeline::spec::{PixelLayout, PixelType};
use mixfeed_pipeline::{
    BatchBuffer, BatchPlan, CheckedSpec, Dataset, ImageShape, Scratch, StreamSpec, collate,
};
use std::path::Path;

/// Side of a mixed image on the page, and of the images it was mixed from, in pixels.
const MIXED_SIDE: u32 = 144;
const SOURCE_SIDE: u32 = 40;

const MARGIN: u32 = 16;
const GAP: u32 = 6;
const TITLE_HEIGHT: u32 = 44;
const TITLE_SIZE: f32 = 17.0;
const TEXT_SIZE: f32 = 13.0;

const PAPER: Rgb<u8> = Rgb([252, 252, 250]);
const INK: Rgb<u8> = Rgb([32, 32, 36]);
const FAINT: Rgb<u8> = Rgb([110, 110, 118]);

/// A page of cells.
pub(super) struct Page {
    title: String,
    columns: u32,
    image: ImageShape,
    cells: Vec<Cell>,
}

/// A mixed image and what it was mixed from, both as they were before augmentation.
struct Cell {
    mixed: Vec<u8>,
    /// One or two.
    sources: Vec<Source>,
}

/// An image with its class and its share of the mix, 0 to 1.
struct Source {
    pixels: Vec<u8>,
    class: String,
    weight: f64,
    view: View,
}

impl Source {
    /// How much of it is in the mix, and what was done to it before.
    fn caption(&self, alone: bool) -> String {
        if alone && self.view == View::PLAIN {
            return "not mixed".into();
        }
        format!("{:.3}{}", self.weight, view::signs(&self.view))
    }
}

impl Page {
    /// Builds the batch at `index`, whatever its pixel type and layout, and lays it out.
    pub(super) fn of_batch(
        title: String,
        columns: u32,
        dataset: &Dataset,
        checked: &CheckedSpec,
        index: u64,
    ) -> Result<Self, Failure> {
        let spec =
            StreamSpec { pixel_type: PixelType::U8, pixel_layout: PixelLayout::Nhwc, ..*checked.spec() };
        let checked = CheckedSpec::new(spec, dataset)?;
        let samples = dataset.samples(spec.split).as_ref();
        let plan = BatchPlan::new(&checked, index);
        let mut batch = BatchBuffer::default();
        collate(&checked, &plan, samples, &mut Scratch::default(), &mut batch)?;
        let source = |sample: u64, view: View, weight: f64| -> Result<Source, Failure> {
            let class = dataset.classes[samples.label(sample) as usize].clone();
            Ok(Source { pixels: samples.image(sample, &mut Vec::new())?.to_vec(), class, weight, view })
        };
        let cells =
            plan.rows.iter().zip(batch.pixels.chunks_exact(checked.image_bytes())).map(|(row, mixed)| {
                let lambda = row.partner.map_or(1.0, |partner| partner.blend.lambda.to_unit());
                let mut sources = vec![source(row.sample, row.view, lambda)?];
                if let Some(partner) = row.partner {
                    sources.push(source(partner.sample, partner.view, 1.0 - lambda)?);
                }
                Ok(Cell { mixed: mixed.to_vec(), sources })
            });
        Ok(Self { title, columns, image: dataset.image, cells: cells.collect::<Result<_, Failure>>()? })
    }

    /// Draws the page into a PNG file.
    pub(super) fn save(&self, path: &Path) -> Result<(), Failure> {
        let format = image::ImageFormat::Png;
        self.draw()
            .save_with_format(path, format)
            .map_err(|e| Failure::other(format!("{}: {e}", path.display())))
    }

    fn draw(&self) -> RgbImage {
        let rows = (self.cells.len() as u32).div_ceil(self.columns);
        let cell = (MIXED_SIDE + MARGIN, MIXED_SIDE + 2 * (SOURCE_SIDE + GAP) + MARGIN);
        let size = (MARGIN + self.columns * cell.0, TITLE_HEIGHT + rows * cell.1 + MARGIN);
        let mut canvas = Canvas::new(size.0, size.1);
        canvas.text(
            MARGIN,
            14,
            TITLE_SIZE,
            INK,
            &canvas.fitting(&self.title, TITLE_SIZE, size.0 - 2 * MARGIN),
        );
        for (i, content) in self.cells.iter().enumerate() {
            let (column, row) = (i as u32 % self.columns, i as u32 / self.columns);
            self.draw_cell(&mut canvas, MARGIN + column * cell.0, TITLE_HEIGHT + row * cell.1, content);
        }
        canvas.pixels
    }

    fn draw_cell(&self, canvas: &mut Canvas, x: u32, y: u32, cell: &Cell) {
        canvas.picture(x, y, MIXED_SIDE, self.image, &cell.mixed);
        for (i, source) in cell.sources.iter().enumerate() {
            let top = y + MIXED_SIDE + GAP + i as u32 * (SOURCE_SIDE + GAP);
            canvas.picture(x, top, SOURCE_SIDE, self.image, &source.pixels);
            let (left, room) = (x + SOURCE_SIDE + GAP, MIXED_SIDE - SOURCE_SIDE - GAP);
            let caption = source.caption(cell.sources.len() == 1);
            canvas.text(left, top + 4, TEXT_SIZE, INK, &canvas.fitting(&source.class, TEXT_SIZE, room));
            canvas.text(left, top + 21, TEXT_SIZE, FAINT, &canvas.fitting(&caption, TEXT_SIZE, room));
        }
    }
}

struct Canvas {
    pixels: RgbImage,
    font: FontRef<'static>,
}

impl Canvas {
    fn new(width: u32, height: u32) -> Self {
        let font = FontRef::try_from_slice(dejavu::sans::regular()).expect("the built-in font is valid");
        Self { pixels: RgbImage::from_pixel(width, height, PAPER), font }
    }

    fn picture(&mut self, x: u32, y: u32, side: u32, shape: ImageShape, pixels: &[u8]) {
        let image = RgbImage::from_raw(shape.width, shape.height, pixels.to_vec());
        let image = image.expect("images have the shape of their data set");
        // Enlarged pixels stay squares, so that what the network sees is what is shown.
        let filter =
            if side > shape.width { imageops::FilterType::Nearest } else { imageops::FilterType::Triangle };
        let image = imageops::resize(&image, side, side, filter);
        imageops::replace(&mut self.pixels, &image, i64::from(x), i64::from(y));
    }

    /// Shortens text until it fits into `width` pixels.
    fn fitting(&self, text: &str, size: f32, width: u32) -> String {
        let font = self.font.as_scaled(size);
        let measure = |text: &str| -> f32 { text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum() };
        let mut fitting = text.to_string();
        while measure(&fitting) > width as f32 && fitting.pop().is_some() {
            let shortened = format!("{}…", fitting.trim_end());
            if measure(&shortened) <= width as f32 {
                return shortened;
            }
        }
        fitting
    }

    /// Writes text with its top left corner at (x, y).
    fn text(&mut self, x: u32, y: u32, size: f32, colour: Rgb<u8>, text: &str) {
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
