//! Settings that would have no effect: one rule for those that are given as flags and for those of a settings file.
//!
//! As a flag such a setting is a mistake and refused. A file is warned of: flags laid over it may have put the setting out
//! of force. A file may also be complete, as `--print-config` writes it; what says the same as no word of it is passed over.
//! (Ranges are not here, and neither are settings of another optimizer or schedule, which are refused on both roads.)

use super::{Settings, UsageError};
use mixfeed_loader::config::{AugmentationArgs, MixupSchedule};

impl Settings {
    /// Refuses those of `flags`, which are among these settings, that would have no effect.
    ///
    /// # Errors
    /// One line that names the flag and what it needs.
    pub fn check_effect(&self, flags: &Settings) -> Result<(), UsageError> {
        let all = self.clone().complete();
        if let Some(idle) = flags.without_effect(&all).into_iter().next() {
            return Err(UsageError(idle));
        }
        // Those of a file or a preset are told when training begins, together with what --steps cuts off.
        if let (Some([.., last]), Some(epochs)) = (flags.milestones.as_deref(), all.epochs)
            && *last >= epochs
        {
            let text = format!("--milestones has {last}, which is not before the end of {epochs} epochs");
            return Err(UsageError(text));
        }
        let AugmentationArgs { mixup_until, mixup_schedule, .. } = &flags.augmentation;
        for (flag, last) in [
            ("--mixup-until", *mixup_until),
            ("--mixup-schedule", mixup_schedule.as_ref().map(MixupSchedule::last_epoch)),
        ] {
            if let (Some(last), Some(epochs)) = (last, all.epochs)
                && last >= epochs
            {
                let text = format!("{flag} has epoch {last}, which is not before the end of {epochs} epochs");
                return Err(UsageError(text));
            }
        }
        Ok(())
    }

    /// Says which of these settings, except for those that `flags` give, come from a settings file and have no effect: a
    /// line each.
    #[must_use]
    pub fn idle_in_file(&self, flags: &Settings) -> Vec<String> {
        let augmentation =
            AugmentationArgs { switch_prob: None, mixup_prob: None, ..self.augmentation.clone() };
        let silent = Settings { decay_norm_bias: None, augmentation, ..self.clone() }.complete();
        let (own, of_flags, of_silent) = (&self.augmentation, &flags.augmentation, &silent.augmentation);
        let file = Settings {
            tls_ca: self.tls_ca.clone().filter(|_| flags.tls_ca.is_none()),
            tls_cert: self.tls_cert.clone().filter(|_| flags.tls_cert.is_none()),
            tls_key: self.tls_key.clone().filter(|_| flags.tls_key.is_none()),
            auth_token_file: self.auth_token_file.clone().filter(|_| flags.auth_token_file.is_none()),
            decay_norm_bias: said(self.decay_norm_bias, flags.decay_norm_bias, silent.decay_norm_bias),
            augmentation: AugmentationArgs {
                switch_prob: said(own.switch_prob, of_flags.switch_prob, of_silent.switch_prob),
                mixup_prob: said(own.mixup_prob, of_flags.mixup_prob, of_silent.mixup_prob),
                mixup_until: own.mixup_until.filter(|_| of_flags.mixup_until.is_none()),
                mixup_schedule: own.mixup_schedule.clone().filter(|_| of_flags.mixup_schedule.is_none()),
                ..AugmentationArgs::default()
            },
            ..Settings::default()
        };
        file.without_effect(&self.clone().complete())
    }

    /// The rule: which of these have no effect where `all` are the settings in force, a line each.
    fn without_effect(&self, all: &Settings) -> Vec<String> {
        let of_loaders = [
            ("tls-ca", &self.tls_ca),
            ("tls-cert", &self.tls_cert),
            ("tls-key", &self.tls_key),
            ("auth-token-file", &self.auth_token_file),
        ];
        let of_loaders = of_loaders.into_iter().filter(|(_, file)| file.is_some() && all.data.is_some());
        let mut found: Vec<String> = of_loaders
            .map(|(name, _)| format!("--{name} is for --loaders; the loader of --data is in this process"))
            .collect();
        if self.decay_norm_bias.is_some() && all.weight_decay.is_none_or(|rate| rate == 0.0) {
            found.push("--decay-norm-bias has no effect: it needs a --weight-decay above 0".to_owned());
        }
        found.extend(self.augmentation.without_effect(&all.augmentation));
        found
    }

