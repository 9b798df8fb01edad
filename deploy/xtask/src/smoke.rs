//! `cargo xtask compose-smoke`: the shipped images and the shipped compose file, once through what happens
//! to a fleet. Built on bases made of Debian packages, so that no registry is needed; started, shrunk by
//! a kill, grown, watched by Prometheus, stopped; and the weights must be those of a training
//! to which nothing happened.
//!
//! What is in the images is told by `deploy/Dockerfile`, and how they run by `deploy/compose.yaml`:
//! nothing of it is repeated here.

mod bases;
mod engine;
mod expressions;
mod fleet;

use crate::report::Report;
use crate::{debian, libtorch, place, process, say, training};
use anyhow::{Context as _, Result, bail, ensure};
use engine::Engine;
use fleet::{Fleet, Wanted};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// What a loader's image may weigh, uncompressed, base included.
const LOADER_IMAGE_BYTES: u64 = 60_000_000;

/// Drawings: enough for several batches an epoch, few enough for many epochs in a minute.
const DATA: &str = "synthetic:2000";

/// More than will be done: the training is stopped.
const EPOCHS: &str = "1000";

/// Steps by which it is seen that training goes on.
const SOME_STEPS: u64 = 5;

/// Within this, whatever is waited for has to happen: the slowest is the start of a fleet on two busy cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it. With `keep`, images and bases stay for the next time.
pub(crate) fn run(keep: bool) -> Report {
    let mut report = Report::new("deploy, containers");
    let engine = match Engine::find() {
        Ok(engine) => engine,
        Err(why) => {
            report.lacks("docker", "a fleet of containers", &format!("{why:#}"));
            return report;
        }
    };
    if let Some(why) = debian::missing() {
        report.lacks("debian", "a fleet of containers", &why);
        return report;
    }
    let fleet = Fleet::new(&engine);
    // A check that fails makes those after it pointless; what was started is ended all the same.
    let whole = walk(&mut report, &engine, &fleet).is_some();
    if !whole {
        fleet.show_logs();
    }
    report.check("everything is taken away again", || fleet.remove(keep));
    report
}

fn walk(report: &mut Report, engine: &Engine, fleet: &Fleet) -> Option<()> {
    report.check("base images are made of Debian packages", || {
        fleet.remove(true)?;
        libtorch::prepare_ours()?;
        bases::make(engine)
    })?;
    report.check("the compose file and what is laid over it are understood", || {
        fleet.compose(&["config", "--quiet"])?;
        fleet.compose_with("deploy/compose.gpu.yaml", &["config", "--quiet"])?;
        fleet.compose_with("deploy/compose.trainers.yaml", &["--profile", "trainers-8", "config", "--quiet"])
    })?;
    report.check("the loader's image is built, and is small", || {
        fleet.compose(&["build", "loader"])?;
        let bytes = engine.image_bytes(fleet::LOADER_IMAGE)?;
        say::line(&format!("the loader's image: {:.1} MB", bytes as f64 / 1e6));
        ensure!(bytes <= LOADER_IMAGE_BYTES, "{bytes} bytes are more than {LOADER_IMAGE_BYTES}");
        Ok(())
    })?;
    report.check("the trainer's image is built", || {
        fleet.compose(&["build", "trainer"])?;
        let bytes = engine.image_bytes(fleet::TRAINER_IMAGE)?;
        say::line(&format!("the trainer's image: {:.0} MB", bytes as f64 / 1e6));
        Ok(())
    })?;
    report.check("three loaders and a trainer start, and training goes on", || {
        let started = Instant::now();
        fleet.compose(&["up", "--detach", "--no-build", "--scale", "loader=3"])?;
        say::line(&format!("up and healthy after {:.1} s", started.elapsed().as_secs_f64()));
        fleet.wait(&Wanted { loaders: 3, more_steps: SOME_STEPS }, PATIENCE)?;
        say::line(&format!("{SOME_STEPS} steps after {:.1} s", started.elapsed().as_secs_f64()));
        Ok(())
    })?;
    report.check("they run without rights, on file systems that they cannot write", || {
        fleet
            .running("loader")?
            .iter()
            .chain(&fleet.running("trainer")?)
            .try_for_each(|id| engine.hardened(id))
    })?;
    report.check("a loader that is killed is done without", || {
        let loaders = fleet.running("loader")?;
        engine.run(&["kill", loaders.first().context("no loader runs")?])?;
        fleet.wait(&Wanted { loaders: 2, more_steps: SOME_STEPS }, PATIENCE)
    })?;
    report.check("scaled to four, four loaders serve", || {
        fleet.compose(&["up", "--detach", "--no-build", "--scale", "loader=4", "loader"])?;
        fleet.wait(&Wanted { loaders: 4, more_steps: SOME_STEPS }, PATIENCE)
    })?;
    report.check("Prometheus finds them all, and no panel and no rule is without data", || {
        fleet.compose(&["up", "--detach", "--no-build", "prometheus"])?;
        expressions::check(&fleet.prometheus(), 4, PATIENCE)
    })?;
    let result =
        report.check("training is stopped with a result, and loaders drain", || stop(engine, fleet))?;
    report.check("the weights are those of a training to which nothing happened", || compare(&result))
}

/// Ends the training from inside its container, then the loaders; returns the result.
fn stop(engine: &Engine, fleet: &Fleet) -> Result<Value> {
    let trainer = fleet.trainer()?;
    let loaders = fleet.running("loader")?;
    engine.run(&["exec", &trainer, "/usr/local/bin/mixfeed-trainer", "stop"])?;
    let code = engine.output(&["wait", &trainer])?;
    ensure!(code == "0", "the trainer ended with {code}");
    let stdout = engine.output(&["logs", &trainer])?;
    let line = stdout.lines().last().unwrap_or_default();
    let result: Value = serde_json::from_str(line).with_context(|| format!("no result in: {stdout}"))?;
    say::line(line);
    fleet.compose(&["stop"])?;
    for loader in &loaders {
        let code = engine.exit_code(loader)?;
        ensure!(code == "0", "a loader that was asked to stop ended with {code}");
    }
    Ok(result)
}

/// Trains as many steps in one process, with a loader inside it, and compares.
fn compare(fleet: &Value) -> Result<()> {
    let steps = fleet["steps"].to_string();
    say::line(&format!("training {steps} steps once more, in one process"));
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp:mode=1777"]);
    docker.args([fleet::TRAINER_IMAGE, "train", "--json", "--data", DATA, "--preset", "article"]);
    docker.args(["--epochs", EPOCHS, "--steps", &steps, "--output", "/tmp/reference"]);
    let output = docker.output().context("cannot run docker")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("it ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    training::same(fleet, "with the fleet", &training::result(&stdout)?)
}

/// Waits until `look` finds what it looks for; says what it saw last when time is up.
pub(crate) fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("not within {} s", patience.as_secs())));
            }
            Err(_not_yet) => std::thread::sleep(Duration::from_millis(500)),
            found => return found,
        }
    }
}

/// Whether a program that may be missing answers within a reasonable time.
fn answers(program: &str, arguments: &[&str]) -> bool {
    let mut timeout = Command::new("timeout");
    timeout.args(["20", program]).args(arguments).current_dir(place::root());
    process::quiet(&mut timeout)
}
