//! The stream that a command's flags ask for.

use super::failure::Failure;
use crate::config::AugmentationArgs;
use crate::extensions::Extensions;
use mixfeed_pipeline::{CheckedSpec, Dataset, SpecError, StreamSpec};

/// The share of samples that is mixed, by the article.
pub(super) const ARTICLE_SHARE: f64 = 0.2;

/// The stream that flags ask for, with mixup of so many samples where they say nothing of it.
pub(super) fn asked(
    args: &AugmentationArgs,
    probability: f64,
    plain: StreamSpec,
) -> Result<StreamSpec, Failure> {
    let completed = args.clone().or_mixup(probability);
    args.check_effect(&completed).map_err(Failure::usage)?;
    completed.spec(plain).map_err(Failure::usage)
}

/// Checks such a stream against the data that it is to be made of.
pub(super) fn checked(
    args: &AugmentationArgs,
    spec: StreamSpec,
    dataset: &Dataset,
    extensions: &Extensions,
) -> Result<CheckedSpec, Failure> {
    let named = |error: SpecError| args.named(&error).map_or_else(|| error.into(), Failure::usage);
    extensions.check(spec, dataset).map_err(named)
}
