//! From flags to a spec, and errors that name the flag.

mod args;
mod schedule;
#[cfg(test)]
mod tests;

pub use args::AugmentationArgs;
pub use schedule::MixupSchedule;

use crate::{
    LambdaScope, Mixing, MixingChange, MixingKind, MixingSchedule, PartnerSource, SpecError, StreamSpec,
};
use merge::Merge as _;

/// lambda's distribution, Beta(alpha, alpha), by the article.
const ARTICLE_ALPHA: f64 = 0.2;

impl AugmentationArgs {
    /// Fills in mixup of so many samples, with lambda as the article has it, where nothing is said of it.
    #[must_use]
    pub fn or_mixup(mut self, probability: f64) -> Self {
        let (mixup_alpha, mixup_prob) = (Some(ARTICLE_ALPHA), Some(probability));
        self.merge(Self { mixup_alpha, mixup_prob, ..Self::default() });
        self
    }

    /// What holds where neither flags nor a recipe say anything: no CutMix, no augmentation.
    #[must_use]
    pub fn defaults() -> Self {
        Self {
            cutmix_alpha: Some(0.0),
            switch_prob: Some(MixingKind::SWITCH_PROBABILITY),
            lambda_per: Some(LambdaScope::default()),
            partner: Some(PartnerSource::default()),
            crop_padding: Some(0),
            flip_prob: Some(0.0),
            ..Self::default()
        }
    }

    /// Returns `plain` with mixing and augmentation as the flags ask for. What they do not set is off.
    ///
    /// # Errors
    /// One line that names the flag, its value and what is allowed for images of any size.
    pub fn spec(&self, plain: StreamSpec) -> Result<StreamSpec, String> {
        let named = |error: SpecError| self.named(&error).unwrap_or_else(|| error.to_string());
        let augmentation = self.augmentation()?;
        let label_noise = self.label_noise.unwrap_or(0.0);
        let raw = Some(self.mixing());
        let spec = StreamSpec { mixing: raw, output: self.output(), augmentation, label_noise, ..plain };
        spec.check_recipe().map_err(named)?;
        let mut phases = vec![(0, self.mixing().or_none())];
        for (epoch, flags) in self.schedule()?.iter().flat_map(|schedule| schedule.flags(self)) {
            let mixing = flags.map(|flags| flags.mixing());
            mixing.map_or(Ok(()), |mixing| mixing.check_from(epoch)).map_err(named)?;
            phases.push((epoch, mixing.and_then(Mixing::or_none)));
        }
        // What is said of epoch 0 holds from the start, and what changes nothing is no change.
        phases.reverse();
        phases.dedup_by_key(|(epoch, _)| *epoch);
        phases.reverse();
        phases.dedup_by_key(|(_, mixing)| *mixing);
        let (_, mixing) = phases.remove(0);
        let changes: Vec<_> =
            phases.into_iter().map(|(epoch, mixing)| MixingChange { epoch, mixing }).collect();
        let mixing_schedule = MixingSchedule::new(&changes).map_err(named)?;
        Ok(StreamSpec { mixing, mixing_schedule, ..spec })
    }

    /// Mixing as the flags say, without a schedule, also where it mixes nothing.
    fn mixing(&self) -> Mixing {
        let number = |value: Option<f64>| value.unwrap_or(0.0);
        let switch_probability = self.switch_prob.unwrap_or(MixingKind::SWITCH_PROBABILITY);
        let asked =
            MixingKind::of_alphas(number(self.mixup_alpha), number(self.cutmix_alpha), switch_probability);
        let (kind, alpha) = asked.unwrap_or_default();
        Mixing {
            kind,
            alpha,
            probability: number(self.mixup_prob),
            lambda_scope: self.lambda_per.unwrap_or_default(),
            partner_source: self.partner.unwrap_or_default(),
        }
    }

