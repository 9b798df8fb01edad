//! How samples are mixed, and its ranges.

use crate::error::{SpecError, check_range};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Largest alpha of Beta(alpha, alpha). Far below, every lambda is already about one half.
pub const MAX_ALPHA: f64 = 1000.0;

/// How samples are mixed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mixing {
    /// The method.
    pub kind: MixingKind,
    /// lambda is drawn from Beta(alpha, alpha): 0 (no mixing) to [`MAX_ALPHA`]. Where mixup and CutMix take turns,
    /// this is mixup's.
    pub alpha: f64,
    /// The share of samples, or of batches, that is mixed, 0 to 1.
    pub probability: f64,
    /// What has a lambda of its own.
    #[serde(default)]
    pub lambda_scope: LambdaScope,
    /// Where partners come from.
    #[serde(default)]
    pub partner_source: PartnerSource,
}

impl Mixing {
    /// Returns mixup as the article does it: a lambda for each sample, partners from the whole set.
    #[must_use]
    pub const fn mixup(alpha: f64, probability: f64) -> Self {
        Self {
            kind: MixingKind::Mixup,
            alpha,
            probability,
            lambda_scope: LambdaScope::Sample,
            partner_source: PartnerSource::Dataset,
        }
    }

    /// Nothing where no sample is mixed: one stream has one digest.
    #[cfg(feature = "flags")]
    pub(crate) fn or_none(self) -> Option<Self> {
        (self.alpha > 0.0 && self.probability > 0.0).then_some(self)
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        check_range("mixing.alpha", self.alpha, MAX_ALPHA)?;
        check_range("mixing.probability", self.probability, 1.0)?;
        if let MixingKind::MixupOrCutmix { cutmix_alpha, switch_probability } = self.kind {
            check_range("mixing.cutmix_alpha", cutmix_alpha, MAX_ALPHA)?;
            check_range("mixing.switch_probability", switch_probability, 1.0)?;
        }
        Ok(())
    }
}

/// A method of mixing.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum MixingKind {
    /// mixup (arXiv:1710.09412): the weighted sum of two images.
    #[default]
    Mixup,
    /// CutMix (arXiv:1905.04899): a box of the partner, pasted over the image.
    Cutmix,
    /// One of the two, drawn for each sample (or batch).
    MixupOrCutmix {
        /// CutMix's alpha, 0 to [`MAX_ALPHA`].
        cutmix_alpha: f64,
        /// Of what is mixed, the share that CutMix gets, 0 to 1.
        switch_probability: f64,
    },
}

impl MixingKind {
    /// The share that CutMix gets of what is mixed where both are asked for and nothing is said of it; timm's.
    pub const SWITCH_PROBABILITY: f64 = 0.5;

    /// Returns the kind that an alpha each for mixup and CutMix ask for, where 0 switches one off, and the alpha that
    /// goes with it; none where both are off. The settings are timm's.
    #[must_use]
    pub fn of_alphas(mixup_alpha: f64, cutmix_alpha: f64, switch_probability: f64) -> Option<(Self, f64)> {
        match (mixup_alpha == 0.0, cutmix_alpha == 0.0) {
            (true, true) => None,
            (false, true) => Some((Self::Mixup, mixup_alpha)),
            (true, false) => Some((Self::Cutmix, cutmix_alpha)),
            (false, false) => Some((Self::MixupOrCutmix { cutmix_alpha, switch_probability }, mixup_alpha)),
        }
    }
}

/// What has a lambda of its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LambdaScope {
    /// Each mixed sample.
    #[default]
    Sample,
    /// Each global batch.
    Batch,
}

/// Where partners come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerSource {
    /// Any sample of the split.
    #[default]
    Dataset,
    /// A permutation of the global batch.
    Batch,
}

impl fmt::Display for Mixing {
    /// As in "mixup, Beta(0.2, 0.2), probability 1".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, alpha, probability, lambda_scope: _, partner_source: _ } = *self;
        match kind {
            MixingKind::Mixup => write!(f, "mixup, Beta({alpha}, {alpha})")?,
            MixingKind::Cutmix => write!(f, "CutMix, Beta({alpha}, {alpha})")?,
            MixingKind::MixupOrCutmix { cutmix_alpha: cut, switch_probability } => write!(
                f,
                "mixup, Beta({alpha}, {alpha}), or CutMix, Beta({cut}, {cut}), {switch_probability} of the time"
            )?,
        }
        write!(f, ", probability {probability}")
    }
}

impl FromStr for LambdaScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sample" => Ok(Self::Sample),
            "batch" => Ok(Self::Batch),
            _ => Err("give sample or batch".to_owned()),
        }
    }
}

impl FromStr for PartnerSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dataset" => Ok(Self::Dataset),
            "batch" => Ok(Self::Batch),
            _ => Err("give dataset or batch".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_alphas_say_whether_it_is_mixup_or_cutmix_or_both() {
        let either = MixingKind::MixupOrCutmix { cutmix_alpha: 1.0, switch_probability: 0.5 };
        for (mixup, cutmix, expected) in [
            (0.0, 0.0, None),
            (0.4, 0.0, Some((MixingKind::Mixup, 0.4))),
            (0.0, 1.0, Some((MixingKind::Cutmix, 1.0))),
            (0.4, 1.0, Some((either, 0.4))),
        ] {
            assert_eq!(MixingKind::of_alphas(mixup, cutmix, 0.5), expected);
        }
    }
}
