//! How images are mixed: the settings of the stream that the loaders carry out.

use super::checked::{filled, number};
use super::{Settings, UsageError};
use mixfeed_client::{LambdaScope, Mixing, MixingKind, PartnerSource};

/// Reads what has a lambda of its own.
pub(super) fn lambda_scope(text: &str) -> Result<LambdaScope, String> {
    match text {
        "sample" => Ok(LambdaScope::Sample),
        "batch" => Ok(LambdaScope::Batch),
        _ => Err("give sample or batch".to_owned()),
    }
}

/// Reads where partners come from.
pub(super) fn partner_source(text: &str) -> Result<PartnerSource, String> {
    match text {
        "dataset" => Ok(PartnerSource::Dataset),
        "batch" => Ok(PartnerSource::Batch),
        _ => Err("give dataset or batch".to_owned()),
    }
}

/// The settings of this file with what they leave open filled in, first from `preset`.
pub(super) fn complete(settings: Settings, preset: &Settings) -> Settings {
    Settings {
        mixup_alpha: settings.mixup_alpha.or(preset.mixup_alpha),
        mixup_prob: settings.mixup_prob.or(preset.mixup_prob),
        lambda_per: settings.lambda_per.or(preset.lambda_per).or(Some(LambdaScope::default())),
        partner: settings.partner.or(preset.partner).or(Some(PartnerSource::default())),
        ..settings
    }
}

/// Checks the complete settings of this file; none when they mix nothing.
pub(super) fn check(settings: &Settings) -> Result<Option<Mixing>, UsageError> {
    let alpha = number("mixup-alpha", settings.mixup_alpha, 0.0..=1000.0)?;
    let probability = number("mixup-prob", settings.mixup_prob, 0.0..=1.0)?;
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha,
        probability,
        lambda_scope: filled("lambda-per", settings.lambda_per)?,
        partner_source: filled("partner", settings.partner)?,
    };
    Ok((alpha > 0.0 && probability > 0.0).then_some(mixing))
}
