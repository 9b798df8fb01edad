//! A page that shows what a batch contains: each image, what it was mixed from, labels and lambda.
//!
//! No word is cut: captions and the title are broken into lines between words, and below the images a legend explains
//! every sign that occurs on the page.

mod canvas;
mod legend;

use super::failure::Failure;
use canvas::{Canvas, FAINT, INK};
use image::RgbImage;
use image::codecs::png::PngEncoder;
use mixfeed_ops::files;
use mixfeed_pipeline::augment::View;
use mixfeed_pipeline::blend::Region;
use mixfeed_pipeline::spec::Mixing;
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, ImageShape, Scratch, collate};
use std::path::Path;

/// Side of a mixed image on the page, and of the images it was mixed from, in pixels.
const MIXED_SIDE: u32 = 144;
const SOURCE_SIDE: u32 = 40;

const MARGIN: u32 = 16;
const GAP: u32 = 6;
const TITLE_SIZE: f32 = 17.0;
const TEXT_SIZE: f32 = 12.5;

/// From one line to the next, of the title and of smaller text.
const TITLE_LINE: u32 = 23;
const TEXT_LINE: u32 = 16;

/// A page of cells.
pub(super) struct Page {
    title: String,
    /// A line for each sign that needs one.
    legend: Vec<String>,
    columns: u32,
    /// Shape of the mixed images.
    image: ImageShape,
    cells: Vec<Cell>,
}

/// A mixed image and what it was mixed from, both as they were before augmentation.
struct Cell {
    mixed: Vec<u8>,
    /// One or two.
    sources: Vec<Source>,
}

/// An image with its class, and what is said of it.
struct Source {
    image: ImageShape,
    pixels: Vec<u8>,
    /// What of it was resized to the output, if not all.
    part: Option<Region>,
    class: String,
    caption: String,
}

/// How much of an image is in the mix, what was done to it before, and its true class where noise replaced it; `weight` is
/// none for one without a partner.
fn caption(weight: Option<f64>, view: &View, mixing: Option<Mixing>, replaced: Option<&str>) -> String {
    let signs = view.signs().into_iter().filter_map(|(sign, _)| sign);
    let alone = match mixing {
        Some(Mixing { probability, .. }) if probability >= 1.0 => legend::LAMBDA_IS_ONE,
        Some(Mixing { probability, .. }) if probability > 0.0 => legend::NOT_MIXED,
        _ => "",
    };
    let weight = weight.map_or(alone.to_owned(), show_weight);
    let replaced = replaced.map(|class| format!("{} {class}", legend::TRUE_CLASS));
    let words: Vec<_> = [weight].into_iter().filter(|it| !it.is_empty()).chain(signs).collect();
    let said = Some(words.join(" ")).filter(|said| !said.is_empty());
    said.into_iter().chain(replaced).collect::<Vec<_>>().join(", ")
}

/// Three digits, and no rounding to what it is not.
fn show_weight(weight: f64) -> String {
    match weight {
        0.0 => "0".to_owned(),
        1.0 => "1".to_owned(),
        weight if weight < 0.0005 => "<0.001".to_owned(),
        weight if weight >= 0.9995 => ">0.999".to_owned(),
        weight => format!("{weight:.3}"),
    }
}

