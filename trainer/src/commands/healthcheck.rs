//! `healthcheck`: whether a training answers, for whoever restarts containers.
//!
//! One that waits for loaders is well: starting it again would bring none.

use super::setup;
use crate::cli::HealthcheckArgs;
use crate::error::TrainError;
use mixfeed_ops::println;

pub(super) fn run(args: &HealthcheckArgs) -> Result<(), TrainError> {
    let status = setup::connect(&args.to)?.status(args.timeout.into())?;
    println!("answers: step {} of {}", status.step, status.steps);
    Ok(())
}
