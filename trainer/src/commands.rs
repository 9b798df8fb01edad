//! What each command does: settings in, one result on stdout.
//!
//! The work is done elsewhere; here it is put together, and its result shown.

mod collect;
mod compare;
mod doctor;
mod evaluate;
mod healthcheck;
mod predict;
mod setup;
mod stop;
mod train;
mod watch;

use crate::cli::Command;
use crate::error::TrainError;
use serde::Serialize;
use std::io;

/// The one line that `--json` ends with, in the order of the fields.
fn to_json(result: &impl Serialize) -> Result<String, TrainError> {
    let error =
        |error| TrainError::Write { what: "the result as JSON".to_owned(), source: io::Error::other(error) };
    serde_json::to_string(result).map_err(error)
}

/// Runs a command.
///
/// # Errors
/// When the command ends before it is done; the error knows its exit code.
pub fn run(command: Command) -> Result<(), TrainError> {
    match command {
        Command::Train(args) => train::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Watch(args) => watch::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Healthcheck(args) => healthcheck::run(&args),
        Command::Doctor(args) => doctor::run(args),
    }
}
