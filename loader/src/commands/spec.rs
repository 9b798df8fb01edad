//! The stream that a command's flags ask for.

use super::failure::Failure;
use crate::config::AugmentationArgs;
use crate::extensions::Extensions;
use mixfeed_pipeline::{CheckedSpec, Dataset, SpecError, StreamSpec};
use serde::Deserialize;
use std::path::{Path, PathBuf};

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

/// A stream spec that stands in a file.
pub(super) struct SpecFile {
    pub(super) spec: StreamSpec,
    path: PathBuf,
    /// What its keys begin with there: `stream.` in a run's `run.toml`.
    table: &'static str,
}

impl SpecFile {
    /// Reads a file of its own, or a run's `run.toml`, which has the spec under `[stream]`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let file: toml::Table = read_toml(path)?;
        if let Some(other) = file.get("stream").filter(|stream| !stream.is_table()) {
            return Err(Failure::usage(format!("{}: stream is {other}, not a table", path.display())));
        }
        if file.contains_key("stream") {
            let RunStream { stream } = of_table(path, file)?;
            return Ok(Self::of_run(path, stream));
        }
        Ok(Self { spec: of_table(path, file)?, path: path.into(), table: "" })
    }

    /// The spec of a run whose file was read.
    pub(super) fn of_run(path: &Path, spec: StreamSpec) -> Self {
        Self { spec, path: path.into(), table: "stream." }
    }

    /// Checks the spec against the data that it is to be made of.
    pub(super) fn check(&self, dataset: &Dataset, extensions: &Extensions) -> Result<CheckedSpec, Failure> {
        extensions.check(self.spec, dataset).map_err(|error| {
            let Self { path, table, .. } = self;
            let (key, SpecError { value, allowed, .. }) = (error.key(), &error);
            Failure::usage(format!("{}: {table}{key}: {value} is not allowed, {allowed}", path.display()))
        })
    }
}

/// What is read of a run's `run.toml` where the spec is all that is wanted.
#[derive(Deserialize)]
struct RunStream {
    stream: StreamSpec,
}

/// Reads a file in TOML.
pub(super) fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Failure> {
    #[allow(clippy::disallowed_methods)]
    let text =
        std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    let table = text.parse().map_err(|e: toml::de::Error| {
        let line =
            e.span().and_then(|span| text.get(..span.start)).map_or(0, |before| before.matches('\n').count());
        Failure::usage(format!("{} line {}: {}", path.display(), line + 1, e.message()))
    })?;
    of_table(path, table)
}

/// The value that a file's table stands for; an error names the key, which one of text and position does not.
fn of_table<T: for<'de> Deserialize<'de>>(path: &Path, table: toml::Table) -> Result<T, Failure> {
    table.try_into().map_err(|error: toml::de::Error| {
        let words: Vec<String> = error.to_string().split_whitespace().map(str::to_owned).collect();
        Failure::usage(format!("{}: {}", path.display(), words.join(" ")))
    })
}

/// Checks the stream that flags ask for against the data that it is to be made of.
pub(super) fn checked(
    args: &AugmentationArgs,
    spec: StreamSpec,
    dataset: &Dataset,
    extensions: &Extensions,
) -> Result<CheckedSpec, Failure> {
    let named = |error: SpecError| args.named(&error).map_or_else(|| error.into(), Failure::usage);
    extensions.check(spec, dataset).map_err(named)
}
