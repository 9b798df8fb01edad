//! Tables drawn in colours: the confusion matrix, the grid of a comparison.

use crate::report::canvas::PictureError;
use crate::report::canvas::{self, Area, FAINT_INK, GRID, INK, Painted, Picture, bold, text};
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// Width of the widest letter but few, as a share of the height of letters.
const LETTER_WIDTH: f64 = 0.58;

/// Height of letters.
const LETTERS_PIXELS: u32 = 13;

/// For values above and below nothing: told apart by people who see few colours, too.
const ABOVE: RGBColor = RGBColor(0, 114, 178);
const BELOW: RGBColor = RGBColor(213, 94, 0);

/// A table drawn in colours.
pub(crate) struct HeatMap {
    /// The bold line at the top.
    pub(crate) title: String,
    /// The lines below it.
    pub(crate) subtitles: Vec<String>,
    /// What is down the side.
    pub(crate) rows: Axis,
    /// What is along the bottom.
    pub(crate) columns: Axis,
    /// Row by row.
    pub(crate) cells: Vec<Vec<Cell>>,
    /// Width and height of a cell, or less where there is no room for that, or wider where there is too much.
    pub(crate) cell_pixels: (u32, u32),
    /// What the colours mean: shades and their values, from the lowest to the highest.
    pub(crate) key: Vec<(f64, String)>,
}

/// The names of rows or columns.
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
}

/// One field of the table.
#[derive(Clone)]
pub(crate) struct Cell {
    /// From -1 to 1: how dark, and in which colour.
    pub(crate) shade: f64,
    /// Written into it where there is room.
    pub(crate) lines: Vec<String>,
    /// Whether its first line is bold: it counts.
    pub(crate) is_marked: bool,
}

/// A picture's sides at most, headings left out.
const MAX_BODY_PIXELS: u32 = 1400;

/// Where everything lies, in pixels of the finished picture.
struct Layout {
    cell: (u32, u32),
    left: u32,
    top: u32,
    /// Width and height of all cells.
    body: (u32, u32),
    /// Whether the labels below the columns are turned.
    turned: bool,
    size: (u32, u32),
}

/// Room to the right of the cells for what the colours mean: a gap, the bar, and its values.
const KEY_GAP_PIXELS: u32 = 24;
const KEY_BAR_PIXELS: u32 = 14;

/// Steps of the bar's colours on each side of nothing.
const KEY_STEPS: u32 = 48;

impl HeatMap {
    /// Draws it: a PNG, or an SVG where the file's name ends so.
    pub(crate) fn draw(&self, path: &Path) -> Result<(), PictureError> {
        canvas::draw(self, path)
    }

    /// Draws it into a PNG file, and into an SVG file beside it.
    pub(crate) fn draw_both(&self, png: &Path) -> Result<(), PictureError> {
        canvas::draw_both(self, png)
    }

    fn layout(&self) -> Layout {
        let longest = |texts: &[String]| texts.iter().map(|text| width(text)).max().unwrap_or(0);
        let count = |axis: &Axis| axis.labels.len().max(1) as u32;
        let (columns, rows) = (count(&self.columns), count(&self.rows));
        let fit = |wanted: u32, count: u32| wanted.min(MAX_BODY_PIXELS / count).max(3);
        let left = 28 + 26 + longest(&self.rows.labels) + 12;
        let values = self.key.iter().map(|(_, value)| width(value)).max().unwrap_or(0);
        let right = KEY_GAP_PIXELS + KEY_BAR_PIXELS + 8 + values + 28;
        let heading = self.subtitles.iter().map(|line| width(line) * 9 / 10 + 56).max().unwrap_or(0);
        let heading = heading.max(width(&self.title) * 9 / 5 + 56);
        // Wide enough for the heading: a picture is not left half empty.
        let wide = heading.saturating_sub(left + right) / columns;
        let cell = (fit(self.cell_pixels.0, columns).max(wide), fit(self.cell_pixels.1, rows));
        let turned = longest(&self.columns.labels) + 6 > cell.0;
        let top = 52 + 22 * self.subtitles.len() as u32 + 14;
        let below = if turned { longest(&self.columns.labels) } else { LETTERS_PIXELS + 4 } + 12;
        let body = (cell.0 * columns, cell.1 * rows);
        let size = ((left + body.0 + right).max(heading), top + body.1 + below + 26 + 20);
        Layout { cell, left, top, body, turned, size }
    }

