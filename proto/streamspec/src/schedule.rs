//! Mixing as epochs pass: a piecewise constant function of the epoch.

use crate::error::SpecError;
use crate::{Mixing, StreamSpec};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Changes of a schedule, at most: a ramp in steps has room, and a spec is still copied without a thought.
pub const MAX_MIXING_CHANGES: usize = 16;

/// Another mixing, from an epoch on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MixingChange {
    /// The first epoch that it holds for, 1 or later: epochs before the first change are mixed as the spec's `mixing` says.
    pub epoch: u64,
    /// How samples are mixed; `None` leaves them alone.
    pub mixing: Option<Mixing>,
}

/// Changes of mixing, in the order of their epochs, at most [`MAX_MIXING_CHANGES`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "Vec<MixingChange>", into = "Vec<MixingChange>")]
pub struct MixingSchedule {
    /// Those behind `count` are [`UNUSED`].
    changes: [MixingChange; MAX_MIXING_CHANGES],
    count: usize,
}

const UNUSED: MixingChange = MixingChange { epoch: 0, mixing: None };

impl MixingSchedule {
    /// All epochs are mixed alike.
    pub const NONE: Self = Self { changes: [UNUSED; MAX_MIXING_CHANGES], count: 0 };

    /// Puts changes together, which [`StreamSpec::check`] looks at.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(changes: &[MixingChange]) -> Result<Self, SpecError> {
        let mut schedule = Self { count: changes.len(), ..Self::NONE };
        let places = schedule.changes.get_mut(..changes.len()).ok_or_else(|| {
            let allowed = format!("at most {MAX_MIXING_CHANGES} changes");
            SpecError::new("mixing_schedule", format!("{} changes", changes.len()), allowed)
        })?;
        places.copy_from_slice(changes);
        Ok(schedule)
    }

    /// Returns the schedule with one change.
    #[must_use]
    pub const fn once(epoch: u64, mixing: Option<Mixing>) -> Self {
        let mut schedule = Self { count: 1, ..Self::NONE };
        schedule.changes[0] = MixingChange { epoch, mixing };
        schedule
    }

    /// Returns the changes.
    #[must_use]
    pub fn changes(&self) -> &[MixingChange] {
        &self.changes[..self.count]
    }

    /// Tells whether all epochs are mixed alike.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.count == 0
    }

    /// Checks that the changes that follow `before` are in order, in range, and change something.
    pub(crate) fn check(&self, before: Option<Mixing>) -> Result<(), SpecError> {
        let (mut last, mut mixing) = (0, before);
        for change in self.changes() {
            let MixingChange { epoch, mixing: next } = *change;
            if epoch <= last {
                let allowed = format!("an epoch of {} or later: changes come in order", last + 1);
                return Err(SpecError::new("mixing_schedule", format!("epoch {epoch}"), allowed));
            }
            next.as_ref().map_or(Ok(()), |next| next.check_from(epoch))?;
            // A change that would change nothing is a mistake, and would give one stream two digests.
            if next == mixing {
                let allowed = "another mixing than before it";
                return Err(SpecError::new("mixing_schedule", format!("epoch {epoch}"), allowed));
            }
            (last, mixing) = (epoch, next);
        }
        Ok(())
    }
}

impl Mixing {
    /// Checks the mixing of a change.
    pub(crate) fn check_from(&self, epoch: u64) -> Result<(), SpecError> {
        self.check().map_err(|SpecError { field, value, allowed }| {
            SpecError::new("mixing_schedule", value, format!("{allowed} ({field} from epoch {epoch} on)"))
        })
    }
}

impl StreamSpec {
    /// Returns how samples are mixed in an epoch; `None` leaves them alone.
    #[must_use]
    pub fn mixing_at(&self, epoch: u64) -> Option<Mixing> {
        let in_force = self.mixing_schedule.changes().iter().take_while(|change| change.epoch <= epoch);
        in_force.last().map_or(self.mixing, |change| change.mixing)
    }

    /// Tells whether samples are mixed in any epoch.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.mixing_phases().any(|(_, mixing)| mixing.is_some())
    }

    /// Returns the epochs that are mixed alike, one run after the other, the last without end.
    pub fn mixing_phases(&self) -> impl Iterator<Item = (RangeInclusive<u64>, Option<Mixing>)> + '_ {
        let changes = self.mixing_schedule.changes();
        let ends = changes.iter().map(|change| change.epoch.saturating_sub(1)).chain([u64::MAX]);
        let phases = changes.iter().map(|change| (change.epoch, change.mixing));
        let phases = [(0, self.mixing)].into_iter().chain(phases);
        phases.zip(ends).map(|((start, mixing), end)| (start..=end, mixing))
    }
}

