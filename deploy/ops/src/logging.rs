//! Logs, on stderr: text for people, one JSON object a line for machines.
//!
//! stdout is left alone: it belongs to results. What is logged, and when, is decided where it
//! happens; here is only how it looks. A line that cannot be written is dropped ([`crate::stderr`]).

mod bare;
mod text;

pub use bare::log_panics;

use crate::command_line;
use crate::stderr::{self, Stderr};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;
pub(crate) use text::{TextEvent, TextFields};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged unless something else is asked for; also of targets that a filter does not name.
pub const DEFAULT_FILTER: &str = "info";

/// The transport's own chatter, below what anyone who says `debug` of us wants to see. A filter
/// that names one of these wins.
const QUIET: [&str; 5] = ["h2", "hyper", "hyper_util", "tonic", "tower"];

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
    /// A part of the filter is not one.
    #[error("log filter: `{0}` is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL")]
    Filter(String),
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
    let targets = targets(filter)?;
    // A failed write would be reported by `eprintln!`, which panics when stderr is what failed.
    let builder = tracing_subscriber::fmt().log_internal_errors(false);
    let builder = builder.with_max_level(LevelFilter::TRACE).with_writer(writer);
    match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal();
            let builder = builder.with_ansi(colour).fmt_fields(TextFields).event_format(TextEvent);
            builder.finish().with(targets).try_init()?;
        }
        LogFormat::Json => builder.json().finish().with(targets).try_init()?,
    }
    // Set once, as logs are.
    let _ = FORMAT.set(format);
    stderr::tell_lost_by(bare::lost);
    command_line::warn_of_unknown_variables();
    Ok(())
}

/// Which events are logged: a list of levels and of `TARGET=LEVEL`, of which the longest target that fits counts; what
/// no directive names, from [`DEFAULT_FILTER`] on. A word alone that is no level is refused: it would be a target that nothing has, and there would be no logs.
fn targets(filter: &str) -> Result<Targets, LoggingError> {
    let quiet = QUIET.into_iter().map(|target| (target, LevelFilter::WARN));
    let mut targets = Targets::new().with_targets(quiet).with_default(LevelFilter::INFO);
    for directive in filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let wrong = || LoggingError::Filter(directive.to_owned());
        let (target, level) = directive.split_once('=').unwrap_or(("", directive));
        let Ok(level) = level.trim().parse::<LevelFilter>() else { return Err(wrong()) };
        targets = match target.trim() {
            "" if directive.contains('=') => return Err(wrong()),
            "" => targets.with_default(level),
            target => targets.with_target(target, level),
        };
    }
    Ok(targets)
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
    fn a_filter_names_levels_and_targets() {
        use tracing::Level;
        for (filter, target, level, enabled) in [
            ("info", "mixfeed_loader::pool", Level::INFO, true),
            ("info", "mixfeed_loader::pool", Level::DEBUG, false),
            ("warn, mixfeed_loader=debug", "mixfeed_loader::pool", Level::DEBUG, true),
            ("warn,mixfeed_loader=debug", "mixfeed_client", Level::INFO, false),
            ("debug", "h2::codec", Level::INFO, false),
            ("debug,h2=trace", "h2::codec", Level::TRACE, true),
            ("off", "mixfeed_loader", Level::ERROR, false),
            ("", "mixfeed_loader", Level::INFO, true),
            ("mixfed_loader=debug", "mixfeed_loader", Level::INFO, true),
            ("mixfed_loader=debug", "mixfeed_loader", Level::DEBUG, false),
        ] {
            let targets = targets(filter).unwrap();
            assert_eq!(targets.would_enable(target, &level), enabled, "{filter}: {target} {level}");
        }
        for (filter, wrong) in [
            ("debgu", "debgu"),
            ("info,mixfeed_loader=loud", "mixfeed_loader=loud"),
            ("=info", "=info"),
            ("mixfeed_loader", "mixfeed_loader"),
            ("info,a=b=debug", "a=b=debug"),
        ] {
            let message = targets(filter).unwrap_err().to_string();
            assert!(message.contains(&format!("`{wrong}` is neither a level")), "{message}");
        }
    }

    #[test]
    fn times_are_short() {
        let shown = |nanos| seconds(Duration::from_nanos(nanos)).to_string();
        assert_eq!([7_745_574, 63_953, 1_999_700_000, 0].map(shown), ["0.008", "0", "2", "0"]);
    }
}