    /// The bar that tells what the colours mean.
    fn paint_key<B: DrawingBackend>(&self, area: &Area<B>, scale: u32, layout: &Layout) -> Painted<B> {
        let px = |pixels: f64| (pixels * f64::from(scale)).round() as i32;
        let (Some((low, _)), Some((high, _))) = (self.key.first(), self.key.last()) else { return Ok(()) };
        let (top, height) = (f64::from(layout.top), f64::from(layout.body.1));
        let left = f64::from(layout.left + layout.body.0 + KEY_GAP_PIXELS);
        let right = left + f64::from(KEY_BAR_PIXELS);
        let y = |shade: f64| top + height * (high - shade) / (high - low).max(f64::MIN_POSITIVE);
        let shade = |step: u32| low + (high - low) * f64::from(step) / f64::from(2 * KEY_STEPS);
        for step in 0..2 * KEY_STEPS {
            let corners = [(px(left), px(y(shade(step + 1)))), (px(right), px(y(shade(step))))];
            area.draw(&Rectangle::new(corners, colour(shade(step)).filled()))?;
        }
        let corners = [(px(left), px(top)), (px(right), px(top + height))];
        area.draw(&Rectangle::new(corners, GRID.stroke_width(scale)))?;
        let style = text(LETTERS_PIXELS - 1, scale).color(&FAINT_INK);
        let style = style.pos(Pos::new(HPos::Left, VPos::Center));
        for (shade, value) in &self.key {
            // The outermost stay within the bar's height.
            let middle = y(*shade).clamp(top + 6.0, top + height - 6.0);
            area.draw_text(value, &style, (px(right + 8.0), px(middle)))?;
        }
        Ok(())
    }

    fn paint_labels<B: DrawingBackend>(&self, area: &Area<B>, scale: u32, layout: &Layout) -> Painted<B> {
        let px = |pixels: u32| (pixels * scale) as i32;
        let Layout { cell: (width, height), left, top, turned, size, .. } = *layout;
        let (columns, rows) = (self.columns.labels.len() as u32, self.rows.labels.len() as u32);
        let ink = text(LETTERS_PIXELS, scale).color(&INK);
        let bottom = top + rows * height;
        // Where cells are lower than letters, every second or third has a label.
        let every = |cell: u32| (LETTERS_PIXELS + 2).div_ceil(cell) as usize;
        for (number, label) in (0..).zip(&self.rows.labels).step_by(every(height)) {
            let style = ink.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw_text(label, &style, (px(left - 10), px(top + number * height + height / 2)))?;
        }
        for (number, label) in (0..).zip(&self.columns.labels).step_by(every(width)) {
            let x = left + number * width + width / 2;
            let style = if turned {
                ink.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Right, VPos::Center))
            } else {
                ink.pos(Pos::new(HPos::Center, VPos::Top))
            };
            area.draw_text(label, &style, (px(x), px(bottom + 10)))?;
        }
        let faint = text(LETTERS_PIXELS, scale).color(&FAINT_INK);
        let below = faint.pos(Pos::new(HPos::Center, VPos::Bottom));
        area.draw_text(&self.columns.name, &below, (px(left + columns * width / 2), px(size.1 - 16)))?;
        let beside = faint.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw_text(&self.rows.name, &beside, (px(28 + 6), px(top + rows * height / 2)))
    }
}

impl Picture for HeatMap {
    fn size(&self) -> (u32, u32) {
        self.layout().size
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>, scale: u32) -> Painted<B> {
        let layout = self.layout();
        let px = |pixels: u32| (pixels * scale) as i32;
        area.fill(&WHITE)?;
        area.draw_text(&self.title, &bold(20, scale).color(&INK), (px(28), px(18)))?;
        let faint = text(LETTERS_PIXELS, scale).color(&FAINT_INK);
        for (line, y) in self.subtitles.iter().zip((46..).step_by(22)) {
            area.draw_text(line, &faint, (px(28), px(y)))?;
        }
        let Layout { cell: (width, height), left, top, body, .. } = layout;
        for (row, y) in self.cells.iter().zip((top..).step_by(height as usize)) {
            for (cell, x) in row.iter().zip((left..).step_by(width as usize)) {
                cell.paint(area, scale, (x, y), layout.cell)?;
            }
        }
        let corners = [(px(left), px(top)), (px(left + body.0), px(top + body.1))];
        area.draw(&Rectangle::new(corners, GRID.stroke_width(scale)))?;
        self.paint_key(area, scale, &layout)?;
        self.paint_labels(area, scale, &layout)
    }
}

