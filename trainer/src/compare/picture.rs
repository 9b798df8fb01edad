//! A grid as a picture: what each amount and distribution of mixup does to the accuracy.

use super::{ArmResult, Comparison, Difference, Grid};
use crate::error::TrainError;
use crate::heat_map::{Axis, Cell, HeatMap};
use std::path::Path;

/// Room for an interval.
const CELL_PIXELS: (u32, u32) = (150, 74);

/// Draws the table of a comparison that is one.
pub(crate) fn draw_grid(path: &Path, grid: &Grid, comparison: &Comparison) -> Result<(), TrainError> {
    let Some((without, fields)) = comparison.arms.split_first() else { return Ok(()) };
    let mean = |arm: &ArmResult| arm.difference.map_or(0.0, |difference| difference.mean);
    let largest = fields.iter().map(|arm| mean(arm).abs()).fold(0.0, f64::max);
    let cell = |arm: &ArmResult| {
        let difference = arm.difference.unwrap_or_else(|| Difference::of(&[0.0]));
        let mut lines = vec![difference.show()];
        if difference.confidence_95.is_some() {
            lines.push(difference.show_interval());
        }
        lines.push(format!("{:.2} %", 100.0 * arm.test_accuracy.mean));
        Cell { shade: 0.8 * difference.mean / largest.max(f64::MIN_POSITIVE), lines }
    };
    let columns = grid.mixup_prob.len();
    let interval = if comparison.trials > 1 { ", its 95 % interval" } else { "" };
    let map = HeatMap {
        title: format!("mixup · {} · {}", comparison.preset, comparison.model),
        subtitles: vec![
            format!(
                "percentage points of test accuracy above training without mixup{interval}, and the accuracy"
            ),
            format!(
                "without mixup: {} %; {}, {} epochs, {} trials of each",
                without.test_accuracy.show(100.0, 2),
                comparison.dataset,
                comparison.epochs,
                comparison.trials
            ),
        ],
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
    };
    map.draw(path)
}
