//! `cargo xtask ci`: what a change must pass. Formatting and lints first, since they answer fastest,
//! then which crate may depend on which, then every test.

use crate::tests::Options;
use crate::{libtorch, place, process, say, tests};
use anyhow::{Context as _, Result};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Runs every check, the tests with `options`; their closing line is the last one printed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // Clippy compiles the trainer's crates too, and torch-sys wants its headers for that.
    libtorch::prepare(libtorch::Kind::Cpu)?;
    step("formatting", &["fmt", "--all", "--check"])?;
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    let installed = Command::new(process::cargo()).args(["deny", "--version"]).output();
    if installed.is_ok_and(|output| output.status.success()) {
        let config = place::at(".cargo/deny.toml");
        let config = config.to_string_lossy();
        let what = ["check", "bans", "licenses", "sources"];
        step("dependencies", &[&["deny", "--all-features", "--config", &config], &what[..]].concat())?;
    } else {
        say::part("dependencies: not checked, cargo-deny is not installed (cargo install cargo-deny)");
    }
    tests::run(options)
}

fn step(name: &str, arguments: &[&str]) -> Result<()> {
    say::part(name);
    let started = Instant::now();
    let mut cargo = Command::new(process::cargo());
    process::run(cargo.args(arguments).current_dir(place::root()))
        .with_context(|| format!("{name} not passed"))?;
    say::line(&format!("{name}: passed, {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}
