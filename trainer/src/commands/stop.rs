//! `stop`: ends a training in another process, with a checkpoint.

use super::setup;
use crate::cli::StopArgs;
use crate::error::TrainError;
use crate::remote::State;
use mixfeed_ops::println;
use std::time::Duration;

/// How often it is looked whether training has ended, at most.
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(args: &StopArgs) -> Result<(), TrainError> {
    let trainer = setup::connect(&args.to)?;
    // Heard from before the end is asked for, so that it cannot be missed.
    let mut statuses = trainer.watch(INTERVAL)?;
    trainer.stop()?;
    while let Some(status) = statuses.next()? {
        if status.state() == State::Ended {
            println!("{}", status.ending);
        }
    }
    Ok(())
}
