//! `healthcheck`: whether a training answers, for whoever restarts containers.
//!
//! One that waits for loaders is well: starting it again would bring none.

// stdout is where results go.
#![allow(clippy::print_stdout)]

use crate::cli::HealthcheckArgs;
use crate::error::TrainError;
use crate::remote::Trainer;

pub(super) fn run(args: &HealthcheckArgs) -> Result<(), TrainError> {
    let status = Trainer::connect(&args.trainer)?.status(args.timeout.into())?;
    println!("answers: step {} of {}", status.step, status.steps);
    Ok(())
}
