//! `cargo xtask test`: everything that the tests need, then every test of every crate, and a table
//! of what ran, what was skipped and why.

mod outcome;
mod suites;

use crate::{
    alerts, environment, libtorch, manifests, place, process, python, say, slurm, smoke, torchrun, venv,
};
use anyhow::{Context as _, Result, bail};
use outcome::Outcome;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use suites::Suites;

/// What may be chosen about a run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Run the tests that take minutes as well.
    pub(crate) slow: bool,
    /// Handed to `cargo test`, to run a part only.
    pub(crate) rest: Vec<OsString>,
    /// Put in front of each test program: another user, fewer CPUs, another network.
    pub(crate) runner: Vec<String>,
    /// Set for building and running, over what is found out here.
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

/// Runs the tests. The last line printed is `N passed, N failed, N skipped`.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    libtorch::prepare(libtorch::Kind::Cpu)?;
    let mut environment: Vec<(&str, OsString)> = vec![("CARGO_TERM_COLOR", "never".into())];
    if environment::variable("MIXFEED_TEST_PYTHON").is_none() {
        match venv::prepare() {
            Ok(python) => environment.push(("MIXFEED_TEST_PYTHON", python.into())),
            Err(error) => say::line(&format!("note: tests that need Python are skipped: {error:#}")),
        }
    }
    environment.extend(options.environment.iter().cloned());
    if options.slow {
        environment.push(("MIXFEED_SLOW", "1".into()));
    }

    say::part("building every test");
    let started = Instant::now();
    let suites = build(options, &environment)?;
    say::line(&format!("built: {:.0} s", started.elapsed().as_secs_f64()));

    if let Some(loader) = &suites.loader {
        environment.push(("MIXFEED_TEST_LOADER", loader.into()));
    }

    say::part("running every test");
    let started = Instant::now();
    let mut outcome = test(options, &environment, &suites)?;
    // A part that was chosen by hand is a part of cargo's tests.
    if options.rest.is_empty() {
        outcome.take(manifests::run());
        // In other surroundings, pytest would not be in them.
        if options.runner.is_empty() {
            // Elsewhere it takes maturin to link a module.
            let workspace = cfg!(target_os = "linux");
            outcome.take(python::run(&python::Options {
                workspace,
                slow: options.slow,
                ..Default::default()
            }));
        }
        if options.slow {
            outcome.take(smoke::run(false));
            outcome.take(alerts::run());
            outcome.take(slurm::run());
            outcome.take(torchrun::run());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    say::result(&outcome.table(seconds));
    say::result(&outcome.closing_line());
    Ok(if outcome.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The command both steps share: the same selection, so that the second finds all built.
fn cargo_test(options: &Options, arguments: &[&str], environment: &[(&str, OsString)]) -> Command {
    let mut cargo = Command::new(process::cargo());
    cargo.arg("test").args(arguments).current_dir(place::root());
    // Packages chosen by hand would be added to the whole workspace, not chosen from it.
    let chosen = |argument: &OsString| argument == "-p" || argument == "--package";
    if !options.rest.iter().any(chosen) {
        cargo.arg("--workspace");
    }
    if !options.runner.is_empty() {
        let runner = serde_json::to_string(&options.runner).expect("strings are JSON");
        cargo.args(["--config", &format!("target.'cfg(all())'.runner = {runner}")]);
    }
    cargo.args(&options.rest);
    cargo.envs(environment.iter().map(|(name, value)| (name, value)));
    cargo
}

fn build(options: &Options, environment: &[(&str, OsString)]) -> Result<Suites> {
    // Rendered diagnostics go to stderr, as a person expects them; stdout is for us.
    let arguments = ["--no-run", "--message-format=json-render-diagnostics"];
    let mut cargo = cargo_test(options, &arguments, environment);
    let output = cargo.stderr(Stdio::inherit()).stdin(Stdio::null()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the tests do not build (see above)");
    }
    Suites::read(&String::from_utf8_lossy(&output.stdout))
}

fn test(options: &Options, environment: &[(&str, OsString)], suites: &Suites) -> Result<Outcome> {
    // One pipe for both streams: what cargo says about a suite then stands before what it prints.
    let (reader, writer) = std::io::pipe()?;
    let mut cargo = cargo_test(options, &["--no-fail-fast"], environment);
    cargo.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = cargo.spawn().context("cannot run cargo")?;
    // The command holds the writing ends; without them the reading end would never end.
    drop(cargo);
    let mut outcome = Outcome::default();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        say::line(text.trim_end());
        outcome.read(text.trim_end(), suites);
        line.clear();
    }
    outcome.end(child.wait()?.success());
    Ok(outcome)
}
