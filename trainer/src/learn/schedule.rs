//! The learning rate of each step.
//!
//! It is a pure function of the step's index and of what training is asked for, so that a run that is
//! resumed needs no memory of it. Formulas are those of PyTorch's schedulers, one step of a scheduler
//! to each step of training; a warm-up is a `LinearLR` from one share of the rate up to all of it.
//!
//! Not here: momentum, which no schedule changes.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How much lower than its peak a one-cycle begins.
const ONE_CYCLE_START: f64 = 25.0;

/// How much lower than its beginning a one-cycle ends.
const ONE_CYCLE_END: f64 = 1e4;

/// Share of a one-cycle in which the rate rises when no warm-up is asked for.
pub const ONE_CYCLE_RISE: f64 = 0.3;

/// Which schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same rate for all steps
    #[default]
    Constant,
    /// Multiplied by --lr-factor at each milestone (PyTorch's MultiStepLR)
    Step,
    /// Down to zero along half a cosine (CosineAnnealingLR)
    Cosine,
    /// Up to the rate and down to almost zero, along two halves of a cosine (OneCycleLR)
    OneCycle,
}

impl ScheduleKind {
    /// Whether rates depend on when training is to end.
    #[must_use]
    pub fn depends_on_end(self) -> bool {
        matches!(self, ScheduleKind::Cosine | ScheduleKind::OneCycle)
    }
}

/// A schedule in epochs, as it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleConfig {
    /// Its shape.
    pub kind: ScheduleKind,
    /// The highest rate, above 0.
    pub learning_rate: f64,
    /// Epochs over which the rate rises, at least 0 and at most all; none leaves it to the kind.
    pub warmup_epochs: Option<f64>,
    /// For [`ScheduleKind::Step`]: the epochs that begin with a lower rate, rising; at least 1 each.
    pub milestones: Vec<u64>,
    /// For [`ScheduleKind::Step`]: what the rate is multiplied by at each.
    pub factor: f64,
}

impl ScheduleConfig {
    /// The rates of a training of so many epochs.
    #[must_use]
    pub fn over(&self, epochs: u64, batches_per_epoch: u64) -> Schedule {
        let total = epochs.saturating_mul(batches_per_epoch) as f64;
        let rise = match self.kind {
            ScheduleKind::OneCycle => ONE_CYCLE_RISE * total,
            _ => 0.0,
        };
        let warmup = self.warmup_epochs.map_or(rise, |epochs| (epochs * batches_per_epoch as f64).round());
        Schedule { config: self.clone(), batches_per_epoch, total, warmup }
    }
}

/// The learning rates of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    batches_per_epoch: u64,
    /// Steps in all.
    total: f64,
    /// Steps over which the rate rises.
    warmup: f64,
}

impl Schedule {
    /// What of the schedule a training does not come to that ends after so many steps, a line each.
    #[must_use]
    pub fn warnings(&self, end: u64) -> Vec<String> {
        let Schedule { config, batches_per_epoch, warmup, .. } = self;
        let mut found = Vec::new();
        // The last step of a warm-up is the first at the full rate.
        if *warmup > end as f64 {
            found.push(format!(
                "the learning rate never reaches --lr: the warm-up takes {warmup} steps, and training ends at step {end}"
            ));
        }
        let is_beyond = |epoch: &&u64| epoch.saturating_mul(*batches_per_epoch) >= end;
        let beyond: Vec<_> = config.milestones.iter().filter(is_beyond).collect();
        if let [first, ..] = beyond.as_slice() {
            let all = beyond.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let step = first.saturating_mul(*batches_per_epoch);
            found.push(format!(
                "--milestones {all} is never reached: epoch {first} ends at step {step}, and training at step {end}"
            ));
        }
        found
    }

    /// The rate of the step with this index.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f64 {
        let Schedule { config, total, warmup, .. } = self;
        let (peak, at) = (config.learning_rate, step as f64);
        if config.kind == ScheduleKind::OneCycle {
            return self.one_cycle(at);
        }
        let shape = match config.kind {
            ScheduleKind::Constant | ScheduleKind::OneCycle => 1.0,
            ScheduleKind::Step => {
                let epoch = step / self.batches_per_epoch;
                let passed = config.milestones.iter().filter(|milestone| **milestone <= epoch).count();
                (0..passed).fold(1.0, |shape, _| shape * config.factor)
            }
            ScheduleKind::Cosine => {
                let done = ((at - warmup) / (total - warmup)).clamp(0.0, 1.0);
                0.5 * (1.0 + (PI * done).cos())
            }
        };
        let warm = if at < *warmup { (at + 1.0) / warmup } else { 1.0 };
        peak * shape * warm
    }

    /// `OneCycleLR` with its cosine and without its changes of momentum.
    fn one_cycle(&self, at: f64) -> f64 {
        let Schedule { config, total, warmup, .. } = self;
        let peak = config.learning_rate;
        let (first, last) = (peak / ONE_CYCLE_START, peak / ONE_CYCLE_START / ONE_CYCLE_END);
        let along = |from: f64, to: f64, done: f64| to + (from - to) / 2.0 * (1.0 + (PI * done).cos());
        let (top, end) = (warmup - 1.0, total - 1.0);
        if at <= top && top > 0.0 {
            along(first, peak, at / top)
        } else if end > top {
            along(peak, last, ((at - top) / (end - top)).clamp(0.0, 1.0))
        } else {
            peak
        }
    }
}

#[cfg(test)]
mod tests;
