//! Pictures of how training went: training loss, test loss and test accuracy over epochs.
//!
//! One arm is drawn for a training, two for a comparison; an arm of several trials shows each of them
//! thinly and their mean boldly. The letters come with the program, so that a PNG looks the same
//! on a machine without fonts.

mod epoch_axis;
mod panel;

use crate::config::{RunConfig, Training};
use crate::report::canvas::PictureError;
use crate::report::canvas::{self, Area, Painted, Picture};
use crate::report::table::limits;
use crate::run::observer::Epoch;
use mixfeed_client::{LambdaScope, Mixing, MixingKind, StreamSpec};
use panel::{Panel, paint_legend};
use plotters::prelude::*;
use std::path::Path;

/// Width of each panel, and height of the picture.
const PANEL_PIXELS: u32 = 500;
const HEIGHT_PIXELS: u32 = 560;

/// What a picture shows.
#[derive(Clone, Debug)]
pub struct Figure<'a> {
    /// The bold line at the top.
    pub title: String,
    /// The line below it.
    pub subtitle: String,
    /// Whether targets of training are soft, by mixing or smoothing: their loss never comes to 0.
    pub soft_targets: bool,
    /// The sets of curves, one colour each; at most [`MAX_ARMS`].
    pub arms: Vec<Arm<'a>>,
}

/// Trainings that differ by nothing but their seeds.
#[derive(Clone, Debug)]
pub struct Arm<'a> {
    /// Its name in the legend.
    pub name: String,
    /// Each training, epoch by epoch.
    pub trials: Vec<&'a [Epoch]>,
}

/// As many arms as there are colours.
pub const MAX_ARMS: usize = COLOURS.len();

/// Told apart by people who see few colours, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// How images are mixed, in a few words for a caption.
pub(crate) fn mixing_words(mixing: Mixing) -> String {
    let Mixing { kind, alpha, probability, lambda_scope, .. } = mixing;
    let share = 100.0 * probability;
    let of = match lambda_scope {
        LambdaScope::Sample => "images",
        LambdaScope::Batch => "batches",
    };
    match kind {
        MixingKind::Mixup => format!("mixup of {share:.0} % of the {of}, alpha {alpha}"),
        MixingKind::Cutmix => format!("CutMix of {share:.0} % of the {of}, alpha {alpha}"),
        MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } => format!(
            "mixing of {share:.0} % of the {of}, {:.0} % by CutMix; alpha {alpha} and {cutmix_alpha}",
            100.0 * switch_probability
        ),
    }
}

/// How a stream is mixed, as epochs pass, and its label noise, in a few words for a caption.
pub(crate) fn stream_words(stream: &StreamSpec) -> String {
    let words = |mixing: Option<Mixing>| mixing.map_or("no mixing".to_owned(), mixing_words);
    let changes = stream.mixing_schedule.changes().iter();
    let changes = changes.map(|change| format!("from epoch {} on {}", change.epoch, words(change.mixing)));
    let noise =
        (stream.label_noise > 0.0).then(|| format!("label noise {:.0} %", 100.0 * stream.label_noise));
    [words(stream.mixing)].into_iter().chain(changes).chain(noise).collect::<Vec<_>>().join(", ")
}

/// Draws the curves of one training.
///
/// # Errors
/// When the picture cannot be written.
pub fn draw_run(
    path: &Path,
    history: &[Epoch],
    config: &RunConfig,
    dataset: &str,
) -> Result<(), PictureError> {
    let training = &config.training;
    let stream = &training.stream;
    let mixing = stream_words(stream);
    let limits = limits(config.settings.limit, config.settings.test_limit);
    let limits = limits.map_or(String::new(), |limits| format!("; {limits}"));
    let figure = Figure {
        title: format!("{} · {} · {dataset}", training.preset.name(), training.model.name()),
        subtitle: format!("batches of {}, seed {}, {mixing}{limits}", stream.batch_size, stream.seed),
        soft_targets: has_soft_targets(training),
        arms: vec![Arm { name: training.model.name().to_owned(), trials: vec![history] }],
    };
    draw(path, &figure)
}

/// Whether a training's targets are soft.
pub(crate) fn has_soft_targets(training: &Training) -> bool {
    training.stream.is_mixed() || training.recipe.label_smoothing > 0.0
}

/// Draws a figure into a PNG file, and into an SVG file beside it.
///
/// # Errors
/// When a picture cannot be written.
pub fn draw(png: &Path, figure: &Figure<'_>) -> Result<(), PictureError> {
    canvas::draw_both(figure, png)
}

impl Figure<'_> {
    fn panels(&self) -> Vec<Panel> {
        let training_note = match (self.soft_targets, self.arms.len()) {
            (false, _) => [""; 2],
            (true, 1) => {
                ["soft targets (mixed or smoothed) have a loss", "above 0 even where the model is right"]
            }
            (true, _) => ["with mixing the loss has a floor above 0:", "not comparable between the curves"],
        };
        let training_loss = Panel {
            title: "training loss",
            note: training_note,
            unit: "",
            value: |epoch| Some(epoch.train_loss),
            scaled_with: Some(|epoch| epoch.test_loss),
            from_zero: true,
        };
        let test_loss = Panel {
            title: "test loss",
            note: ["images and labels as they are:", "comparable between curves"],
            value: |epoch| epoch.test_loss,
            scaled_with: Some(|epoch| Some(epoch.train_loss)),
            ..training_loss
        };
        let accuracy = Panel {
            title: "test accuracy",
            note: ["the axis does not begin at 0", ""],
            unit: " %",
            value: |epoch| Some(100.0 * epoch.test_accuracy?),
            scaled_with: None,
            from_zero: false,
        };
        // Runs of older releases have no test loss.
        let has_values = |panel: &Panel| self.epochs().any(|epoch| (panel.value)(epoch).is_some());
        [training_loss, test_loss, accuracy].into_iter().filter(has_values).collect()
    }

    fn epochs(&self) -> impl Iterator<Item = &Epoch> {
        self.arms.iter().flat_map(|arm| &arm.trials).flat_map(|trial| trial.iter())
    }
}

