//! The confusion matrix as a picture.

use super::Confusion;
use crate::report::canvas::PictureError;
use crate::report::heat_map::{Axis, Cell, HeatMap};
use std::path::Path;

/// Side of a class's field: room for `100`.
const CELL_PIXELS: u32 = 48;

/// The shade of the commonest mistake.
const DARKEST_MISTAKE: f64 = -0.8;

impl Confusion {
    /// Draws it into `path`, as PNG or as SVG; `about` says what was scored.
    ///
    /// # Errors
    /// When the picture cannot be written.
    pub fn draw(&self, path: &Path, classes: &[String], about: &str) -> Result<(), PictureError> {
        let share =
            |row: usize, column: usize| self.rows()[row][column] as f64 / self.samples_of(row).max(1) as f64;
        let all = || (0..classes.len()).flat_map(|row| (0..classes.len()).map(move |column| (row, column)));
        let mistakes = all().filter(|(row, column)| row != column).map(|(row, column)| share(row, column));
        let worst = mistakes.fold(0.0, f64::max);
        let cell = |row: usize, column: usize| {
            let share = share(row, column);
            let percent = format!("{:.0}", 100.0 * share);
            Cell {
                // Mistakes are few: on the scale of what is right, none would be seen.
                shade: if row == column {
                    share
                } else {
                    DARKEST_MISTAKE * share / worst.max(f64::MIN_POSITIVE)
                },
                lines: if percent == "0" { Vec::new() } else { vec![percent] },
                is_marked: row == column,
            }
        };
        let mut key = vec![(0.0, "0 %".to_owned()), (1.0, "100 % right".to_owned())];
        if worst > 0.0 {
            key.insert(0, (DARKEST_MISTAKE, format!("{:.1} % wrong", 100.0 * worst)));
        }
        let axis = |name: &str| Axis { name: name.to_owned(), labels: classes.to_vec() };
        let map = HeatMap {
            title: format!("Confusion matrix, test accuracy {:.2} %", 100.0 * self.accuracy()),
            subtitles: vec![
                about.to_owned(),
                "per cent of the images of each class; blue and bold: right, orange: wrong".to_owned(),
            ],
            rows: axis("true class"),
            columns: axis("predicted class"),
            cells: (0..classes.len())
                .map(|row| (0..classes.len()).map(|column| cell(row, column)).collect())
                .collect(),
            cell_pixels: (CELL_PIXELS, CELL_PIXELS * 3 / 4),
            key,
        };
        map.draw(path)
    }
}
