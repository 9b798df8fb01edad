//! The trainer's command line.

use mixfeed_ops::text::printable;
use mixfeed_ops::{command_line, eprintln, exit, logging, memory, signals};
use mixfeed_trainer::cli::Cli;
use mixfeed_trainer::commands;
use mixfeed_trainer::error::TrainError;
use mixfeed_trainer::machine::openmp;
use mixfeed_trainer::panics;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Whoever wants signals takes them over later, and says then what cannot be.
    let _ = signals::keep_user_signals();
    openmp::sleep_while_waiting();
    logging::log_panics();
    // One: what a step frees is what the next one takes, whichever thread asks.
    memory::keep_for_reuse(1);
    let command = command_line::parse::<Cli>().command;
    match panics::caught(|| commands::run(command)) {
        Ok(()) => ExitCode::from(exit::DONE),
        // Whoever asked for it knows.
        Err(error @ TrainError::Stopped(_)) => ExitCode::from(error.exit_code()),
        Err(error) => {
            eprintln!("error: {}", printable(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}
