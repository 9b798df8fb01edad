//! Project tasks, as `cargo xtask <task>`: getting libtorch, running every test, showing the whole
//! road, and the checks of continuous integration. Each task gets what it needs by itself.
//!
//! What is deliberately not here: anything that the programs themselves need to run.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alerts;
mod checks;
mod children;
#[cfg(test)]
mod circles;
mod debian;
mod demo;
mod environment;
mod group;
#[cfg(test)]
mod guarantees;
mod http;
mod libtorch;
mod manifests;
mod matrix;
mod pairs;
mod pip;
mod place;
mod process;
mod programs;
mod python;
mod report;
mod sanitize;
mod say;
mod slurm;
mod smoke;
mod soak;
mod tests;
mod torchrun;
mod training;
#[cfg(test)]
mod unsafety;
mod venv;

use anyhow::{Result, bail};
use lexopt::Parser;
use lexopt::prelude::*;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
Mixfeed's project tasks

usage: cargo xtask <task> [options]

tasks
  demo [--data DIR] [--epochs N] [--limit N]
      build everything, start 2 loaders and 1 trainer, train with and without mixup, report
      (DIR: CIFAR-10 in the binary layout; N images of it)
  test [--slow] [-- ARGUMENTS]
      get what the tests need and run every one (--slow: those that take minutes too;
      ARGUMENTS go to cargo test, to run a part)
  ci [--slow] [-- ARGUMENTS]
      what a change must pass: formatting, lints, documentation, dependencies, tests
  matrix [--slow] [ROW]…
      run every test in each kind of surroundings (or in those named): as a user without privileges, on one
      CPU, beside busy loops, with other settings of TCP, without IPv6, without HOME, twice in a row
  chaos [--seeds N]
      the tests that kill, stop, restart and add loaders, with N seeds (200), those of a trainer whose
      calls fail, each in turn, or that is killed N times, and, with N / 2 seeds, that of a group that
      loses trainers and loaders
  soak [--minutes N] [--data WHERE] [--seed N]
      train for N minutes (30) while loaders are killed, stopped and added every few seconds: memory,
      tasks and descriptors of the trainer and of a loader must not grow, and the weights must be those of
      a training in calm (WHERE: as the programs take it; drawings)
  fuzz [--seconds N] [--seed N] [TARGET]
      feed damaged data to whatever reads data: files, messages of both services, checkpoints,
      settings (to targets with TARGET in their name), for N seconds each (60), from a seed that
      the clock gives
  pairs [--pairs N] [--field NAME[,NAME]]… -- 'COMMAND' 'COMMAND'
      run two commands in turn, N times each (10), and compare a number that each prints in a JSON
      object on its last line (images_per_second): medians, the median ratio and its interval
  python [--release] [--zig] [--workspace] [--slow] [-- ARGUMENTS]
      build the Python package as a wheel, install it into an environment of its own and test it there
      (--release: one to be handed on, with the loader inside; --zig: for any Linux since glibc 2.17;
      --workspace: of the module in the build of all crates, as `test` does;
      --slow: the tests that take minutes, too;
      ARGUMENTS go to pytest, to run a part)
  compose-smoke [--keep]
      build the images on bases made of Debian packages, run the compose file through a kill, a
      scaling and a stop, ask Prometheus everything that the dashboard asks (--keep: leave the images)
  alerts-smoke
      run the shipped rules on a Prometheus of Debian's that scrapes real processes: loaders are killed, and
      what should be told is told, in time, and not when all is well
  slurm-smoke
      run the batch scripts on a Slurm of Debian's packages, unpacked and started for it: one training through
      the loss of a loader and a requeue, a group of trainers through the loss of one
  torchrun-smoke
      run a group of trainers under PyTorch's torchrun through the loss of one
  deny
      hold the crates in the tree against .cargo/deny.toml: bans, licences, sources
      (by cargo-deny, which is built into target/tools where none is installed)
  sanitize
      run the tests that reach unsafe code with AddressSanitizer
  manifests
      render the Kubernetes overlays and hold them against the schemas of Kubernetes and of custom resources,
      hold the chart against them, try Prometheus' rules
  libtorch [--cuda]
      prepare libtorch under .libtorch/ (--cuda: another, with what an NVIDIA GPU needs)
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            say::line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = Parser::from_env();
    let own =
        arguments.raw_args()?.as_slice().split(|argument| argument == "--").next().unwrap_or(&[]).to_vec();
    if own.is_empty() || own.iter().any(|argument| argument == "-h" || argument == "--help") {
        say::result(USAGE);
        return Ok(ExitCode::SUCCESS);
    }
    let task = match arguments.next()? {
        Some(Value(task)) => task.string()?,
        Some(other) => return Err(other.unexpected().into()),
        None => bail!("name a task; see cargo xtask --help"),
    };
    match task.as_str() {
        "libtorch" => libtorch_task(arguments),
        "test" => tests::run(&test_options(arguments)?),
        "ci" => checks::run(&test_options(arguments)?),
        "matrix" => matrix_task(arguments),
        "demo" => demo_task(arguments),
        "chaos" => chaos_task(arguments),
        "soak" => soak_task(arguments),
        "fuzz" => fuzz_task(arguments),
        "pairs" => pairs_task(arguments),
        "compose-smoke" => compose_smoke_task(arguments),
        "alerts-smoke" => match arguments.next()? {
            None => Ok(alerts::run().close()),
            Some(other) => Err(other.unexpected().into()),
        },
        "slurm-smoke" => match arguments.next()? {
            None => Ok(slurm::run().close()),
            Some(other) => Err(other.unexpected().into()),
        },
        "torchrun-smoke" => match arguments.next()? {
            None => Ok(torchrun::run().close()),
            Some(other) => Err(other.unexpected().into()),
        },
        "python" => python_task(arguments),
        "deny" => match arguments.next()? {
            None => checks::dependencies().map(|()| ExitCode::SUCCESS),
            Some(other) => Err(other.unexpected().into()),
        },
        "sanitize" => match arguments.next()? {
            None => sanitize::run().map(|()| ExitCode::SUCCESS),
            Some(other) => Err(other.unexpected().into()),
        },
        "manifests" => match arguments.next()? {
            None => Ok(manifests::run().close()),
            Some(other) => Err(other.unexpected().into()),
        },
        _ => bail!("there is no task `{task}`; see cargo xtask --help"),
    }
}

