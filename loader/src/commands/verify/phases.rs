//! The epochs that are checked: of each run of epochs that are mixed alike the first few and the last, so that a change
//! which comes too early or too late shows.

use super::checks::{Check, Drawn};
use mixfeed_pipeline::spec::{LambdaScope, Mixing};
use mixfeed_pipeline::{BatchPlan, CheckedSpec};

/// Epochs that are mixed alike, and what was drawn in those that are looked at.
pub(super) struct Phase {
    /// What checks of it are told apart by; empty where mixing does not change.
    name: String,
    pub(super) epochs: Vec<u64>,
    mixing: Option<Mixing>,
    /// Whether it is one of several.
    is_scheduled: bool,
    drawn: Drawn,
}

impl Phase {
    /// The phases of a stream, each with its first so many epochs. Epochs whose batches cannot be counted are left out.
    pub(super) fn all(checked: &CheckedSpec, first: u64) -> Vec<Self> {
        let is_scheduled = !checked.spec().mixing_schedule.is_none();
        let phases = checked.spec().mixing_phases().map(|(range, mixing)| {
            let (start, end) = range.into_inner();
            let is_last = end == u64::MAX;
            let name = match is_last {
                _ if !is_scheduled => String::new(),
                true => format!("from epoch {start}: "),
                false => format!("epochs {start} to {end}: "),
            };
            let first = start..start.saturating_add(first).min(end.saturating_add(1));
            let last = Some(end).filter(|end| !is_last && !first.contains(end));
            let is_counted = |epoch: &u64| {
                epoch.checked_add(1).and_then(|next| next.checked_mul(checked.epochs().batches())).is_some()
            };
            let epochs = first.chain(last).filter(is_counted).collect();
            Self { name, epochs, mixing, is_scheduled, drawn: Drawn::default() }
        });
        phases.collect()
    }

    /// Takes the draws of a batch.
    pub(super) fn add(&mut self, plan: &BatchPlan) {
        if self.is_scheduled || self.mixing.is_some() {
            self.drawn.add(plan, self.mixing.map_or(LambdaScope::Sample, |mixing| mixing.lambda_scope));
        }
    }

    /// Compares the draws with what was asked for.
    pub(super) fn checks(self, checked: &CheckedSpec, significance: f64) -> Vec<Check> {
        let Self { name: phase, mixing, is_scheduled, drawn, .. } = self;
        let checks = match &mixing {
            Some(mixing) => drawn.checks(mixing, checked.image(), significance),
            None if is_scheduled => vec![drawn.check_of_none()],
            None => Vec::new(),
        };
        checks
            .into_iter()
            .map(|check| Check { name: format!("{phase}{}", check.name).into(), ..check })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixfeed_pipeline::spec::{MixingChange, MixingSchedule};
    use mixfeed_pipeline::{StreamSpec, synthetic};

    const FEW: Option<Mixing> = Some(Mixing::mixup(1.0, 0.2));
    const ALL: Option<Mixing> = Some(Mixing::mixup(1.0, 1.0));

    fn checked(changes: &[(u64, Option<Mixing>)]) -> CheckedSpec {
        let changes: Vec<_> = changes.iter().map(|&(epoch, mixing)| MixingChange { epoch, mixing }).collect();
        let mixing_schedule = MixingSchedule::new(&changes).unwrap();
        let spec = StreamSpec { mixing: FEW, mixing_schedule, ..StreamSpec::train(3, 50) };
        CheckedSpec::new(spec, &synthetic::dataset(2_000)).unwrap()
    }

    #[test]
    fn the_first_epochs_of_each_phase_and_its_last_are_checked() {
        let epochs = |checked: &CheckedSpec, first| {
            Phase::all(checked, first).into_iter().map(|phase| phase.epochs).collect::<Vec<_>>()
        };
        assert_eq!(epochs(&checked(&[]), 3), [[0, 1, 2]]);
        let several = checked(&[(10, ALL), (12, None), (13, FEW)]);
        assert_eq!(epochs(&several, 2), [vec![0, 1, 9], vec![10, 11], vec![12], vec![13, 14]]);
        let far = checked(&[(u64::MAX, None)]);
        assert_eq!(epochs(&far, 2), [vec![0, 1], vec![]]);
    }

    /// The checks that fail where one schedule was drawn and another asked for.
    fn failed(drawn: &CheckedSpec, asked: &CheckedSpec) -> Vec<String> {
        let mut failed = Vec::new();
        for mut phase in Phase::all(asked, 2) {
            let n = asked.epochs().batches();
            for index in phase.epochs.clone().into_iter().flat_map(|epoch| epoch * n..(epoch + 1) * n) {
                phase.add(&BatchPlan::new(drawn, index));
            }
            let checks = phase.checks(asked, 1e-6).into_iter();
            failed.extend(checks.filter(|check| !check.passed).map(|check| check.name.into_owned()));
        }
        failed
    }

    #[test]
    fn a_change_that_comes_an_epoch_early_or_late_or_not_at_all_is_found() {
        let asked = checked(&[(10, None)]);
        assert!(failed(&asked, &asked).is_empty());
        assert_eq!(failed(&checked(&[(11, None)]), &asked), ["from epoch 10: not mixed"]);
        assert_eq!(failed(&checked(&[(9, None)]), &asked), ["epochs 0 to 9: mixed fraction"]);
        assert_eq!(failed(&checked(&[]), &asked), ["from epoch 10: not mixed"]);
        let asked = checked(&[(10, ALL)]);
        assert!(failed(&asked, &asked).is_empty());
        assert_eq!(failed(&checked(&[(11, ALL)]), &asked), ["from epoch 10: mixed fraction"]);
    }
}
