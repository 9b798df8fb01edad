//! The confusion matrix as a picture.

use super::Confusion;
use crate::error::TrainError;
use crate::heat_map::{Axis, Cell, HeatMap};
use std::path::Path;

/// Side of a class's field: room for `100`.
const CELL_PIXELS: u32 = 48;

impl Confusion {
    /// Draws it into `path`; `about` says what was scored.
    ///
    /// # Errors
    /// When the picture cannot be written.
    pub fn draw(&self, path: &Path, classes: &[String], about: &str) -> Result<(), TrainError> {
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
                shade: if row == column { share } else { -0.8 * share / worst.max(f64::MIN_POSITIVE) },
                lines: if percent == "0" { Vec::new() } else { vec![percent] },
            }
        };
        let axis = |name: &str| Axis { name: name.to_owned(), labels: classes.to_vec() };
        let map = HeatMap {
            title: format!("confusion · accuracy {:.2} %", 100.0 * self.accuracy()),
            subtitles: vec![
                about.to_owned(),
                format!(
                    "per cent of each row; blue: right, orange: wrong, darkest at {:.1} %",
                    100.0 * worst
                ),
            ],
            rows: axis("class of the image"),
            columns: axis("class it was taken for"),
            cells: (0..classes.len())
                .map(|row| (0..classes.len()).map(|column| cell(row, column)).collect())
                .collect(),
            cell_pixels: (CELL_PIXELS, CELL_PIXELS * 3 / 4),
        };
        map.draw(path)
    }
}