    /// The schedule that the flags ask for, in either way.
    fn schedule(&self) -> Result<Option<MixupSchedule>, String> {
        match (self.mixup_until, &self.mixup_schedule) {
            (Some(_), Some(_)) => {
                Err("--mixup-until and --mixup-schedule both say when images are mixed: give one".to_owned())
            }
            (Some(0), None) => {
                Err("--mixup-until is 0, it must be 1 epoch or more; --mixup-prob 0 mixes nothing".to_owned())
            }
            (Some(epochs), None) => Ok(Some(MixupSchedule::until(epochs))),
            (None, schedule) => Ok(schedule.clone()),
        }
    }

    /// Says which of these have no effect, where `completed` are the values in force: a line each, which names the flag
    /// and what it needs.
    #[must_use]
    pub fn without_effect(&self, completed: &Self) -> Vec<String> {
        let is_on = |alpha: Option<f64>| alpha.is_some_and(|alpha| alpha != 0.0);
        // Those of all epochs; a schedule that is none is told elsewhere.
        let schedule = completed.schedule().unwrap_or_default();
        let scheduled =
            schedule.iter().flat_map(|schedule| schedule.flags(completed)).filter_map(|(_, it)| it);
        let flags: Vec<_> = scheduled.chain([completed.clone()]).collect();
        let mixes = flags.iter().any(|it| is_on(it.mixup_alpha) || is_on(it.cutmix_alpha));
        let chooses = flags.iter().any(|it| is_on(it.mixup_alpha) && is_on(it.cutmix_alpha));
        let mut found = Vec::new();
        let alike = Self { mixup_until: None, mixup_schedule: None, ..completed.clone() };
        let (with, without) = (completed.spec(StreamSpec::default()), alike.spec(StreamSpec::default()));
        for (is_given, flag) in [
            (self.mixup_until.is_some(), "--mixup-until"),
            (self.mixup_schedule.is_some(), "--mixup-schedule"),
        ] {
            if is_given && with.is_ok() && with == without {
                found.push(format!("{flag} has no effect: all epochs are mixed as without it"));
            }
        }
        for (is_given, flag) in
            [(self.resize.is_some(), "--resize"), (self.scaled_decoding == Some(true), "--scaled-decoding")]
        {
            if is_given && completed.image_size.is_none() {
                found.push(format!("{flag} has no effect: it needs an --image-size"));
            }
        }
        if self.switch_prob.is_some() && !chooses {
            found.push(
                "--switch-prob chooses between mixup and CutMix: it needs a --mixup-alpha and a --cutmix-alpha above 0"
                    .into(),
            );
        }
        if self.mixup_prob.is_some_and(|share| share > 0.0) && !mixes {
            found.push(
                "--mixup-prob has no effect: it needs a --mixup-alpha or a --cutmix-alpha above 0".into(),
            );
        }
        found
    }

    /// Says an error about a field that a flag set as one about the flag; nothing where none did.
    #[must_use]
    pub fn named(&self, error: &SpecError) -> Option<String> {
        let flag = self.flag(error.field)?;
        Some(format!("{flag} is {}, it must be {}", error.value, error.allowed))
    }

    /// The flag that a field is set by, where it is out of the range that the data allows.
    #[must_use]
    pub fn flag_of(field: &str) -> Option<&'static str> {
        Self::default().flag(field)
    }

    /// The flag that a field comes from; none for one that no flag sets.
    fn flag(&self, field: &str) -> Option<&'static str> {
        Some(match field {
            "mixing.alpha" if self.mixup_alpha.is_none_or(|alpha| alpha == 0.0) => "--cutmix-alpha",
            "mixing.alpha" => "--mixup-alpha",
            "mixing.cutmix_alpha" => "--cutmix-alpha",
            "mixing.probability" => "--mixup-prob",
            "mixing_schedule" => "--mixup-schedule",
            "mixing.switch_probability" => "--switch-prob",
            field => return Self::augmentation_flag(field),
        })
    }
}
