//! The text form of a log line: `2026-11-23T19:30:12.345Z INFO listening address=127.0.0.1:4000`.
//!
//! One event is one line whatever its values hold: control characters are escaped, and a value
//! that a reader could not tell from the rest of the line is quoted.

use crate::text::printable;
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Our own crates need no introduction on every line; others are named.
const OURS: &str = "mixfeed";

pub(crate) struct TextEvent;

impl<S> FormatEvent<S, TextFields> for TextEvent
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, TextFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let colour = writer.has_ansi_escapes();
        let level = *event.metadata().level();
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let (paint, dim, plain) = if colour { (paint(level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        write!(writer, "{dim}{time}{plain} {paint}{level:<5}{plain} ")?;
        let target = event.metadata().target();
        if !target.starts_with(OURS) {
            write!(writer, "{dim}{target}:{plain} ")?;
        }
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            write!(writer, "{dim}{}", span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<TextFields>>()
                && !fields.is_empty()
            {
                write!(writer, "{{{fields}}}")?;
            }
            write!(writer, ":{plain} ")?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn paint(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

pub(crate) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, first: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: &str) {
        if self.result.is_err() {
            return;
        }
        let gap = if self.first { "" } else { " " };
        self.first = false;
        self.result = if field.name() == "message" {
            write!(self.writer, "{gap}{}", printable(value))
        } else {
            write!(self.writer, "{gap}{}={}", field.name(), quoted(value))
        };
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors already end with their cause.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        self.write(field, &text);
    }
}

/// Quotes a value with a blank in it, unless it is a whole in brackets or already quoted.
pub(super) fn quoted(value: &str) -> String {
    let whole = matches!(
        (value.chars().next(), value.chars().next_back()),
        (Some('"'), Some('"')) | (Some('['), Some(']')) | (Some('{'), Some('}'))
    );
    let text = printable(value);
    if value.is_empty() || (text.contains([' ', '"']) && !whole) {
        let mut out = String::with_capacity(text.len() + 2);
        // Writing to a string cannot fail.
        let _ = write!(out, "\"{}\"", text.replace('"', "\\\""));
        return out;
    }
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// What is logged by `log`, without the time.
    fn logged(log: impl FnOnce()) -> String {
        crate::testing::logged(log).split_off("2026-11-23T19:30:12.345Z ".len())
    }

    #[test]
    fn an_event_is_one_line_of_message_and_fields() {
        let address = "127.0.0.1:4000";
        let line = logged(|| tracing::info!(%address, workers = 2, "listening"));
        assert_eq!(line, "INFO  listening address=127.0.0.1:4000 workers=2\n");
    }

    #[test]
    fn values_cannot_break_the_line() {
        let line = logged(|| tracing::warn!(path = "a b", empty = "", list = ?["x y"], "one\ntwo\x1b[31m"));
        assert_eq!(line, "WARN  one\\ntwo\\u{1b}[31m path=\"a b\" empty=\"\" list=[\"x y\"]\n");
    }

    #[test]
    fn errors_come_with_their_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot start")]
        struct Start(#[source] io::Error);
        let error = Start(io::Error::other("port taken"));
        let line = logged(|| tracing::error!(error = &error as &dyn Error, "failed"));
        assert_eq!(line, "ERROR failed error=\"cannot start: port taken\"\n");
    }

    #[test]
    fn spans_stand_before_the_message_and_strangers_are_named() {
        let line = logged(|| {
            let _inside = tracing::info_span!("stream", run_id = "ab").entered();
            tracing::info!(target: "hyper::client", "opened");
        });
        assert_eq!(line, "INFO  hyper::client: stream{run_id=ab}: opened\n");
    }
}
