//! Shell scripts, Dockerfiles and workflows, held against what their linters know: shellcheck, hadolint, zizmor.

use super::overlay::{folder, found};
use super::tools::Tools;
use crate::place;
use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders with scripts and Dockerfiles, below the root.
const FOLDERS: [&str; 2] = [".ci", "deploy"];
const WORKFLOWS: &str = ".github";

/// A linter, the options that make it stricter or quieter, and what it has to find: the name of a file, and its text.
type Linter = (&'static str, &'static [&'static str], [&'static str; 2]);

const SHELLCHECK: Linter = ("shellcheck", &[], ["script.sh", "#!/bin/sh\nrm $1\n"]);
const HADOLINT: Linter = ("hadolint", &[], ["Dockerfile", "FROM debian:latest\n"]);
/// Without asking a server; what only a pedant minds is minded.
const ZIZMOR: Linter = (
    "zizmor",
    &["--offline", "--no-progress", "--quiet", "--persona", "pedantic", "--min-severity", "low"],
    [
        "workflow.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@main\n",
    ],
);

/// Runs the checks.
pub(super) fn check(report: &mut Report, tools: &Tools) {
    report.check("linters find nothing in scripts, Dockerfiles and workflows, and do find a fault", || {
        let (mut scripts, mut dockerfiles) = (Vec::new(), Vec::new());
        for folder in FOLDERS {
            walk(&place::at(folder), &mut scripts, &mut dockerfiles)?;
        }
        let workflows = vec![place::at(WORKFLOWS)];
        for (linter, files) in [(SHELLCHECK, scripts), (HADOLINT, dockerfiles), (ZIZMOR, workflows)] {
            let (name, _, [planted, text]) = linter;
            ensure!(!files.is_empty(), "there is nothing for {name}");
            lint(tools, linter, &files)?;
            let planted = folder()?.join(planted);
            fs::write(&planted, text)?;
            found(name, lint(tools, linter, &[planted]))?;
        }
        Ok(())
    });
}

fn lint(tools: &Tools, (name, options, _): Linter, files: &[PathBuf]) -> Result<()> {
    let mut linter = Command::new(tools.python.with_file_name(name));
    let output = linter.args(options).args(files).output().with_context(|| format!("cannot run {name}"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{name}: {}\n{}", output.status, String::from_utf8_lossy(&said).trim());
    Ok(())
}

/// Adds the scripts and Dockerfiles below a folder.
fn walk(folder: &Path, scripts: &mut Vec<PathBuf>, dockerfiles: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, scripts, dockerfiles)?;
        } else if path.file_name().is_some_and(|name| name == "Dockerfile") {
            dockerfiles.push(path);
        } else if is_script(&fs::read(&path)?) {
            scripts.push(path);
        }
    }
    Ok(())
}

/// Whether a file's first line names a shell.
fn is_script(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    first.starts_with(b"#!") && first.ends_with(b"sh")
}