impl Cell {
    fn paint<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        scale: u32,
        (x, y): (u32, u32),
        size: (u32, u32),
    ) -> Painted<B> {
        let px = |pixels: u32| (pixels * scale) as i32;
        let colour = colour(self.shade);
        let corners = [(px(x), px(y)), (px(x + size.0), px(y + size.1))];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        let line_height = LETTERS_PIXELS + 6;
        let lines = self.lines.len() as u32;
        let has_room =
            self.lines.iter().all(|line| width(line) <= size.0) && lines * line_height <= size.1 + 4;
        if !has_room {
            return Ok(());
        }
        let ink = readable_on(colour);
        let first = y + size.1 / 2 - (lines.max(1) - 1) * line_height / 2;
        for (number, line) in (0..).zip(&self.lines) {
            let is_bold = number == 0 && self.is_marked;
            let font = if is_bold { bold(LETTERS_PIXELS, scale) } else { text(LETTERS_PIXELS, scale) };
            let style = font.color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw_text(line, &style, (px(x + size.0 / 2), px(first + number * line_height)))?;
        }
        Ok(())
    }
}

/// The colour of a shade: white at nothing.
fn colour(shade: f64) -> RGBColor {
    let full = if shade < 0.0 { BELOW } else { ABOVE };
    let share = shade.abs().min(1.0);
    let mix = |full: u8| (255.0 + (f64::from(full) - 255.0) * share).round() as u8;
    RGBColor(mix(full.0), mix(full.1), mix(full.2))
}

/// Black or white, whichever stands out more: at least 4.5 to 1 on any colour, as WCAG 2 asks for.
fn readable_on(colour: RGBColor) -> RGBColor {
    if contrast(colour, BLACK) >= contrast(colour, WHITE) { BLACK } else { WHITE }
}

/// WCAG 2's contrast ratio, 1 to 21.
fn contrast(one: RGBColor, other: RGBColor) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2's relative luminance, 0 to 1.
fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let [red, green, blue] = [red, green, blue].map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// About how wide a text is drawn, in pixels.
fn width(text: &str) -> u32 {
    (text.chars().count() as f64 * f64::from(LETTERS_PIXELS) * LETTER_WIDTH).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_any_size_can_be_drawn() {
        let folder = tempfile::tempdir().unwrap();
        for (rows, columns) in [(1, 1), (2, 3), (10, 10), (200, 200)] {
            let axis = |count: usize| Axis {
                name: "class".to_owned(),
                labels: (0..count).map(|number| format!("class {number}")).collect(),
            };
            let cell = |number: usize| Cell {
                shade: (number as f64 / 7.0).sin(),
                lines: vec![number.to_string(), "words".to_owned()],
                is_marked: number.is_multiple_of(2),
            };
            let map = HeatMap {
                title: "a table".to_owned(),
                subtitles: vec!["in colours".to_owned()],
                rows: axis(rows),
                columns: axis(columns),
                cells: (0..rows).map(|row| (0..columns).map(|column| cell(row + column)).collect()).collect(),
                cell_pixels: (120, 48),
                key: vec![(-1.0, "−1".to_owned()), (0.0, "0".to_owned()), (1.0, "+1".to_owned())],
            };
            let path = folder.path().join(format!("{rows}.png"));
            map.draw(&path).unwrap();
            assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
            map.draw(&path.with_extension("svg")).unwrap();
            let svg = std::fs::read_to_string(path.with_extension("svg")).unwrap();
            assert!(svg.contains(">\na table\n<") && svg.contains("−1"), "text stays text");
        }
    }

    #[test]
    fn nothing_is_white_and_signs_have_colours_of_their_own() {
        assert_eq!(colour(0.0), RGBColor(255, 255, 255));
        assert_eq!((colour(1.0), colour(-1.0)), (ABOVE, BELOW));
        assert_eq!(colour(7.0), ABOVE, "and nothing is darker than dark");
    }

    #[test]
    fn letters_stand_out_on_every_shade() {
        for step in -100..=100 {
            let background = colour(f64::from(step) / 100.0);
            let ratio = contrast(background, readable_on(background));
            assert!(ratio >= 4.5, "{ratio:.2} at {step} %");
        }
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 1e-9);
        // As other people's calculators have it.
        assert!((contrast(WHITE, RGBColor(118, 118, 118)) - 4.54).abs() < 0.01);
    }

    #[test]
    fn a_long_heading_widens_the_cells_and_leaves_no_half_of_the_picture_empty() {
        let axis = || Axis { name: "a".to_owned(), labels: vec!["1".to_owned(), "2".to_owned()] };
        let cell = Cell { shade: 0.5, lines: Vec::new(), is_marked: false };
        let map = HeatMap {
            title: "a table".to_owned(),
            subtitles: vec!["word ".repeat(25)],
            rows: axis(),
            columns: axis(),
            cells: vec![vec![cell.clone(), cell.clone()], vec![cell.clone(), cell]],
            cell_pixels: (150, 74),
            key: vec![(-1.0, "−2.76".to_owned()), (1.0, "+2.76".to_owned())],
        };
        let Layout { body, size, .. } = map.layout();
        assert!(f64::from(body.0) > 0.7 * f64::from(size.0), "{body:?} of {size:?}");
    }
}
