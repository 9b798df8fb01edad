//! A grid as a picture: what each amount and distribution of mixup does to the accuracy.

use super::statistic::points;
use super::{ArmResult, Comparison, Difference, Grid};
use crate::report::canvas::PictureError;
use crate::report::heat_map::{Axis, Cell, HeatMap};
use crate::report::table::counted;
use std::path::Path;

/// Room for an interval.
const CELL_PIXELS: (u32, u32) = (150, 74);

/// The shade of the largest difference.
const DARKEST: f64 = 0.8;

/// Draws the table of a comparison that is one, as PNG and, beside it, as SVG.
pub(crate) fn draw_grid(path: &Path, grid: &Grid, comparison: &Comparison) -> Result<(), PictureError> {
    let Some((without, fields)) = comparison.arms.split_first() else { return Ok(()) };
    let mean = |arm: &ArmResult| arm.difference.map_or(0.0, |difference| difference.mean);
    let largest = fields.iter().map(|arm| mean(arm).abs()).fold(0.0, f64::max);
    let cell = |arm: &ArmResult| {
        let difference = arm.difference.unwrap_or_else(|| Difference::of(&[0.0]));
        let mark = if difference.is_shown() { " *" } else { "" };
        let mut lines = vec![format!("{}{mark}", difference.show())];
        if difference.confidence_95.is_some() {
            lines.push(difference.show_interval());
        }
        lines.push(format!("{:.2} %", 100.0 * arm.test_accuracy.mean));
        let shade = DARKEST * difference.mean / largest.max(f64::MIN_POSITIVE);
        Cell { shade, lines, is_marked: difference.is_shown() }
    };
    let columns = grid.mixup_prob.len();
    let mut subtitles = vec![
        format!(
            "without mixup: {} % test accuracy; {}, {}, {} of each",
            without.test_accuracy.show(100.0, 2),
            comparison.dataset,
            counted(comparison.epochs, "epoch"),
            counted(comparison.trials.into(), "trial"),
        ),
        "difference to that in percentage points".to_owned(),
    ];
    if comparison.trials > 1 {
        subtitles[1] += &format!(", its 95 % CI (Student's t, n = {}), and the accuracy", comparison.trials);
        subtitles.push(
            "bold and *: the CI leaves out 0; of 20 such intervals about one does so by chance".to_owned(),
        );
    } else {
        subtitles[1] += ", and the accuracy; one trial shows no interval";
    }
    subtitles.extend(comparison.limits());
    let mut key = vec![(0.0, "0".to_owned())];
    if largest > 0.0 {
        key.insert(0, (-DARKEST, format!("{} points", points(-largest))));
        key.push((DARKEST, format!("{} points", points(largest))));
    }
    let map = HeatMap {
        title: format!("mixup · {} · {}", comparison.preset, comparison.model),
        subtitles,
        rows: Axis {
            name: "alpha".to_owned(),
            labels: grid.mixup_alpha.iter().map(f64::to_string).collect(),
        },
        columns: Axis {
            name: "share of images that are mixed".to_owned(),
            labels: grid.mixup_prob.iter().map(|share| format!("{:.0} %", 100.0 * share)).collect(),
        },
        cells: fields.chunks(columns).map(|row| row.iter().map(cell).collect()).collect(),
        cell_pixels: CELL_PIXELS,
        key,
    };
    map.draw_both(path)
}