fn libtorch_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut cuda = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("cuda") => cuda = true,
            other => return Err(other.unexpected().into()),
        }
    }
    libtorch::prepare(if cuda { libtorch::Kind::Cuda } else { libtorch::Kind::Cpu })?;
    Ok(ExitCode::SUCCESS)
}

fn test_options(mut arguments: Parser) -> Result<tests::Options> {
    let mut options = tests::Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("slow") => options.slow = true,
            Value(value) => options.rest.push(value),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn matrix_task(mut arguments: Parser) -> Result<ExitCode> {
    let (mut slow, mut rows) = (false, Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("slow") => slow = true,
            Value(row) => rows.push(row.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    matrix::run(&rows, slow)
}

/// Ten times the seeds of the normal suite.
const CHAOS_SEEDS: u64 = 200;

/// Simulated fleets for each seed of real processes.
const SIMULATED: u64 = 50;

fn chaos_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut seeds = CHAOS_SEEDS;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seeds") => seeds = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    libtorch::prepare(libtorch::Kind::Cpu)?;
    // Fleets in simulated time are cheap.
    let mut cargo = Command::new(process::cargo());
    cargo.args(["test", "--release", "--package", "mixfeed-client", "--lib", "simulation::liars"]);
    cargo.env("MIXFEED_SIMULATED_SEEDS", seeds.saturating_mul(SIMULATED).to_string());
    process::run(cargo.current_dir(place::root()))?;
    // First the batches that come out of a stream, then the weights that a trainer makes of them, and then what is
    // left of a trainer whose calls fail or that dies, and of a group that loses some: that takes long, so half as often.
    for (package, test, part, seeds) in [
        ("mixfeed-loader", "it", "chaos", seeds),
        ("mixfeed-trainer", "one_thread", "chaos", seeds),
        ("mixfeed-trainer", "command_line", "faults", seeds),
        ("mixfeed-trainer", "command_line", "group::chaos", seeds.div_ceil(2)),
    ] {
        let mut cargo = Command::new(process::cargo());
        cargo.args(["test", "--package", package, "--test", test, part, "--", "--nocapture"]);
        process::run(cargo.env("MIXFEED_CHAOS_SEEDS", seeds.to_string()).current_dir(place::root()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn soak_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut options = soak::Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("minutes") => options.minutes = arguments.value()?.parse()?,
            Long("data") => options.data = Some(arguments.value()?.string()?),
            Long("seed") => options.seed = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    soak::run(&options)
}

/// Long enough for tens of thousands of inputs of most targets.
const FUZZ_SECONDS: u64 = 60;

fn fuzz_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut variables = vec![("MIXFEED_FUZZ_SECONDS", FUZZ_SECONDS.to_string())];
    let mut only = String::new();
    while let Some(argument) = arguments.next()? {
        variables.push(match argument {
            Long("seconds") => ("MIXFEED_FUZZ_SECONDS", arguments.value()?.parse::<u64>()?.to_string()),
            Long("seed") => ("MIXFEED_FUZZ_SEED", arguments.value()?.parse::<u64>()?.to_string()),
            Value(target) => {
                only = target.string()?;
                ("MIXFEED_FUZZ_ONLY", only.clone())
            }
            other => return Err(other.unexpected().into()),
        });
    }
    let ran = place::root().join("target/fuzz-ran");
    std::fs::create_dir_all(place::root().join("target"))?;
    std::fs::write(&ran, "")?;
    libtorch::prepare(libtorch::Kind::Cpu)?;
    for package in ["mixfeed-loader", "mixfeed-trainer"] {
        let mut cargo = Command::new(process::cargo());
        cargo.args(["test", "--package", package, "--test", "fuzz", "--", "--nocapture"]);
        cargo.envs(variables.iter().cloned()).env("MIXFEED_FUZZ_RAN", &ran);
        process::run(cargo.current_dir(place::root()))?;
    }
    if std::fs::read_to_string(&ran)?.is_empty() {
        bail!("no fuzz target has `{only}` in its name");
    }
    Ok(ExitCode::SUCCESS)
}

fn compose_smoke_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut keep = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("keep") => keep = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(smoke::run(keep).close())
}

fn python_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut options = python::Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("release") => options.release = true,
            Long("zig") => options.zig = true,
            Long("workspace") => options.workspace = true,
            Long("slow") => options.slow = true,
            Value(value) => options.rest.push(value),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.workspace && (options.release || options.zig) {
        bail!("--workspace is of the development profile, and for this machine");
    }
    Ok(python::run(&options).close())
}

fn pairs_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut options = pairs::Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("pairs") => options.pairs = arguments.value()?.parse()?,
            Long("field") => options.fields.push(pairs::Field::new(&arguments.value()?.string()?)),
            Value(command) => options.commands.push(command.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    pairs::run(&options)?;
    Ok(ExitCode::SUCCESS)
}

fn demo_task(mut arguments: Parser) -> Result<ExitCode> {
    let mut options = demo::Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("data") => options.data = Some(arguments.value()?.into()),
            Long("epochs") => options.epochs = Some(arguments.value()?.parse()?),
            Long("limit") => options.limit = Some(arguments.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    demo::run(&options)?;
    Ok(ExitCode::SUCCESS)
}
