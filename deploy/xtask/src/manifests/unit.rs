//! The unit for systemd, held against what systemd knows.

use super::overlay::{folder, found};
use crate::report::Report;
use crate::{place, process};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const UNIT: &str = "deploy/systemd/mixfeed-loader.service";

/// Where the unit has the program, and a program that is there on every machine.
const PROGRAM: (&str, &str) = ("/usr/local/bin/mixfeed-loader", "/bin/true");

/// How exposed the unit may be, in tenths of systemd's own measure, whose worst is 100.
const EXPOSURE: &str = "20";

/// Runs the checks.
pub(super) fn check(report: &mut Report) {
    if !process::quiet(Command::new("systemd-analyze").arg("--version")) {
        report.lacks("systemd", "the unit for systemd", "there is no systemd-analyze");
        return;
    }
    report.check("systemd knows every word of the unit, and finds it closed", || {
        let text = fs::read_to_string(place::at(UNIT))?;
        verify(&written(&text)?)?;
        found("a mistyped word", verify(&written(&text.replace("ProtectHostname=", "ProtectHostnam="))?))?;
        exposure(&written(&text)?)?;
        let open =
            text.lines().filter(|line| !line.contains("SystemCallFilter")).collect::<Vec<_>>().join("\n");
        let open = open.replace("DynamicUser=yes", "").replace("CapabilityBoundingSet=", "");
        found("a unit that is left open", exposure(&written(&open)?))
    });
}

fn written(text: &str) -> Result<PathBuf> {
    let file = folder()?.join(Path::new(UNIT).file_name().context("the unit has a name")?);
    if !text.contains(PROGRAM.0) {
        bail!("{UNIT} does not start {}", PROGRAM.0);
    }
    fs::write(&file, text.replace(PROGRAM.0, PROGRAM.1))?;
    Ok(file)
}

/// It warns of what it does not know, and succeeds all the same.
fn verify(unit: &Path) -> Result<()> {
    let output = Command::new("systemd-analyze").arg("verify").arg(unit).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let of_ours = said.lines().filter(|line| line.contains("mixfeed-loader")).collect::<Vec<_>>();
    ensure!(output.status.success() && of_ours.is_empty(), "{}: {}", output.status, said.trim());
    Ok(())
}

fn exposure(unit: &Path) -> Result<()> {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE]).arg(unit);
    let output = analyze.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}: {}", output.status, said.lines().last().unwrap_or_default());
    Ok(())
}
