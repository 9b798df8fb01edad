//! `compare --collect`: runs that were trained at different times or on different machines, as one table.

use crate::cli::RunArgs;
use crate::compare::{Collection, Difference};
use crate::config::{Settings, UsageError};
use crate::error::TrainError;
use crate::report::table::Table;
use crate::run::run_folder::KeptRun;
use mixfeed_ops::{print, println};
use std::path::PathBuf;

pub(super) fn run(folders: &[PathBuf], settings: &Settings, run: &RunArgs) -> Result<(), TrainError> {
    if *settings != Settings::default() || run.config.is_some() || run.print_config {
        return Err(
            UsageError::new("--collect trains nothing: the runs have their settings, give none").into()
        );
    }
    let runs = folders.iter().map(|folder| KeptRun::read(folder)).collect::<Result<Vec<_>, _>>()?;
    let collection = Collection::of(runs)?;
    if run.json {
        println!("{}", super::to_json(&collection)?);
    } else {
        print!("\n{}\n{}", table(&collection), summary(&collection));
    }
    Ok(())
}

fn table(collection: &Collection) -> Table {
    let columns = ["", "seeds", "test accuracy", "difference", "95 % CI", "training loss", "test loss"];
    let mut table = Table::with_header(columns);
    for arm in &collection.arms {
        let seeds: Vec<_> = arm.seeds.iter().map(u64::to_string).collect();
        let difference =
            |show: fn(&Difference) -> String| arm.difference.as_ref().map_or(String::new(), show);
        table.row([
            arm.arm.clone(),
            seeds.join(" "),
            format!("{} %", arm.test_accuracy.show(100.0, 2)),
            difference(Difference::show),
            difference(Difference::show_interval),
            arm.train_loss.show(1.0, 4),
            arm.test_loss.map_or("–".to_owned(), |loss| loss.show(1.0, 4)),
        ]);
    }
    table
}

/// What the runs have in common, and what the differences are of.
fn summary(collection: &Collection) -> String {
    let Collection { preset, model, dataset, epochs, arms, .. } = collection;
    let epochs = epochs.map_or(String::new(), |epochs| format!(", {epochs} epochs"));
    let mut text = format!("{dataset}, {preset}, {model}{epochs}; accuracy after the last one\n");
    for arm in arms {
        if let Some(difference) = &arm.difference {
            text += &format!("{} less {}: {}\n", arm.arm, arms[0].arm, difference.verdict());
        }
    }
    text
}
