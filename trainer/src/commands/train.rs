//! `train`: one training.

// stdout is where results go.
#![allow(clippy::print_stdout)]

use super::setup;
use crate::cli::TrainArgs;
use crate::error::TrainError;
use crate::outcome::Outcome;
use crate::table::Table;
use crate::train::{Job, train};

pub(super) fn run(args: TrainArgs) -> Result<(), TrainError> {
    let TrainArgs { settings, run } = args;
    let Some(setup) = setup::prepare(settings, &run, |config| config.training.preset.name().to_owned())?
    else {
        return Ok(());
    };
    let job = Job {
        config: &setup.config,
        loaders: &setup.loaders,
        device: setup.device,
        folder: &setup.folder,
        stop: &setup.stop,
    };
    let outcome = train(&job, &mut setup.observers(String::new()))?.outcome;
    if run.json {
        println!("{}", super::to_json(&outcome)?);
    } else {
        print!("\n{}\n{}\n", table(&outcome), outcome.verdict(setup.loaders.is_embedded()));
    }
    Ok(())
}

fn table(outcome: &Outcome) -> Table {
    let plural = if outcome.replicas_seen == 1 { "" } else { "s" };
    Table::of_pairs([
        ("model", format!("{} ({}), seed {}", outcome.model, outcome.preset, outcome.seed)),
        ("data", format!("{} from {} loader{plural}", outcome.dataset, outcome.replicas_seen)),
        ("device", format!("{}, {} CPU threads", outcome.device, outcome.threads)),
        ("trained", format!("{} epochs, {} steps, {} images", outcome.epochs, outcome.steps, outcome.images)),
        ("speed", format!("{:.0} images/s over {:.1} s", outcome.images_per_second, outcome.seconds)),
        ("training loss", format!("{:.4}", outcome.train_loss)),
        ("test accuracy", format!("{:.2} %", 100.0 * outcome.test_accuracy)),
        ("weights", outcome.weights_digest.clone()),
        ("checkpoint", outcome.checkpoint.clone()),
        ("curves", outcome.curves.clone()),
    ])
}
