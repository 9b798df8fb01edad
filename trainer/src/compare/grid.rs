//! A table of amounts and distributions of mixup, of which each field is an arm.

use super::{Amount, Arm};
use crate::config::{RunConfig, UsageError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Values of an axis. Smaller ones mix nothing that could be seen, and names of folders are made of them.
const VALUES: RangeInclusive<f64> = 1e-6..=1000.0;

/// The values of one setting, as in `mixup-alpha=0.2,1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GridAxis {
    setting: Setting,
    values: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Alpha,
    Probability,
}

impl Setting {
    const ALL: [Setting; 2] = [Setting::Alpha, Setting::Probability];

    fn name(self) -> &'static str {
        match self {
            Setting::Alpha => "mixup-alpha",
            Setting::Probability => "mixup-prob",
        }
    }
}

/// A text is no [`GridAxis`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an axis of a grid: give mixup-alpha or mixup-prob and different values above 0, e.g. mixup-alpha=0.2,1"
)]
pub struct GridAxisError(String);

impl FromStr for GridAxis {
    type Err = GridAxisError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || GridAxisError(text.to_owned());
        let (name, values) = text.split_once('=').ok_or_else(error)?;
        let setting = Setting::ALL.into_iter().find(|setting| setting.name() == name).ok_or_else(error)?;
        // Without mixup there is an arm anyway.
        let values: Vec<f64> = values
            .split(',')
            .map(|value| value.trim().parse().ok().filter(|value: &f64| VALUES.contains(value)))
            .collect::<Option<_>>()
            .ok_or_else(error)?;
        let is_new = |(position, value): (usize, &f64)| !values[..position].contains(value);
        if values.iter().enumerate().all(is_new) { Ok(GridAxis { setting, values }) } else { Err(error()) }
    }
}

impl GridAxis {
    /// The flag whose value each field of the grid replaces.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.setting.name())
    }
}

impl fmt::Display for GridAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(f64::to_string).collect();
        write!(f, "{}={}", self.setting.name(), values.join(","))
    }
}

impl TryFrom<String> for GridAxis {
    type Error = GridAxisError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<GridAxis> for String {
    fn from(axis: GridAxis) -> Self {
        axis.to_string()
    }
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grid {
    /// Its rows.
    pub mixup_alpha: Vec<f64>,
    /// Its columns.
    pub mixup_prob: Vec<f64>,
}

impl Grid {
    /// Of one or two axes; the setting that is on neither has the value of `base`.
    ///
    /// # Errors
    /// When a setting is there twice.
    pub fn of(axes: &[GridAxis], base: &RunConfig) -> Result<Self, UsageError> {
        let values = |setting: Setting, fallback: Option<f64>| {
            let mut of_setting = axes.iter().filter(|axis| axis.setting == setting);
            let values = of_setting.next().map(|axis| axis.values.clone());
            match of_setting.next() {
                Some(_) => Err(UsageError::new(&format!("--grid has {} twice", setting.name()))),
                None => Ok(values.unwrap_or_else(|| fallback.into_iter().collect())),
            }
        };
        Ok(Grid {
            mixup_alpha: values(Setting::Alpha, base.settings.augmentation.mixup_alpha)?,
            mixup_prob: values(Setting::Probability, base.settings.augmentation.mixup_prob)?,
        })
    }

    /// An arm for each field, row by row.
    pub fn arms(&self) -> impl Iterator<Item = Arm> {
        let amount = |alpha| self.mixup_prob.iter().map(move |probability| (alpha, *probability));
        let amounts = self.mixup_alpha.iter().flat_map(move |alpha| amount(*alpha));
        amounts.map(|(alpha, probability)| Arm::Field(Amount { alpha, probability }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use mixfeed_loader::config::AugmentationArgs;

    fn axis(text: &str) -> GridAxis {
        text.parse().unwrap()
    }

    #[test]
    fn axes_are_read_as_they_are_printed() {
        for text in ["mixup-alpha=0.2,1", "mixup-prob=0.5"] {
            assert_eq!(axis(text).to_string(), text);
        }
        for wrong in [
            "",
            "mixup-alpha",
            "mixup-alpha=",
            "mixup-alpha=a",
            "lr=1",
            "mixup-prob=1,1",
            "mixup-prob=NaN",
            "mixup-alpha=0,1",
            "mixup-alpha=1e-320",
        ] {
            assert!(wrong.parse::<GridAxis>().unwrap_err().to_string().contains("e.g."), "{wrong}");
        }
    }

    #[test]
    fn each_field_is_an_arm_and_a_missing_axis_has_the_value_of_the_settings() {
        let data = Some("synthetic".to_owned());
        let augmentation = AugmentationArgs { mixup_prob: Some(0.7), ..AugmentationArgs::default() };
        let base = Settings { data, augmentation, ..Settings::default() }.check().unwrap();
        let grid = Grid::of(&[axis("mixup-prob=0.5,1"), axis("mixup-alpha=0.2,1")], &base).unwrap();
        let fields: Vec<_> = grid.arms().map(Arm::name).collect();
        assert_eq!(
            fields,
            [
                "mixup-alpha-0.2-prob-0.5",
                "mixup-alpha-0.2-prob-1",
                "mixup-alpha-1-prob-0.5",
                "mixup-alpha-1-prob-1"
            ]
        );
        assert_eq!(Grid::of(&[axis("mixup-alpha=3")], &base).unwrap().mixup_prob, [0.7]);
        assert!(Grid::of(&[axis("mixup-alpha=3"), axis("mixup-alpha=4")], &base).is_err());
    }
}