/// Refuses a name that asks for another kind of picture than is written, and a place where none may be written.
pub(super) fn check_output(path: &Path, data: Option<&str>) -> Result<(), Failure> {
    match path.extension() {
        Some(ending) if !ending.eq_ignore_ascii_case("png") => Err(Failure::usage(format!(
            "--output is {}: pictures are written as PNG, give a name that ends in .png",
            path.display()
        ))),
        _ => files::check_output(path, data.map(Path::new), files::is_picture)
            .map_err(|reason| Failure::usage(format!("--output: {reason}"))),
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
        let checked = checked.as_bytes();
        let spec = checked.spec();
        let samples = dataset.samples(spec.split).as_ref();
        let plan = BatchPlan::new(&checked, index);
        let mixing = spec.mixing_at(plan.epoch);
        let mut batch = BatchBuffer::default();
        collate(&checked, &plan, samples, &mut Scratch::default(), &mut batch)?;
        let source = |sample: u64, label: u32, view: &View, weight: Option<f64>| -> Result<Source, Failure> {
            let [class, own] = [label, samples.label(sample)].map(|label| &dataset.classes[label as usize]);
            let replaced = (label != samples.label(sample)).then_some(own.as_str());
            let caption = caption(weight, view, mixing, replaced);
            let image = dataset.shape(spec.split, sample);
            let part =
                view.resized.map(|placed| placed.part).filter(|part| *part != Region::whole(image.size()));
            Ok(Source {
                image,
                pixels: samples.image(sample, &mut Vec::new())?.to_vec(),
                part,
                class: class.clone(),
                caption,
            })
        };
        let cells =
            plan.rows.iter().zip(batch.pixels.chunks_exact(checked.image_bytes())).map(|(row, mixed)| {
                let lambda = row.partner.map(|partner| partner.blend.lambda.to_unit());
                let mut sources = vec![source(row.sample, row.label(samples), &row.view, lambda)?];
                if let (Some(partner), Some(lambda)) = (row.partner, lambda) {
                    let label = partner.label(samples);
                    sources.push(source(partner.sample, label, &partner.view, Some(1.0 - lambda))?);
                }
                Ok(Cell { mixed: mixed.to_vec(), sources })
            });
        let cells = cells.collect::<Result<Vec<_>, Failure>>()?;
        let legend = legend::of(&plan, samples, mixing);
        Ok(Self { title, legend, columns, image: checked.image(), cells })
    }

    /// Draws the page into a PNG file.
    pub(super) fn save(&self, path: &Path) -> Result<(), Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::other(format!("{}: {e}", path.display()));
        let mut png = Vec::new();
        self.draw().write_with_encoder(PngEncoder::new(&mut png)).map_err(|e| failed(&e))?;
        files::write_among_others(path, &png).map_err(|e| failed(&e))
    }

    fn draw(&self) -> RgbImage {
        let width = MARGIN + self.columns * (MIXED_SIDE + MARGIN);
        let ruler = Canvas::new(1, 1);
        let wrapped = |text: &str, size: f32| ruler.wrapped(text, size, width - 2 * MARGIN);
        let title = wrapped(&self.title, TITLE_SIZE);
        let legend: Vec<_> = self.legend.iter().flat_map(|line| wrapped(line, TEXT_SIZE)).collect();
        let room = MIXED_SIDE - SOURCE_SIDE - GAP;
        let captions = self.cells.iter().flat_map(|cell| &cell.sources);
        let lines = captions.map(|source| ruler.wrapped(&source.caption, TEXT_SIZE, room).len() as u32).max();
        let source = SOURCE_SIDE.max(TEXT_LINE * (1 + lines.unwrap_or(0))) + GAP;

        let rows = (self.cells.len() as u32).div_ceil(self.columns);
        let mixed = self.cells.iter().map(|cell| cell.sources.len() as u32).max().unwrap_or(1);
        let cell_height = MIXED_SIDE + GAP + mixed * source + MARGIN;
        let top = 14 + TITLE_LINE * title.len() as u32 + 8;
        let below = top + rows * cell_height;
        let mut canvas = Canvas::new(width, below + TEXT_LINE * legend.len() as u32 + MARGIN);
        for (line, y) in title.iter().zip((14..).step_by(TITLE_LINE as usize)) {
            canvas.text(MARGIN, y, TITLE_SIZE, INK, line);
        }
        for (number, cell) in (0..).zip(&self.cells) {
            let (column, row) = (number % self.columns, number / self.columns);
            let x = MARGIN + column * (MIXED_SIDE + MARGIN);
            self.draw_cell(&mut canvas, x, top + row * cell_height, source, cell);
        }
        for (line, y) in legend.iter().zip((below..).step_by(TEXT_LINE as usize)) {
            canvas.text(MARGIN, y, TEXT_SIZE, FAINT, line);
        }
        canvas.into_pixels()
    }

    /// Draws a cell whose sources are `step` pixels below each other.
    fn draw_cell(&self, canvas: &mut Canvas, x: u32, y: u32, step: u32, cell: &Cell) {
        canvas.picture(x, y, MIXED_SIDE, self.image, &cell.mixed);
        for (number, source) in (0..).zip(&cell.sources) {
            let top = y + MIXED_SIDE + GAP + number * step;
            canvas.picture(x, top, SOURCE_SIDE, source.image, &source.pixels);
            if let Some(part) = source.part {
                canvas.frame(x, top, SOURCE_SIDE, source.image, part);
            }
            let (left, room) = (x + SOURCE_SIDE + GAP, MIXED_SIDE - SOURCE_SIDE - GAP);
            canvas.text(left, top, TEXT_SIZE, INK, &canvas.fitting(&source.class, TEXT_SIZE, room));
            let lines = canvas.wrapped(&source.caption, TEXT_SIZE, room);
            for (line, y) in lines.iter().zip((top + TEXT_LINE..).step_by(TEXT_LINE as usize)) {
                canvas.text(left, y, TEXT_SIZE, FAINT, line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_says_why_an_image_stands_alone() {
        let flipped = View { flipped: true, ..View::PLAIN };
        let mixing = |probability| Some(Mixing::mixup(0.2, probability));
        for (weight, view, mixing, expected) in [
            (Some(0.25), View::PLAIN, mixing(1.0), "0.250"),
            (Some(0.25), flipped, mixing(0.2), "0.250 ↔"),
            (None, flipped, mixing(1.0), "λ = 1 ↔"),
            (None, View::PLAIN, mixing(0.2), "not mixed"),
            (None, View::PLAIN, mixing(0.0), ""),
            (None, flipped, None, "↔"),
        ] {
            assert_eq!(caption(weight, &view, mixing, None), expected);
        }
        assert_eq!(caption(Some(0.25), &flipped, mixing(1.0), Some("cat")), "0.250 ↔, true: cat");
        assert_eq!(caption(None, &View::PLAIN, None, Some("cat")), "true: cat");
    }

    #[test]
    fn a_weight_is_never_rounded_to_all_or_nothing() {
        let shown = [0.0, 1.0 / 65_536.0, 0.000_6, 0.5, 0.9994, 65_535.0 / 65_536.0, 1.0].map(show_weight);
        assert_eq!(shown, ["0", "<0.001", "0.001", "0.500", "0.999", ">0.999", "1"]);
    }
}
