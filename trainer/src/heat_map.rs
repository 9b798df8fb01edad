//! Tables drawn in colours: the confusion matrix, the grid of a comparison.

use crate::canvas::{Area, Canvas, FAINT_INK, GRID, INK, Painted, bold, text};
use crate::error::TrainError;
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
    /// Width and height of a cell, or less where there is no room for that.
    pub(crate) cell_pixels: (u32, u32),
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
    /// Written into it where there is room; the first line is bold.
    pub(crate) lines: Vec<String>,
}

/// A picture's sides at most, headings left out.
const MAX_BODY_PIXELS: u32 = 1400;

/// Where everything lies, in pixels of the finished picture.
struct Layout {
    cell: (u32, u32),
    left: u32,
    top: u32,
    /// Whether the labels below the columns are turned.
    turned: bool,
    size: (u32, u32),
}

impl HeatMap {
    /// Draws it.
    pub(crate) fn draw(&self, path: &Path) -> Result<(), TrainError> {
        let layout = self.layout();
        Canvas::draw(path, layout.size, |area, scale| self.paint(area, scale, &layout))
    }

    fn layout(&self) -> Layout {
        let longest = |texts: &[String]| texts.iter().map(|text| width(text)).max().unwrap_or(0);
        let fit = |wanted: u32, count: usize| wanted.min(MAX_BODY_PIXELS / count.max(1) as u32).max(3);
        let cell = (
            fit(self.cell_pixels.0, self.columns.labels.len()),
            fit(self.cell_pixels.1, self.rows.labels.len()),
        );
        let turned = longest(&self.columns.labels) + 6 > cell.0;
        let left = 28 + 26 + longest(&self.rows.labels) + 12;
        let top = 52 + 22 * self.subtitles.len() as u32 + 14;
        let below = if turned { longest(&self.columns.labels) } else { LETTERS_PIXELS + 4 } + 12;
        let body = (cell.0 * self.columns.labels.len() as u32, cell.1 * self.rows.labels.len() as u32);
        let heading = self.subtitles.iter().map(|line| width(line) * 9 / 10 + 56).max().unwrap_or(0);
        let heading = heading.max(width(&self.title) * 9 / 5 + 56);
        Layout {
            cell,
            left,
            top,
            turned,
            size: ((left + body.0 + 36).max(heading), top + body.1 + below + 26 + 20),
        }
    }

    fn paint<'a>(&self, area: &Area<'a>, scale: u32, layout: &Layout) -> Painted<'a> {
        let px = |pixels: u32| (pixels * scale) as i32;
        area.fill(&WHITE)?;
        area.draw_text(&self.title, &bold(20, scale).color(&INK), (px(28), px(18)))?;
        let faint = text(LETTERS_PIXELS, scale).color(&FAINT_INK);
        for (line, y) in self.subtitles.iter().zip((46..).step_by(22)) {
            area.draw_text(line, &faint, (px(28), px(y)))?;
        }
        let Layout { cell: (width, height), left, top, .. } = *layout;
        for (row, y) in self.cells.iter().zip((top..).step_by(height as usize)) {
            for (cell, x) in row.iter().zip((left..).step_by(width as usize)) {
                cell.paint(area, scale, (x, y), layout.cell)?;
            }
        }
        let (columns, rows) = (self.columns.labels.len() as u32, self.rows.labels.len() as u32);
        let corners = [(px(left), px(top)), (px(left + columns * width), px(top + rows * height))];
        area.draw(&Rectangle::new(corners, GRID.stroke_width(scale)))?;
        self.paint_labels(area, scale, layout)
    }

    fn paint_labels<'a>(&self, area: &Area<'a>, scale: u32, layout: &Layout) -> Painted<'a> {
        let px = |pixels: u32| (pixels * scale) as i32;
        let Layout { cell: (width, height), left, top, turned, size } = *layout;
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

impl Cell {
    fn paint<'a>(&self, area: &Area<'a>, scale: u32, (x, y): (u32, u32), size: (u32, u32)) -> Painted<'a> {
        let px = |pixels: u32| (pixels * scale) as i32;
        let colour = self.colour();
        let corners = [(px(x), px(y)), (px(x + size.0), px(y + size.1))];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        let line_height = LETTERS_PIXELS + 6;
        let lines = self.lines.len() as u32;
        let has_room =
            self.lines.iter().all(|line| width(line) <= size.0) && lines * line_height <= size.1 + 4;
        if !has_room {
            return Ok(());
        }
        let ink = if self.shade.abs() > 0.55 { WHITE } else { INK };
        let first = y + size.1 / 2 - (lines.max(1) - 1) * line_height / 2;
        for (number, line) in (0..).zip(&self.lines) {
            let font = if number == 0 { bold(LETTERS_PIXELS, scale) } else { text(LETTERS_PIXELS, scale) };
            let style = font.color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw_text(line, &style, (px(x + size.0 / 2), px(first + number * line_height)))?;
        }
        Ok(())
    }

    /// White at nothing.
    fn colour(&self) -> RGBColor {
        let full = if self.shade < 0.0 { BELOW } else { ABOVE };
        let share = self.shade.abs().min(1.0);
        let mix = |full: u8| (255.0 + (f64::from(full) - 255.0) * share).round() as u8;
        RGBColor(mix(full.0), mix(full.1), mix(full.2))
    }
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
            };
            let map = HeatMap {
                title: "a table".to_owned(),
                subtitles: vec!["in colours".to_owned()],
                rows: axis(rows),
                columns: axis(columns),
                cells: (0..rows).map(|row| (0..columns).map(|column| cell(row + column)).collect()).collect(),
                cell_pixels: (120, 48),
            };
            let path = folder.path().join(format!("{rows}.png"));
            map.draw(&path).unwrap();
            assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
        }
    }

    #[test]
    fn nothing_is_white_and_signs_have_colours_of_their_own() {
        let colour = |shade| Cell { shade, lines: Vec::new() }.colour();
        assert_eq!(colour(0.0), RGBColor(255, 255, 255));
        assert_eq!((colour(1.0), colour(-1.0)), (ABOVE, BELOW));
        assert_eq!(colour(7.0), ABOVE, "and nothing is darker than dark");
    }
}
