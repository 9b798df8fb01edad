//! `cargo xtask ci`: what a change must pass. Formatting and lints first, since they answer fastest,
//! then which crate may depend on which and what the binaries are made of, then every test.

use crate::tests::Options;
use crate::{deny, libtorch, place, process, say, sbom, tests};
use anyhow::{Context as _, Result};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Runs every check, the tests with `options`; their closing line is the last one printed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // Clippy compiles the trainer's crates too, and torch-sys wants its headers for that.
    libtorch::prepare(libtorch::Kind::Cpu)?;
    step("formatting", &["fmt", "--all", "--check"])?;
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    timed("dependencies", deny::check)?;
    timed("bills of materials", || sbom::check(&sbom::Options::default()))?;
    tests::run(options)
}

fn step(name: &str, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(process::cargo());
    cargo.args(arguments).current_dir(place::root());
    timed(name, || process::run(&mut cargo))
}

fn timed(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    say::part(name);
    let started = Instant::now();
    check().with_context(|| format!("{name} not passed"))?;
    say::line(&format!("{name}: passed, {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}
