//! The commands of the binary, and how each ends: a result on stdout, or one line on stderr and an
//! exit code.

mod bench;
mod data;
mod failure;
mod fetch;
mod healthcheck;
mod inspect;
mod page;
mod preview;
mod replay;
mod serve;
mod spec;
mod verify;

use crate::config::{Cli, Command};
use crate::extensions::Extensions;
use crate::parallel::default_workers;
use failure::Failure;
use mixfeed_ops::text::printable_lines;
use mixfeed_ops::{build, eprintln, exit, logging, memory, println};
use mixfeed_pipeline::fingerprint::ALGORITHM_VERSION;
use std::process::ExitCode;

/// Threads of so many cores rarely wait for each other to have memory: an estimate; measured were two cores, where one
/// heap is as fast as sixteen.
const CORES_PER_HEAP: usize = 8;

/// Runs the command line and returns how it ended.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    run_with(cli, &Extensions::default())
}

/// Runs the command line of a binary that has extensions: `main` of one's own loader. It sets how the process's
/// allocator keeps memory and how panics are told, and is to be called before there are other threads.
#[must_use]
pub fn run_with(cli: Cli, extensions: &Extensions) -> ExitCode {
    logging::log_panics();
    memory::keep_for_reuse(default_workers().div_ceil(CORES_PER_HEAP));
    let result = match cli.command {
        _ if cli.version => version(extensions),
        Some(Command::Serve(args)) => serve::run(*args, extensions),
        Some(Command::Fetch(args)) => fetch::run(&args),
        Some(Command::Inspect(args)) => inspect::run(&args, extensions),
        Some(Command::Preview(args)) => preview::run(&args, extensions),
        Some(Command::Replay(args)) => replay::run(&args, extensions),
        Some(Command::Verify(args)) => verify::run(&args, extensions),
        Some(Command::Bench(args)) => bench::run(&args, extensions),
        Some(Command::Healthcheck(args)) => healthcheck::run(&args),
        None => Err(Failure::usage("no command given; see --help")),
    };
    match result {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) => {
            eprintln!("error: {}", printable_lines(&failure.message));
            ExitCode::from(failure.code)
        }
    }
}

fn version(extensions: &Extensions) -> Result<(), Failure> {
    let fingerprint = extensions.fingerprint().map_err(Failure::other)?;
    println!("mixfeed-loader {} ({})", build::RELEASE, build::COMMIT);
    println!("algorithm {ALGORITHM_VERSION} {}", hex::encode(fingerprint));
    println!("protocol {}", mixfeed_proto::PROTOCOL);
    Ok(())
}
