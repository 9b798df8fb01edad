//! From flags to a spec, and errors that name the flag.

mod args;
#[cfg(test)]
mod tests;

pub use args::AugmentationArgs;

use crate::{LambdaScope, Mixing, MixingKind, PartnerSource, SpecError, StreamSpec};
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
        let number = |value: Option<f64>| value.unwrap_or(0.0);
        let switch_probability = self.switch_prob.unwrap_or(MixingKind::SWITCH_PROBABILITY);
        let asked =
            MixingKind::of_alphas(number(self.mixup_alpha), number(self.cutmix_alpha), switch_probability);
        let (kind, alpha) = asked.unwrap_or_default();
        let mixing = Mixing {
            kind,
            alpha,
            probability: number(self.mixup_prob),
            lambda_scope: self.lambda_per.unwrap_or_default(),
            partner_source: self.partner.unwrap_or_default(),
        };
        let augmentation = self.augmentation()?;
        let label_noise = number(self.label_noise);
        let spec =
            StreamSpec { mixing: Some(mixing), output: self.output(), augmentation, label_noise, ..plain };
        spec.check_recipe().map_err(|error| self.named(&error).unwrap_or_else(|| error.to_string()))?;
        // Where nothing is mixed, there is no mixing: one stream has one digest.
        let is_mixed = asked.is_some() && mixing.probability > 0.0;
        Ok(StreamSpec { mixing: is_mixed.then_some(mixing), ..spec })
    }

    /// Says which of these have no effect, where `completed` are the values in force: a line each, which names the flag
    /// and what it needs.
    #[must_use]
    pub fn without_effect(&self, completed: &Self) -> Vec<String> {
        let is_on = |alpha: Option<f64>| alpha.is_some_and(|alpha| alpha != 0.0);
        let (mixup, cutmix) = (is_on(completed.mixup_alpha), is_on(completed.cutmix_alpha));
        let mut found = Vec::new();
        for (is_given, flag) in
            [(self.resize.is_some(), "--resize"), (self.scaled_decoding == Some(true), "--scaled-decoding")]
        {
            if is_given && completed.image_size.is_none() {
                found.push(format!("{flag} has no effect: it needs an --image-size"));
            }
        }
        if self.switch_prob.is_some() && !(mixup && cutmix) {
            found.push(
                "--switch-prob chooses between mixup and CutMix: it needs a --mixup-alpha and a --cutmix-alpha above 0"
                    .into(),
            );
        }
        if self.mixup_prob.is_some_and(|share| share > 0.0) && !mixup && !cutmix {
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
            "mixing.switch_probability" => "--switch-prob",
            field => return Self::augmentation_flag(field),
        })
    }
}
