//! How a training learns: loss, optimiser, schedule and what goes with them, checked.

use super::ranges::{filled, number};
use super::{Settings, UsageError};
use crate::learn::loss::Loss;
use crate::learn::optimizer::{AdamConfig, OptimizerConfig, OptimizerKind, Rule, SgdConfig, WeightDecay};
use crate::learn::precision::Precision;
use crate::learn::schedule::{ScheduleConfig, ScheduleKind};

/// Momentum of SGD when nothing is said of it.
const MOMENTUM: f64 = 0.9;

/// What the rate is multiplied by at a milestone when nothing is said of it.
const LR_FACTOR: f64 = 0.1;

/// How a training learns.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What is made small.
    pub loss: Loss,
    /// Share of each target that is spread over all classes, 0 to below 1.
    pub label_smoothing: f64,
    /// How gradients change parameters.
    pub optimizer: OptimizerConfig,
    /// The learning rate of each step.
    pub schedule: ScheduleConfig,
    /// Share that the average of the weights keeps of itself at each step, if there is one; above 0 and
    /// below 1.
    pub ema: Option<f64>,
    /// In which numbers the forward pass computes.
    pub precision: Precision,
}

/// A preset without what belongs to another optimizer or schedule than the chosen one. A warm-up belongs to its
/// schedule; a one-cycle has one of its own.
pub(super) fn applicable(preset: Settings, optimizer: OptimizerKind, schedule: ScheduleKind) -> Settings {
    let (is_sgd, is_step) = (optimizer == OptimizerKind::Sgd, schedule == ScheduleKind::Step);
    let same_schedule = preset.schedule.unwrap_or_default() == schedule;
    Settings {
        momentum: preset.momentum.filter(|_| is_sgd),
        nesterov: preset.nesterov.filter(|_| is_sgd),
        warmup: preset.warmup.filter(|_| same_schedule),
        milestones: preset.milestones.filter(|_| is_step),
        lr_factor: preset.lr_factor.filter(|_| is_step),
        ..preset
    }
}

/// What holds where neither the settings nor a preset say anything.
pub(super) fn defaults(optimizer: OptimizerKind, schedule: ScheduleKind) -> Settings {
    let is_sgd = optimizer == OptimizerKind::Sgd;
    Settings {
        loss: Some(Loss::default()),
        label_smoothing: Some(0.0),
        optimizer: Some(optimizer),
        momentum: is_sgd.then_some(MOMENTUM),
        nesterov: is_sgd.then_some(false),
        weight_decay: Some(0.0),
        decay_norm_bias: Some(true),
        schedule: Some(schedule),
        warmup: (schedule != ScheduleKind::OneCycle).then_some(0.0),
        lr_factor: (schedule == ScheduleKind::Step).then_some(LR_FACTOR),
        clip_norm: Some(0.0),
        ema: Some(0.0),
        precision: Some(Precision::default()),
        ..Settings::default()
    }
}

/// Checks the complete settings of this file.
pub(super) fn check(settings: &Settings) -> Result<Recipe, UsageError> {
    let ema = below_one("ema", settings.ema)?;
    Ok(Recipe {
        loss: filled("loss", settings.loss)?,
        label_smoothing: below_one("label-smoothing", settings.label_smoothing)?,
        optimizer: optimizer(settings)?,
        schedule: schedule(settings)?,
        ema: (ema > 0.0).then_some(ema),
        precision: filled("precision", settings.precision)?,
    })
}

fn optimizer(settings: &Settings) -> Result<OptimizerConfig, UsageError> {
    let clip_norm = number("clip-norm", settings.clip_norm, 0.0..=1e6)?;
    Ok(OptimizerConfig { rule: rule(settings)?, clip_norm: (clip_norm > 0.0).then_some(clip_norm) })
}

fn rule(settings: &Settings) -> Result<Rule, UsageError> {
    let weight_decay = WeightDecay {
        rate: number("weight-decay", settings.weight_decay, 0.0..=1.0)?,
        spares_norm_and_bias: !filled("decay-norm-bias", settings.decay_norm_bias)?,
    };
    let kind = filled("optimizer", settings.optimizer)?;
    if kind == OptimizerKind::Sgd {
        let momentum = below_one("momentum", settings.momentum)?;
        let nesterov = filled("nesterov", settings.nesterov)?;
        if nesterov && momentum <= 0.0 {
            return Err(UsageError("--nesterov needs a --momentum above 0".to_owned()));
        }
        return Ok(Rule::Sgd(SgdConfig { momentum, nesterov, weight_decay }));
    }
    only("momentum", settings.momentum.is_some(), "--optimizer sgd")?;
    only("nesterov", settings.nesterov.is_some(), "--optimizer sgd")?;
    let decoupled = kind == OptimizerKind::AdamW;
    Ok(Rule::Adam(AdamConfig { weight_decay, decoupled, ..AdamConfig::default() }))
}