    /// Takes out what is of loaders elsewhere, for a loader inside this process.
    pub(super) fn forget_loaders(&mut self) {
        (self.loaders, self.audit) = (None, None);
        (self.audit_policy, self.audit_data) = (None, None);
        (self.tls_ca, self.tls_cert, self.tls_key, self.auth_token_file) = (None, None, None, None);
    }
}

/// A file's value where no flag gives one and it differs from what holds without it.
fn said<T: Copy + PartialEq>(value: Option<T>, flag: Option<T>, without: Option<T>) -> Option<T> {
    if flag.is_some() || value == without { None } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    fn none() -> Settings {
        Settings { data: Some("synthetic".into()), ..Settings::default() }
    }

    fn mixed(augmentation: AugmentationArgs) -> Settings {
        Settings { augmentation, ..none() }
    }

    /// Settings that have no effect, with what is said of them.
    fn idle() -> [(Settings, &'static str); 5] {
        let off = AugmentationArgs { mixup_alpha: Some(0.0), ..AugmentationArgs::default() };
        [
            (Settings { decay_norm_bias: Some(false), ..none() }, "--decay-norm-bias has no effect"),
            (
                mixed(AugmentationArgs { switch_prob: Some(0.3), ..AugmentationArgs::default() }),
                "--switch-prob chooses",
            ),
            (
                mixed(AugmentationArgs { mixup_until: Some(3), ..off.clone() }),
                "--mixup-until has no effect: all epochs are mixed as without it",
            ),
            (mixed(AugmentationArgs { mixup_prob: Some(0.7), ..off }), "--mixup-prob has no effect"),
            (Settings { tls_ca: Some("ca.pem".into()), ..none() }, "--tls-ca is for --loaders"),
        ]
    }

    #[test]
    fn flags_that_would_do_nothing_are_refused() {
        let error = |flags: &Settings| flags.clone().check_effect(flags).map_err(|error| error.to_string());
        for (settings, expected) in idle() {
            let error = error(&settings).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let norms = Settings { decay_norm_bias: Some(false), weight_decay: Some(0.1), ..none() };
        assert_eq!(error(&norms), Ok(()));
        let step = Settings { milestones: Some(vec![5, 10]), epochs: Some(10), ..none() };
        assert!(
            error(&step)
                .unwrap_err()
                .contains("--milestones has 10, which is not before the end of 10 epochs")
        );
        assert_eq!(error(&Settings { epochs: Some(11), ..step }), Ok(()));
        let until = |epochs| Settings {
            epochs: Some(epochs),
            ..mixed(AugmentationArgs { mixup_until: Some(20), ..AugmentationArgs::default() })
        };
        let late = error(&until(20)).unwrap_err();
        assert_eq!(late, "--mixup-until has epoch 20, which is not before the end of 20 epochs");
        assert_eq!(error(&until(21)), Ok(()));
    }

    #[test]
    fn what_does_nothing_in_a_file_is_said_by_the_same_rule() {
        for (settings, expected) in idle() {
            let found = settings.idle_in_file(&Settings::default());
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
            assert!(settings.idle_in_file(&settings).is_empty(), "a flag is refused, and not said twice");
        }
        let norms = Settings { decay_norm_bias: Some(false), weight_decay: Some(0.1), ..none() };
        assert!(norms.idle_in_file(&Settings::default()).is_empty());
    }

    #[test]
    fn of_a_file_as_print_config_writes_it_nothing_is_said() {
        for preset in [Preset::Article, Preset::Paper, Preset::Fast, Preset::Photo] {
            let off = AugmentationArgs { mixup_alpha: Some(0.0), ..AugmentationArgs::default() };
            let settings = Settings { preset: Some(preset), weight_decay: Some(0.0), ..mixed(off) };
            let found = settings.complete().idle_in_file(&Settings::default());
            assert!(found.is_empty(), "{preset:?}: {found:?}");
        }
    }

    #[test]
    fn a_files_settings_of_loaders_are_out_of_force_where_data_is_a_flag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "loaders = [\"a:1\"]\naudit = 5\ntls-ca = \"ca.pem\"\n").unwrap();
        let given = none().over(Some(&path)).unwrap();
        assert_eq!((given.tls_ca.as_ref(), given.audit), (None, None));
        assert!(given.idle_in_file(&none()).is_empty() && given.check().is_ok());
    }
}
