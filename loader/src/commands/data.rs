//! The data that a command is given.

use super::failure::Failure;
use crate::config::SourceArgs;
use crate::extensions::Extensions;
use crate::source::{self, Place, Report};
use mixfeed_ops::eprintln;
use mixfeed_pipeline::Dataset;

/// Reads the data that a command was given. What a user should know of it goes to stderr.
pub(super) fn open_data(data: &str, flags: &SourceArgs, extensions: &Extensions) -> Result<Dataset, Failure> {
    let (dataset, report) = open_with_report(data, flags, extensions)?;
    for warning in report.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(dataset)
}

/// Reads the data that a command was given, and what was taken for what.
pub(super) fn open_with_report(
    data: &str,
    flags: &SourceArgs,
    extensions: &Extensions,
) -> Result<(Dataset, Report), Failure> {
    let place: Place = data.parse()?;
    let place = place.with(flags.options().map_err(Failure::usage)?);
    Ok(source::open_with_report(&place, extensions.sources())?)
}