fn schedule(settings: &Settings) -> Result<ScheduleConfig, UsageError> {
    let kind = filled("schedule", settings.schedule)?;
    let milestones = settings.milestones.clone().unwrap_or_default();
    let factor = if kind == ScheduleKind::Step {
        if milestones.is_empty() || milestones[0] == 0 || !milestones.is_sorted_by(|a, b| a < b) {
            let text = "--schedule step needs --milestones: epochs that rise, from 1 on, as in 100,150";
            return Err(UsageError(text.to_owned()));
        }
        number("lr-factor", settings.lr_factor, f64::MIN_POSITIVE..=1.0)?
    } else {
        only("milestones", settings.milestones.is_some(), "--schedule step")?;
        only("lr-factor", settings.lr_factor.is_some(), "--schedule step")?;
        1.0
    };
    // Whatever the number of epochs is: that one is checked elsewhere.
    let epochs = settings.epochs.unwrap_or(1) as f64;
    let warmup = settings.warmup;
    if let Some(warmup) = warmup.filter(|warmup| !(0.0..=epochs).contains(warmup)) {
        let text = format!(
            "--warmup is {warmup} (the preset's, where none is given), it must be 0 to {epochs}, the number of --epochs"
        );
        return Err(UsageError(text));
    }
    Ok(ScheduleConfig {
        kind,
        learning_rate: number("lr", settings.lr, f64::MIN_POSITIVE..=1e6)?,
        warmup_epochs: warmup,
        milestones,
        factor,
    })
}

fn below_one(name: &str, value: Option<f64>) -> Result<f64, UsageError> {
    let value = filled(name, value)?;
    if (0.0..1.0).contains(&value) {
        return Ok(value);
    }
    Err(UsageError(format!("--{name} is {value}, it must be 0 or above and below 1")))
}

/// Refuses a setting that would change nothing.
fn only(name: &str, is_given: bool, belongs_to: &str) -> Result<(), UsageError> {
    if is_given { Err(UsageError(format!("--{name} is for {belongs_to} only"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    fn settings() -> Settings {
        Settings { data: Some("synthetic".to_owned()), ..Settings::default() }
    }

    fn recipe(settings: Settings) -> Recipe {
        settings.check().unwrap().training.recipe
    }

    #[test]
    fn values_out_of_range_or_place_are_named() {
        let step = Some(ScheduleKind::Step);
        let sgd = Some(OptimizerKind::Sgd);
        for (settings, expected) in [
            (Settings { momentum: Some(0.9), ..settings() }, "--momentum is for --optimizer sgd only"),
            (Settings { nesterov: Some(true), ..settings() }, "--nesterov is for --optimizer sgd only"),
            (Settings { optimizer: sgd, momentum: Some(1.0), ..settings() }, "--momentum is 1"),
            (
                Settings { optimizer: sgd, momentum: Some(0.0), nesterov: Some(true), ..settings() },
                "--nesterov needs a --momentum",
            ),
            (Settings { weight_decay: Some(-0.1), ..settings() }, "--weight-decay is -0.1"),
            (Settings { schedule: step, ..settings() }, "--schedule step needs --milestones"),
            (
                Settings { schedule: step, milestones: Some(vec![5, 3]), ..settings() },
                "--schedule step needs --milestones: epochs that rise",
            ),
            (
                Settings { schedule: step, milestones: Some(vec![5]), lr_factor: Some(0.0), ..settings() },
                "--lr-factor is 0",
            ),
            (Settings { milestones: Some(vec![5]), ..settings() }, "--milestones is for --schedule step"),
            (
                Settings { warmup: Some(31.0), ..settings() },
                "--warmup is 31 (the preset's, where none is given), it must be 0 to 30",
            ),
            (Settings { warmup: Some(f64::NAN), ..settings() }, "--warmup is NaN"),
            (Settings { ema: Some(1.0), ..settings() }, "--ema is 1"),
            (Settings { label_smoothing: Some(-1.0), ..settings() }, "--label-smoothing is -1"),
            (Settings { clip_norm: Some(f64::NAN), ..settings() }, "--clip-norm is NaN"),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn what_a_preset_says_of_another_optimizer_or_schedule_does_not_count() {
        let paper = || Settings { preset: Some(Preset::Paper), ..settings() };
        let adam = Settings { optimizer: Some(OptimizerKind::AdamW), lr: Some(1e-3), ..paper() };
        assert!(matches!(recipe(adam).optimizer.rule, Rule::Adam(config) if config.decoupled));
        let cosine = recipe(Settings { schedule: Some(ScheduleKind::Cosine), ..paper() }).schedule;
        assert!(cosine.milestones.is_empty());
        let fast =
            Settings { preset: Some(Preset::Fast), schedule: Some(ScheduleKind::Cosine), ..settings() };
        assert_eq!(recipe(fast).schedule.warmup_epochs, Some(0.0));
    }

    #[test]
    fn zero_switches_averages_and_clipping_off() {
        let off = recipe(settings());
        assert_eq!((off.ema, off.optimizer.clip_norm), (None, None));
        let on = recipe(Settings { ema: Some(0.99), clip_norm: Some(1.0), ..settings() });
        assert_eq!((on.ema, on.optimizer.clip_norm), (Some(0.99), Some(1.0)));
    }
}
