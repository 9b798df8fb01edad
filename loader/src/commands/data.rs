//! The data that a command is given.

use super::failure::Failure;
use crate::config::SourceArgs;
use crate::extensions::Extensions;
use crate::source::{self, Options, Place, Report};
use mixfeed_ops::eprintln;
use mixfeed_pipeline::Dataset;

/// Reads the data that a command was given. What a user should know of it goes to stderr.
pub(super) fn open_data(data: &str, flags: &SourceArgs, extensions: &Extensions) -> Result<Dataset, Failure> {
    let options = flags.options().map_err(Failure::usage)?;
    let (dataset, report) = open_with_report(data, options, extensions)?;
    for warning in report.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(dataset)
}

/// Reads the data that a command was given, and what was taken for what.
pub(super) fn open_with_report(
    data: &str,
    options: Options,
    extensions: &Extensions,
) -> Result<(Dataset, Report), Failure> {
    let place: Place = data.parse()?;
    Ok(source::open_with_report(&place.with(options), extensions.sources())?)
}

/// The shape of all images of a dataset, as a person reads it.
pub(super) fn describe_shape(dataset: &Dataset) -> String {
    dataset.image.map_or_else(|| "of many sizes".into(), |image| image.to_string())
}
