//! `cargo xtask ci`: what a change must pass. Formatting and lints first, since they answer fastest,
//! then links of the documentation, which crates may be in the tree and which may depend on which, and every test.

use crate::tests::Options;
use crate::{libtorch, place, process, say, tests};
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// The release of cargo-deny that is built where none is installed.
const CARGO_DENY: &str = "0.20.2";

/// Runs every check, the tests with `options`; their closing line is the last one printed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // Clippy compiles the trainer's crates too, and torch-sys wants its headers for that.
    libtorch::prepare(libtorch::Kind::Cpu)?;
    step("formatting", &["fmt", "--all", "--check"])?;
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    step("documentation", &["doc", "--workspace", "--no-deps", "--document-private-items"])?;
    timed("dependencies", dependencies)?;
    tests::run(options)
}

/// Holds the crates in the tree against `.cargo/deny.toml`, by a cargo-deny that is installed, or else by one that is
/// built, which takes minutes once. Advisories are not asked for: what they say depends on the day.
pub(crate) fn dependencies() -> Result<()> {
    let mut program = OsString::from("cargo-deny");
    if !process::quiet(Command::new(&program).arg("--version")) {
        let root = place::at("target/tools");
        let mut cargo = Command::new(process::cargo());
        // It does nothing where that is done already.
        cargo.args([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY,
            "cargo-deny",
            "--root",
        ]);
        process::run(cargo.arg(&root)).context("cargo-deny is neither installed nor can it be")?;
        program = root.join("bin/cargo-deny").into();
    }
    let mut deny = Command::new(program);
    deny.args(["--all-features", "--config", ".cargo/deny.toml", "check", "bans", "licenses", "sources"]);
    process::run(deny.current_dir(place::root()))
}

fn step(name: &str, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(process::cargo());
    cargo.args(arguments).env("RUSTDOCFLAGS", "--deny warnings").current_dir(place::root());
    timed(name, || process::run(&mut cargo))
}

fn timed(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    say::part(name);
    let started = Instant::now();
    check().with_context(|| format!("{name} not passed"))?;
    say::line(&format!("{name}: passed, {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}