impl Picture for Figure<'_> {
    fn size(&self) -> (u32, u32) {
        (PANEL_PIXELS * self.panels().len().max(2) as u32, HEIGHT_PIXELS)
    }

    fn paint<B: DrawingBackend>(&self, area: &Area<B>, scale: u32) -> Painted<B> {
        let px = |pixels: u32| (pixels * scale) as i32;
        area.fill(&WHITE)?;
        let heading = canvas::bold(20, scale).color(&canvas::INK);
        area.draw_text(&self.title, &heading, (px(28), px(18)))?;
        let below = canvas::text(14, scale).color(&canvas::FAINT_INK);
        area.draw_text(&self.subtitle, &below, (px(28), px(46)))?;
        if self.arms.len() > 1 {
            paint_legend(area, scale, &self.arms)?;
        }

        let (_, body) = area.split_vertically(px(76));
        let panels = self.panels();
        for (part, panel) in body.split_evenly((1, panels.len())).iter().zip(panels) {
            panel.paint(part, scale, &self.arms)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_client::{MixingSchedule, PartnerSource};

    #[test]
    fn a_caption_names_the_kind_of_mixing_and_what_is_mixed() {
        let mixing = |kind, lambda_scope| {
            mixing_words(Mixing {
                kind,
                alpha: 0.8,
                probability: 0.2,
                lambda_scope,
                partner_source: PartnerSource::Dataset,
            })
        };
        let either = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
        assert_eq!(mixing(MixingKind::Mixup, LambdaScope::Sample), "mixup of 20 % of the images, alpha 0.8");
        assert_eq!(
            mixing(MixingKind::Cutmix, LambdaScope::Batch),
            "CutMix of 20 % of the batches, alpha 0.8"
        );
        let both = "mixing of 20 % of the images, 50 % by CutMix; alpha 0.8 and 1";
        assert_eq!(mixing(either, LambdaScope::Sample), both);
    }

    #[test]
    fn a_caption_says_from_when_on_images_are_mixed_otherwise_and_how_many_labels_are_replaced() {
        let mixing_schedule = MixingSchedule::once(20, None);
        let mixing = Some(Mixing::mixup(0.2, 0.2));
        let stream = StreamSpec { mixing, mixing_schedule, label_noise: 0.4, ..StreamSpec::train(0, 8) };
        let expected = "mixup of 20 % of the images, alpha 0.2, from epoch 20 on no mixing, label noise 40 %";
        assert_eq!(stream_words(&stream), expected);
    }

    /// An arm whose loss falls and whose accuracy rises, in as many epochs.
    fn history(epochs: u64, shift: f64, evaluated_every: u64) -> Vec<Epoch> {
        let epoch = |number: u64| {
            let left = (-(number as f64) / 6.0).exp();
            Epoch {
                epoch: number as f64,
                steps: number * 391,
                images: 50_000,
                train_loss: 2.3 * left + shift,
                test_accuracy: number
                    .is_multiple_of(evaluated_every)
                    .then(|| 0.76 - 0.5 * left + shift / 10.0 + 0.01 * (number as f64 * 1.7).sin()),
                test_loss: number.is_multiple_of(evaluated_every).then_some(2.1 * left + 0.8 - shift),
                seconds: 80.0,
                data_wait_seconds: 1.0,
                evaluation_seconds: 4.0,
                learning_rate: 1e-3,
            }
        };
        (1..=epochs).map(epoch).collect()
    }

    #[test]
    fn any_number_of_epochs_and_trials_can_be_drawn() {
        let folder = tempfile::tempdir().unwrap();
        for (epochs, trials, every) in [(1, 1, 1), (3, 1, 1), (30, 3, 1), (200, 2, 1), (9, 2, 3), (2, 1, 3)] {
            let trials_of = |shift: f64| -> Vec<_> {
                (0..trials).map(|trial| history(epochs, shift + f64::from(trial) * 0.05, every)).collect()
            };
            let (without, with) = (trials_of(0.05), trials_of(0.2));
            let arms = [("without mixup", &without), ("with mixup", &with)];
            let arms = arms.map(|(name, all)| Arm {
                name: name.to_owned(),
                trials: all.iter().map(Vec::as_slice).collect(),
            });
            let figure = Figure {
                title: "mixup · article · article-cnn".to_owned(),
                subtitle: format!("{epochs} epochs, {trials} trials"),
                soft_targets: true,
                arms: arms.to_vec(),
            };
            let path = folder.path().join(format!("{epochs}.png"));
            draw(&path, &figure).unwrap();
            assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
            let svg = std::fs::read_to_string(path.with_extension("svg")).unwrap();
            assert!(
                svg.starts_with("<svg width=\"1500\" height=\"560\" viewBox=\"0 0 4500 1680\"")
                    || every > epochs,
                "{}",
                &svg[..99]
            );
            let text =
                ["training loss", "with mixup", "mixup · article · article-cnn", "not comparable between"];
            assert!(text.iter().all(|text| svg.contains(text)), "text stays text: {svg}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 12, "and nothing else is left");
    }
}
