//! The project's two programs, built as they are released.

use crate::{place, process, say};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds both programs, and returns the folder they lie in.
pub(crate) fn build() -> Result<PathBuf> {
    say::part("building loader and trainer");
    let mut cargo = Command::new(process::cargo());
    cargo.args(["build", "--release", "--package", "mixfeed-loader", "--package", "mixfeed-trainer"]);
    cargo.args(["--message-format=json-render-diagnostics"]).current_dir(place::root());
    let output = cargo.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("loader and trainer do not build (see above)");
    }
    // Cargo says where they lie; a target folder of the user's own may be anywhere.
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .find_map(|path| path.parent().map(Path::to_owned))
        .context("cargo does not say where the programs are")
}
