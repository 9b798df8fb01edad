//! The stream that a command's flags ask for.

use super::failure::Failure;
use crate::config::AugmentationArgs;
use crate::extensions::Extensions;
use mixfeed_pipeline::{CheckedSpec, Dataset, SpecError, StreamSpec};
use serde::Deserialize;
use std::path::Path;

/// The share of samples that is mixed, by the article.
pub(super) const ARTICLE_SHARE: f64 = 0.2;

/// The stream that flags ask for, with mixup of so many samples where they say nothing of it.
pub(super) fn asked(
    args: &AugmentationArgs,
    probability: f64,
    plain: StreamSpec,
) -> Result<StreamSpec, Failure> {
    let completed = args.clone().or_mixup(probability);
    if let Some(idle) = args.without_effect(&completed).first() {
        return Err(Failure::usage(idle));
    }
    completed.spec(plain).map_err(Failure::usage)
}

/// Reads a stream spec: a file of its own, or a run's `run.toml`, which has it under `[stream]`.
pub(super) fn read(path: &Path) -> Result<StreamSpec, Failure> {
    let mut file: toml::Table = read_toml(path)?;
    let spec = match file.remove("stream") {
        Some(toml::Value::Table(stream)) => stream,
        Some(other) => {
            return Err(Failure::usage(format!("{}: stream is {other}, not a table", path.display())));
        }
        None => file,
    };
    let wrong = |error: toml::de::Error| Failure::usage(format!("{}: {}", path.display(), error.message()));
    spec.try_into().map_err(wrong)
}

/// Reads a file in TOML.
pub(super) fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Failure> {
    #[allow(clippy::disallowed_methods)]
    let text =
        std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    toml::from_str(&text).map_err(|e| Failure::usage(format!("{}: {}", path.display(), e.message())))
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
