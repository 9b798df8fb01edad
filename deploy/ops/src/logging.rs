//! Logs, on stderr: text for people, one JSON object a line for machines.
//!
//! stdout is left alone: it belongs to results. What is logged, and when, is decided where it
//! happens; here is only how it looks. A line that cannot be written is dropped ([`crate::stderr`]).

mod bare;
mod text;

pub use bare::log_panics;
pub(crate) use bare::lost;

use crate::stderr::Stderr;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;
pub(crate) use text::{TextEvent, TextFields};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged unless something else is asked for.
pub const DEFAULT_FILTER: &str = "info";

/// The transport's own chatter, below what anyone who says `debug` of us wants to see. A filter
/// that names one of these wins.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn";

/// The format in force, for lines that are no events.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One readable line an event: time, level, message, field=value.
    #[default]
    Text,
    /// One JSON object a line: timestamp, level, target, fields.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not one.
    #[error("log filter `{filter}` is not valid: {source}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Logs were set up before.
    #[error("logging is already set up: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the logs of the whole process to stderr. `filter` is a list like `info` or
/// `warn,mixfeed_loader=debug`.
///
/// # Errors
/// When the filter is not valid, or logs were set up before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    init_with_writer(format, filter, || Stderr)
}

/// The same with a writer of the caller's, as programs with progress bars need it: a log line has
/// to be written above the bar. Each event is one `write` of whole lines. Text is coloured when
/// stderr is a terminal.
///
/// # Errors
/// When the filter is not valid, or logs were set up before.
pub fn init_with_writer<W>(format: LogFormat, filter: &str, writer: W) -> Result<(), LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{filter}"))
        .map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    // A failed write would be reported by `eprintln!`, which panics when stderr is what failed.
    let builder = tracing_subscriber::fmt().log_internal_errors(false);
    let builder = builder.with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal();
            let builder = builder.with_ansi(colour).fmt_fields(TextFields).event_format(TextEvent);
            builder.finish().try_init()?;
        }
        LogFormat::Json => builder.json().finish().try_init()?,
    }
    // Set once, as logs are.
    let _ = FORMAT.set(format);
    Ok(())
}

/// Seconds as people read them, to the millisecond.
#[must_use]
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let shown = |nanos| seconds(Duration::from_nanos(nanos)).to_string();
        assert_eq!([7_745_574, 63_953, 1_999_700_000, 0].map(shown), ["0.008", "0", "2", "0"]);
    }
}
