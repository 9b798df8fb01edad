//! Running other programs, with errors that name them.

use crate::environment;
use anyhow::{Context as _, Result, bail};
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Returns what `program` prints to stdout; `None` when there is no such program.
pub(crate) fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Option<String>> {
    let program = program.as_ref();
    let output = match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot run {}", program.display()))?,
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} {} failed: {}", program.display(), arguments.join(" "), stderr.trim());
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Runs a command to its end, its output shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs a command to its end, its output dropped, and returns whether it is there and succeeded.
pub(crate) fn quiet(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a command to its end, its output shown, and returns how it ended.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", name(command)))
}

/// Runs a command to its end, its output shown (stdout goes to stderr), and returns how it ended
/// and what it wrote to stderr.
pub(crate) fn watch(command: &mut Command) -> Result<(ExitStatus, String)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", name(command)))?;
    let mut kept = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let mut buffer = [0; 4096];
        loop {
            let count = stderr.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            std::io::stderr().write_all(&buffer[..count])?;
            kept.extend_from_slice(&buffer[..count]);
        }
    }
    Ok((child.wait()?, String::from_utf8_lossy(&kept).into_owned()))
}

/// The program and its first argument, as in "cargo fmt".
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str()).display();
    command
        .get_args()
        .next()
        .map_or_else(|| program.to_string(), |first| format!("{program} {}", first.display()))
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> OsString {
    environment::variable("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}
