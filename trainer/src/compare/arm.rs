//! The sides of a comparison.

use crate::config::{RunConfig, UsageError};
use mixfeed_client::{Mixing, MixingKind};

/// How often and how strongly images are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// Lambda is drawn from Beta(alpha, alpha).
    pub alpha: f64,
    /// Share of samples that are mixed.
    pub probability: f64,
}

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arm {
    /// Images as they are.
    WithoutMixup,
    /// Mixed as the settings say.
    WithMixup,
    /// Mixed as a field of a grid says.
    Field(Amount),
}

impl Arm {
    /// Its name in folders and JSON.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Arm::WithoutMixup => "without-mixup".to_owned(),
            Arm::WithMixup => "with-mixup".to_owned(),
            Arm::Field(Amount { alpha, probability }) => format!("mixup-alpha-{alpha}-prob-{probability}"),
        }
    }

    /// Its name for people, where the settings mix images by `mixing`.
    #[must_use]
    pub fn title(self, mixing: Option<Mixing>) -> String {
        match self {
            Arm::WithoutMixup => format!("without {}", way_of(mixing)),
            Arm::WithMixup => format!("with {}", way_of(mixing)),
            Arm::Field(Amount { alpha, probability }) => {
                format!("alpha {alpha}, {:.0} % mixed", 100.0 * probability)
            }
        }
    }

    /// The run of trial `trial` (from 0) of this arm, given the run that is to be compared.
    ///
    /// # Errors
    /// When this arm mixes nothing although it should, or is out of range.
    pub fn trial(self, base: &RunConfig, trial: u32) -> Result<RunConfig, UsageError> {
        let mut settings = base.settings.clone();
        settings.seed = Some(base.training.stream.seed + u64::from(trial));
        match self {
            Arm::WithoutMixup => {
                settings.augmentation.mixup_prob = Some(0.0);
                (settings.augmentation.mixup_until, settings.augmentation.mixup_schedule) = (None, None);
            }
            Arm::WithMixup => {}
            Arm::Field(Amount { alpha, probability }) => {
                settings.augmentation.mixup_alpha = Some(alpha);
                settings.augmentation.mixup_prob = Some(probability);
            }
        }
        let config = settings.check().map_err(|error| match self {
            Arm::Field(_) => UsageError::new(&format!("--grid: {error}")),
            Arm::WithoutMixup | Arm::WithMixup => error,
        })?;
        if self != Arm::WithoutMixup && !config.training.stream.is_mixed() {
            return Err(UsageError::new(
                "nothing to compare: --mixup-prob, and --mixup-alpha or --cutmix-alpha, must be above 0",
            ));
        }
        Ok(config)
    }
}

/// The way of mixing in a word. Without any, as where only the fields of a grid mix, it is theirs.
pub(crate) fn way_of(mixing: Option<Mixing>) -> &'static str {
    match mixing.map(|mixing| mixing.kind) {
        None | Some(MixingKind::Mixup) => "mixup",
        Some(MixingKind::Cutmix) => "CutMix",
        Some(MixingKind::MixupOrCutmix { .. }) => "mixing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use mixfeed_loader::config::AugmentationArgs;

    #[test]
    fn trials_of_all_arms_share_their_seed_and_differ_in_mixing_only() {
        let data = Some("synthetic".to_owned());
        let base = Settings { data, seed: Some(7), ..Settings::default() }.check().unwrap();
        let amount = Amount { alpha: 1.0, probability: 0.5 };
        let [without, with, field] = [Arm::WithoutMixup, Arm::WithMixup, Arm::Field(amount)]
            .map(|arm| arm.trial(&base, 2).unwrap().training.stream);
        assert_eq!((without.seed, with.seed, field.seed), (9, 9, 9));
        assert_eq!((without.mixing, with.mixing), (None, base.training.stream.mixing));
        let mixing = field.mixing.unwrap();
        assert_eq!(Amount { alpha: mixing.alpha, probability: mixing.probability }, amount);
        for other in [with, field] {
            assert_eq!(mixfeed_client::StreamSpec { mixing: None, ..other }, without);
        }
    }

    #[test]
    fn the_arm_without_mixup_has_no_schedule_of_it() {
        let none = AugmentationArgs::default;
        let until = AugmentationArgs { mixup_until: Some(5), ..none() };
        let mixup_schedule = "5:mixup-prob=1".parse().ok();
        let later = AugmentationArgs { mixup_prob: Some(0.0), mixup_schedule, ..none() };
        for augmentation in [until, later] {
            let data = Some("synthetic".to_owned());
            let base = Settings { data, augmentation, ..Settings::default() }.check().unwrap();
            let [without, with] =
                [Arm::WithoutMixup, Arm::WithMixup].map(|arm| arm.trial(&base, 0).unwrap().training.stream);
            assert!(!without.is_mixed() && with.is_mixed());
            assert_eq!(with, base.training.stream);
        }
    }

    #[test]
    fn a_title_names_what_is_compared() {
        let title = |mixup, cutmix| {
            let (mixup_alpha, cutmix_alpha) = (Some(mixup), Some(cutmix));
            let augmentation = AugmentationArgs { mixup_alpha, cutmix_alpha, ..AugmentationArgs::default() };
            let settings = Settings { data: Some("synthetic".into()), augmentation, ..Settings::default() };
            Arm::WithMixup.title(settings.check().unwrap().training.stream.mixing)
        };
        assert_eq!(title(0.2, 0.0), "with mixup");
        assert_eq!(title(0.0, 1.0), "with CutMix");
        assert_eq!(title(0.2, 1.0), "with mixing");
        assert_eq!(Arm::WithoutMixup.title(None), "without mixup");
    }

    #[test]
    fn a_run_that_mixes_nothing_cannot_be_compared() {
        let data = || Some("synthetic".to_owned());
        let augmentation = AugmentationArgs { mixup_alpha: Some(0.0), ..AugmentationArgs::default() };
        let base = Settings { data: data(), augmentation, ..Settings::default() }.check().unwrap();
        assert!(Arm::WithMixup.trial(&base, 0).unwrap_err().to_string().contains("nothing to compare"));
        let base = Settings { data: data(), ..Settings::default() }.check().unwrap();
        for (alpha, probability) in [(0.0, 1.0), (1.0, 0.0), (1.0, 2.0)] {
            assert!(Arm::Field(Amount { alpha, probability }).trial(&base, 0).is_err());
        }
    }
}
