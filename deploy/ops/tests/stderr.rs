//! Logs, error lines and panics of a process whose standard error takes nothing: the process does not notice.
//! Each test starts this program anew as the process that logs.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use mixfeed_ops::logging::{self, LogFormat};
use mixfeed_ops::testing::unwritable;
use std::process::{Command, Stdio};

/// How the process that logs is told what to do.
const FORMAT: &str = "MIXFEED_OPS_TEST_LOG_FORMAT";

/// Lines of the log: more than a pipe holds.
const LINES: usize = 2_000;

fn process(format: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_process_that_logs", "--nocapture"]).env(FORMAT, format);
    command.env_remove("RUST_BACKTRACE").stdout(Stdio::null());
    command
}

#[test]
fn the_process_that_logs() {
    let Some(format) = std::env::var_os(FORMAT) else { return };
    logging::log_panics();
    logging::init(if format == "json" { LogFormat::Json } else { LogFormat::Text }, "info").unwrap();
    for line in 0..LINES {
        tracing::info!(line, "a line of usual length, as loaders write them");
    }
    mixfeed_ops::eprintln!("error: {}", "of no account");
    let panics =
        std::thread::Builder::new().name("worker".into()).spawn(|| panic!("a planted\npanic")).unwrap();
    assert!(panics.join().is_err());
    let value = std::thread::spawn(|| std::panic::panic_any(7)).join();
    assert!(value.is_err());
    std::process::exit(77);
}

#[test]
fn a_process_whose_log_cannot_be_written_does_its_work() {
    for format in ["text", "json"] {
        for broken in unwritable().unwrap() {
            let status = process(format).stderr(broken.stderr).status().unwrap();
            assert_eq!(status.code(), Some(77), "{format} to {}", broken.name);
        }
        // A closed descriptor.
        let process = process(format);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" 2>&-", "sh"]).arg(process.get_program()).args(process.get_args());
        let status = shell.env(FORMAT, format).stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(77), "{format} to a closed descriptor");
    }
}

#[test]
fn a_panic_is_one_line_of_the_log() {
    let output = process("text").stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let panics: Vec<_> = text.lines().filter(|line| line.contains("panicked")).collect();
    assert_eq!(panics.len(), 2, "{panics:?}");
    assert!(panics[0].contains(" ERROR panicked thread=worker at="), "{}", panics[0]);
    assert!(panics[0].ends_with("reason=\"a planted\\npanic\""), "{}", panics[0]);
    assert!(text.contains("\nerror: of no account\n"));

    let output = process("json").stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let lines = text.lines().filter(|line| *line != "error: of no account");
    let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), LINES + 2);
    let panic = &lines[LINES];
    assert_eq!((&panic["level"], &panic["fields"]["message"]), (&"ERROR".into(), &"panicked".into()));
    assert_eq!(panic["fields"]["reason"], "a planted\npanic");
}