impl Default for MixingSchedule {
    /// [`MixingSchedule::NONE`].
    fn default() -> Self {
        Self::NONE
    }
}

impl TryFrom<Vec<MixingChange>> for MixingSchedule {
    type Error = SpecError;

    fn try_from(changes: Vec<MixingChange>) -> Result<Self, SpecError> {
        Self::new(&changes)
    }
}

impl From<MixingSchedule> for Vec<MixingChange> {
    fn from(schedule: MixingSchedule) -> Self {
        schedule.changes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<Mixing> = Some(Mixing::mixup(1.0, 1.0));
    const FEW: Option<Mixing> = Some(Mixing::mixup(0.2, 0.2));

    fn spec(mixing: Option<Mixing>, changes: &[(u64, Option<Mixing>)]) -> StreamSpec {
        let changes: Vec<_> = changes.iter().map(|&(epoch, mixing)| MixingChange { epoch, mixing }).collect();
        let mixing_schedule = MixingSchedule::new(&changes).unwrap();
        StreamSpec { mixing, mixing_schedule, ..StreamSpec::train(0, 8) }
    }

    #[test]
    fn a_change_holds_from_its_first_epoch_until_the_next() {
        let spec = spec(FEW, &[(2, ONE), (5, None), (6, FEW)]);
        let at: Vec<_> = (0..8).map(|epoch| spec.mixing_at(epoch)).collect();
        assert_eq!(at, [FEW, FEW, ONE, ONE, ONE, None, FEW, FEW]);
        assert_eq!(spec.mixing_at(u64::MAX), FEW);
        let phases: Vec<_> = spec.mixing_phases().collect();
        assert_eq!(phases, [(0..=1, FEW), (2..=4, ONE), (5..=5, None), (6..=u64::MAX, FEW)]);
        for (epochs, mixing) in phases {
            assert_eq!((spec.mixing_at(*epochs.start()), spec.mixing_at(*epochs.end())), (mixing, mixing));
        }
    }

    #[test]
    fn a_spec_is_mixed_if_one_epoch_is() {
        for (mixing, changes, is_mixed) in
            [(None, &[][..], false), (ONE, &[], true), (None, &[(3, ONE)], true), (ONE, &[(1, None)], true)]
        {
            assert_eq!(spec(mixing, changes).is_mixed(), is_mixed);
        }
    }

    #[test]
    fn changes_that_are_out_of_order_or_range_or_change_nothing_are_refused() {
        let wrong = Some(Mixing::mixup(-1.0, 1.0));
        for (changes, message) in [
            (&[(0, None)][..], "epoch 0 is not allowed, an epoch of 1 or later: changes come in order"),
            (&[(5, None), (5, ONE)], "epoch 5 is not allowed, an epoch of 6 or later: changes come in order"),
            (&[(5, None), (4, ONE)], "epoch 4 is not allowed, an epoch of 6 or later: changes come in order"),
            (&[(5, FEW)], "epoch 5 is not allowed, another mixing than before it"),
            (&[(5, None), (6, None)], "epoch 6 is not allowed, another mixing than before it"),
            (&[(5, wrong)], "-1 is not allowed, 0 to 1000 (mixing.alpha from epoch 5 on)"),
        ] {
            let error = spec(FEW, changes).check_recipe().unwrap_err().to_string();
            assert_eq!(error, format!("mixing_schedule: {message}"));
        }
        assert_eq!(spec(FEW, &[(1, None), (u64::MAX, ONE)]).check_recipe(), Ok(()));
    }

    #[test]
    fn there_are_so_many_changes_and_no_more() {
        let changes =
            |count| (0..count).map(|epoch| MixingChange { epoch, mixing: None }).collect::<Vec<_>>();
        assert_eq!(MixingSchedule::new(&changes(16)).unwrap().changes().len(), 16);
        let error = MixingSchedule::new(&changes(17)).unwrap_err().to_string();
        assert_eq!(error, "mixing_schedule: 17 changes is not allowed, at most 16 changes");
    }

    #[test]
    fn a_schedule_survives_a_settings_file() {
        let spec = spec(FEW, &[(2, ONE), (5, None)]);
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(toml::from_str::<StreamSpec>(&text).unwrap(), spec, "{text}");
    }
}
