//! One set of axes with the curves of every arm.

use super::epoch_axis::EpochAxis;
use super::{Arm, COLOURS};
use crate::report::canvas::{Area, FAINT_INK, GRID, INK, Painted, bold, text};
use crate::run::observer::Epoch;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// What is drawn against the epoch.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// Lines below the axis.
    pub(super) note: [&'static str; 2],
    pub(super) unit: &'static str,
    /// None where it was not measured.
    pub(super) value: Value,
    /// Another value that has the same scale.
    pub(super) scaled_with: Option<Value>,
    /// Whether zero is part of the scale.
    pub(super) from_zero: bool,
}

type Value = fn(&Epoch) -> Option<f64>;
type Axes = Cartesian2d<EpochAxis, RangedCoordf64>;
type Chart<'b, B> = ChartContext<'b, B, Axes>;

impl Panel {
    pub(super) fn paint<B: DrawingBackend>(
        &self,
        area: &Area<B>,
        scale: u32,
        arms: &[Arm<'_>],
    ) -> Painted<B> {
        let px = |pixels: u32| pixels * scale;
        let (x_range, y_range) = self.ranges(arms);
        area.draw_text(self.title, &bold(14, scale).color(&INK), (px(28) as i32, px(4) as i32))?;
        let (_, height) = area.dim_in_pixel();
        for (line, y) in self.note.iter().zip([38, 21]) {
            let style = text(12, scale).color(&FAINT_INK);
            area.draw_text(line, &style, (px(88) as i32, (height - px(y)) as i32))?;
        }
        let mut chart = ChartBuilder::on(area)
            .margin_left(px(16))
            .margin_right(px(76))
            .margin_bottom(px(44))
            .margin_top(px(34))
            .x_label_area_size(px(44))
            .y_label_area_size(px(56))
            .build_cartesian_2d(EpochAxis(x_range), y_range)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(scale))
            .light_line_style(TRANSPARENT)
            .axis_style(GRID.stroke_width(scale))
            .set_all_tick_mark_size(px(6))
            .label_style(text(13, scale).color(&FAINT_INK))
            .axis_desc_style(text(13, scale).color(&FAINT_INK))
            .x_desc("epoch")
            .y_labels(8)
            .x_label_formatter(&|epoch| format!("{epoch:.0}"))
            .y_label_formatter(&|value| format!("{}{}", short(*value), self.unit))
            .draw()?;
        for (arm, colour) in arms.iter().zip(COLOURS) {
            self.paint_arm(&mut chart, scale, arm, colour)?;
        }
        self.paint_ends(&chart, scale, arms)
    }

    fn paint_arm<B: DrawingBackend>(
        &self,
        chart: &mut Chart<'_, B>,
        scale: u32,
        arm: &Arm<'_>,
        colour: RGBColor,
    ) -> Painted<B> {
        if arm.trials.len() > 1 {
            for trial in &arm.trials {
                let points = trial.iter().filter_map(|epoch| Some((epoch.epoch, (self.value)(epoch)?)));
                chart.draw_series(LineSeries::new(points, colour.mix(0.35).stroke_width(scale)))?;
            }
        }
        let mean = self.mean(arm);
        chart.draw_series(LineSeries::new(mean.iter().copied(), colour.stroke_width(5 * scale / 2)))?;
        // Dots where they are few enough to be told apart; a single epoch is nothing but a dot.
        if mean.len() <= 40 {
            let dot = |point: &(f64, f64)| Circle::new(*point, (7 * scale / 2) as i32, colour.filled());
            chart.draw_series(mean.iter().map(dot))?;
        }
        Ok(())
    }

    /// Writes the last value of each arm to the right of its curve, the higher above.
    fn paint_ends<B: DrawingBackend>(
        &self,
        chart: &Chart<'_, B>,
        scale: u32,
        arms: &[Arm<'_>],
    ) -> Painted<B> {
        let plot = chart.plotting_area();
        let (left, top) = plot.get_base_pixel();
        let mut ends: Vec<_> = arms
            .iter()
            .zip(COLOURS)
            .filter_map(|(arm, colour)| {
                let (epoch, value) = *self.mean(arm).last()?;
                let (x, y) = plot.map_coordinate(&(epoch, value));
                Some((x - left, y - top, value, colour))
            })
            .collect();
        ends.sort_by_key(|(_, y, ..)| *y);
        // Ends that lie close together are written below each other.
        let (line, gap) = (18 * scale as i32, 10 * scale as i32);
        let mut free = i32::MIN;
        let area = plot.strip_coord_spec();
        for (x, y, value, colour) in ends {
            let y = y.max(free);
            free = y + line;
            let style = bold(13, scale).color(&colour).pos(Pos::new(HPos::Left, VPos::Center));
            let digits = if self.unit.is_empty() { 3 } else { 1 };
            area.draw_text(&format!("{value:.digits$}{}", self.unit), &style, (x + gap, y))?;
        }
        Ok(())
    }

    /// The mean over the trials that got as far, epoch by epoch.
    fn mean(&self, arm: &Arm<'_>) -> Vec<(f64, f64)> {
        let longest = arm.trials.iter().max_by_key(|trial| trial.len()).copied().unwrap_or_default();
        let mean_at = |(position, epoch): (usize, &Epoch)| {
            let at = arm.trials.iter().filter_map(|trial| trial.get(position));
            let values: Vec<_> = at.filter_map(self.value).collect();
            (!values.is_empty()).then(|| (epoch.epoch, values.iter().sum::<f64>() / values.len() as f64))
        };
        longest.iter().enumerate().filter_map(mean_at).collect()
    }

    fn ranges(&self, arms: &[Arm<'_>]) -> (Range<f64>, Range<f64>) {
        let epochs = || arms.iter().flat_map(|arm| &arm.trials).flat_map(|trial| trial.iter());
        let (first, last) = extent(epochs().map(|epoch| epoch.epoch));
        let scaled = |value: Value| epochs().filter_map(value).filter(|value| value.is_finite());
        let both = self.scaled_with.into_iter().flat_map(scaled);
        let (low, high) = extent(scaled(self.value).chain(both));
        let side = ((last - first) * 0.03).max(0.1);
        let room = ((high - low) * 0.15).max(high.abs() * 0.02).max(1e-3);
        let low = if self.from_zero { 0.0 } else { low - room };
        (first - side..last + side, low..high + room)
    }
}

/// Names the arms at the top right, where the heading leaves room.
pub(super) fn paint_legend<B: DrawingBackend>(area: &Area<B>, scale: u32, arms: &[Arm<'_>]) -> Painted<B> {
    let px = |pixels: u32| (pixels * scale) as i32;
    let (width, _) = area.dim_in_pixel();
    for (row, (arm, colour)) in (0..).zip(arms.iter().zip(COLOURS)) {
        let y = px(26) + row * px(20);
        let x = width as i32 - px(240);
        let line = PathElement::new([(x, y), (x + px(22), y)], colour.stroke_width(3 * scale));
        area.draw(&line)?;
        let style = text(13, scale).color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(&arm.name, &style, (x + px(30), y))?;
    }
    Ok(())
}

/// The smallest and the largest value; 0 to 1 when there is none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
        })
        .unwrap_or((0.0, 1.0))
}

/// As many digits as tell neighbouring labels apart.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
