//! What a test may need from its surroundings, and what happens when it is not there.
//!
//! A test that lacks something is skipped and says so on one line; it fails instead where
//! `MIXFEED_REQUIRE` (a comma-separated list of needs) promised that the thing is present. The
//! runner of the project's tests collects the lines into its closing table.

mod unwritable;

pub use unwritable::{Terminal, Unwritable, unwritable};

use crate::logging::{TextEvent, TextFields};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once, OnceLock};
use tokio::signal::unix::SignalKind;

/// Needs promised by the environment.
const REQUIRE: &str = "MIXFEED_REQUIRE";

/// Returns what the test needs, or `None` after printing `SKIPPED <test>: <need>: <why>`.
///
/// # Panics
/// When the need is missing although `MIXFEED_REQUIRE` names it.
#[must_use]
#[track_caller]
pub fn require<T>(need: &str, present: Result<T, String>) -> Option<T> {
    match decide(need, present, &variable(REQUIRE).unwrap_or_default().to_string_lossy()) {
        Decision::Present(value) => Some(value),
        Decision::Skip(why) => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            // Written to the stream itself: what `eprintln!` prints stays inside a passing test.
            // One write for the whole line, so that lines of tests running side by side do not mix.
            let line = format!("\nSKIPPED {test}: {need}: {}\n", why.replace('\n', " "));
            let _ = io::stderr().write_all(line.as_bytes());
            None
        }
        Decision::Fail(why) => panic!("{need} is required here ({REQUIRE}) and missing: {why}"),
    }
}

/// What `log` writes to the log, as text in the form of both programs.
///
/// # Panics
/// Never: nothing fails while it holds the lock.
pub fn logged(log: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics while holding it").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // What is logged first by a thread without a subscriber may be off for all: with this, every thread has one.
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| drop(tracing::subscriber::set_global_default(tracing_subscriber::registry())));
    let memory = Memory::default();
    let writer = memory.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .fmt_fields(TextFields)
        .event_format(TextEvent)
        .finish();
    tracing::subscriber::with_default(subscriber, log);
    let bytes = memory.0.lock().expect("nobody panics while holding it");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The Python interpreter that has the packages of the examples (`MIXFEED_TEST_PYTHON`), tried once.
///
/// # Errors
/// When the variable is not set, or this user cannot run what it names; the message says how to have it set, or why.
pub fn python() -> Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        let python = path("MIXFEED_TEST_PYTHON", "cargo xtask test makes the environment")?;
        runs(&python, &["-c", ""]).map(|()| python)
    };
    PYTHON.get_or_init(find).clone()
}

/// Whether this user can run a program: it may lie in a folder that is closed to them.
///
/// # Errors
/// When it does not start, or fails; the message names it and says why.
pub fn runs(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let name = program.display();
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{name}: {}, {}", output.status, said.trim()))
        }
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// A folder with CIFAR-10 in the binary layout (`MIXFEED_TEST_DATA`).
///
/// # Errors
/// When the variable is not set; the message says how to set it.
pub fn data() -> Result<PathBuf, String> {
    path("MIXFEED_TEST_DATA", "give a folder with the CIFAR-10 .bin files")
}

/// The loader's binary, where it was built together with the tests (`MIXFEED_TEST_LOADER`).
#[must_use]
pub fn loader() -> Option<PathBuf> {
    variable("MIXFEED_TEST_LOADER").map(PathBuf::from)
}

/// The names of all variables that begin with one of `prefixes`.
#[must_use]
#[allow(clippy::disallowed_methods)] // No settings: what a test hands on to a process is chosen by it.
pub fn names_of_variables(prefixes: &[&str]) -> Vec<OsString> {
    let begins = |name: &OsString| prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix));
    std::env::vars_os().map(|(name, _)| name).filter(begins).collect()
}

/// Whether tests that take minutes were asked for (`cargo xtask test --slow`, `MIXFEED_SLOW`).
///
/// # Errors
/// When they were not; the message says how to ask.
pub fn slow() -> Result<(), String> {
    match variable("MIXFEED_SLOW") {
        Some(_) => Ok(()),
        None => Err("takes minutes; cargo xtask test --slow runs it".to_owned()),
    }
}

/// Whether processes that are started from here can be sent SIGHUP.
///
/// # Errors
/// When it is ignored here, and so by each of them.
pub fn hangup() -> Result<(), String> {
    if crate::signals::is_ignored(SignalKind::hangup()) {
        return Err("SIGHUP is ignored here, as under nohup".to_owned());
    }
    Ok(())
}

fn path(name: &str, hint: &str) -> Result<PathBuf, String> {
    variable(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set; {hint}"))
}

/// An empty variable counts as one that is not set.
#[allow(clippy::disallowed_methods)] // The settings of tests have no flags to come in by.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

enum Decision<T> {
    Present(T),
    Skip(String),
    Fail(String),
}

fn decide<T>(need: &str, present: Result<T, String>, required: &str) -> Decision<T> {
    match present {
        Ok(value) => Decision::Present(value),
        Err(why) if required.split(',').any(|name| name.trim() == need) => Decision::Fail(why),
        Err(why) => Decision::Skip(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_need_is_skipped_unless_it_was_promised() {
        let missing = || Err::<(), _>("not here".to_owned());
        assert!(matches!(decide("data", missing(), ""), Decision::Skip(why) if why == "not here"));
        assert!(matches!(decide("data", missing(), "python"), Decision::Skip(_)));
        assert!(matches!(decide("data", missing(), "python, data"), Decision::Fail(_)));
        assert!(matches!(decide("data", Ok(7), "data"), Decision::Present(7)));
    }

    #[test]
    fn a_program_that_cannot_be_run_is_not_there_and_is_named_with_the_reason() {
        assert_eq!(runs(Path::new("sh"), &["-c", "true"]), Ok(()));
        let folder = tempfile::tempdir().unwrap();
        // Nobody may execute it, root included.
        let closed = folder.path().join("python");
        std::fs::write(&closed, "#!/bin/sh\n").unwrap();
        let error = runs(&closed, &["-c", ""]).unwrap_err();
        assert!(error.starts_with(&closed.display().to_string()) && error.contains("denied"), "{error}");
        let error = runs(Path::new("sh"), &["-c", "echo no module >&2; exit 3"]).unwrap_err();
        assert!(error.contains("exit status: 3, no module"), "{error}");
    }
}
