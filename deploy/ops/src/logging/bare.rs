//! Lines of the log that are no events, since the log itself is what they are about, or what failed: they look like
//! the others and go straight to standard error.

use super::{FORMAT, LogFormat};
use crate::stderr::Stderr;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{self, PanicHookInfo};
use std::time::SystemTime;

/// Has panics logged, each as one line, in place of the standard library's lines. To be called first in `main`.
///
/// Nothing of the subscriber is used: it may be what panicked. A backtrace follows where `RUST_BACKTRACE` asks for one.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        // It never fails; a panic in here would end the process.
        let _ = Stderr.write_all(panicked(format(), info).as_bytes());
    }));
}

/// Says how many lines could not be written.
pub(super) fn lost(lines: u64) -> String {
    line(format(), "WARN", "log lines could not be written", &[("lines", &lines.to_string())])
}

fn format() -> LogFormat {
    FORMAT.get().copied().unwrap_or_default()
}

fn panicked(format: LogFormat, info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("a value that is no text");
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    let mut fields = vec![("thread", thread), ("at", &at), ("reason", message)];
    match (format, trace) {
        (_, None) => line(format, "ERROR", "panicked", &fields),
        // Lines of their own, for people.
        (LogFormat::Text, Some(trace)) => line(format, "ERROR", "panicked", &fields) + &trace,
        (LogFormat::Json, Some(trace)) => {
            fields.push(("backtrace", &trace));
            line(format, "ERROR", "panicked", &fields)
        }
    }
}

fn line(format: LogFormat, level: &str, message: &str, fields: &[(&str, &str)]) -> String {
    let now = SystemTime::now();
    match format {
        LogFormat::Text => {
            let mut line = format!("{} {level:<5} {message}", humantime::format_rfc3339_millis(now));
            for (name, value) in fields {
                // Writing to a string cannot fail.
                let _ = write!(line, " {name}={}", super::text::quoted(value));
            }
            line + "\n"
        }
        LogFormat::Json => {
            let mut all = serde_json::Map::new();
            all.insert("message".to_owned(), message.into());
            // A count stays one.
            let value = |text: &str| text.parse::<u64>().map_or_else(|_| text.into(), Into::into);
            all.extend(fields.iter().map(|(name, text)| ((*name).to_owned(), value(text))));
            let timestamp = humantime::format_rfc3339_micros(now).to_string();
            let target = module_path!();
            let line = serde_json::json!({
                "timestamp": timestamp, "level": level, "fields": all, "target": target,
            });
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_in_both_formats() {
        let fields = [("reason", "two\nmore lines"), ("lines", "7")];
        let text = line(LogFormat::Text, "WARN", "a message", &fields);
        assert!(text.ends_with(" WARN  a message reason=\"two\\nmore lines\" lines=7\n"), "{text}");
        let json = line(LogFormat::Json, "WARN", "a message", &fields);
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["fields"]["reason"], "two\nmore lines");
        assert_eq!(json["fields"]["lines"], 7);
        assert_eq!(json["level"], "WARN");
        assert!(json["timestamp"].as_str().unwrap().ends_with('Z'), "{json}");
    }
}
