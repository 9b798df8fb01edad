//! What is fetched with pip. pip tries a connection again, but not a download that broke off half-way.

use crate::{process, say};
use anyhow::Result;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

/// What a pip says that does not know an option: no further attempt changes that.
pub(crate) const NO_OPTION: &str = "no such option";

/// How long each further attempt waits.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];

/// Runs a pip to its end, again where it failed, and returns how it ended and what it wrote to stderr.
pub(crate) fn watch(pip: &mut Command) -> Result<(ExitStatus, String)> {
    again(pip, &PAUSES)
}

fn again(pip: &mut Command, pauses: &[Duration]) -> Result<(ExitStatus, String)> {
    let mut ended = process::watch(pip)?;
    for pause in pauses {
        if ended.0.success() || ended.1.contains(NO_OPTION) {
            break;
        }
        say::line(&format!("pip failed ({}); again in {pause:?}", last_words(&ended.1)));
        thread::sleep(*pause);
        ended = process::watch(pip)?;
    }
    Ok(ended)
}

/// The last line that pip calls an error, or else its last line.
pub(crate) fn last_words(stderr: &str) -> &str {
    let lines = || stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    lines().find(|line| line.starts_with("ERROR")).or_else(|| lines().next()).unwrap_or("it does not say why")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn what_failed_is_tried_again_and_what_cannot_succeed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("attempts");
        let (place, pauses) = (file.display(), [Duration::ZERO; 2]);
        let second = format!("echo x >> {place}; [ $(wc -l < {place}) -eq 2 ]");
        assert!(again(&mut shell(&second), &pauses).unwrap().0.success());
        assert_eq!(again(&mut shell(&second), &pauses).unwrap().0.code(), Some(1));
        assert_eq!(fs::read_to_string(&file).unwrap(), "x\n".repeat(2 + 3));
        let never = format!("echo {NO_OPTION}: --python >&2; echo x >> {place}; exit 2");
        assert_eq!(again(&mut shell(&never), &pauses).unwrap().0.code(), Some(2));
        assert_eq!(fs::read_to_string(&file).unwrap(), "x\n".repeat(2 + 3 + 1));
    }

    #[test]
    fn the_error_is_told_and_not_what_follows_it() {
        assert_eq!(last_words("WARNING: a\nERROR: no room\n\n[notice] a new pip\n"), "ERROR: no room");
        assert_eq!(last_words("IncompleteRead(12 bytes read)\n"), "IncompleteRead(12 bytes read)");
        assert_eq!(last_words(""), "it does not say why");
    }
}
