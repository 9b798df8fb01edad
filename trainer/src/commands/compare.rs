//! `compare`: several trainings with and without mixup.

// stdout is where results go.
#![allow(clippy::print_stdout)]

use super::setup::{self, Setup};
use crate::cli::CompareArgs;
use crate::compare::{Arm, Comparison};
use crate::config::UsageError;
use crate::curves::{self, Figure};
use crate::error::TrainError;
use crate::files::write_atomically;
use crate::loaders::Loaders;
use crate::run_folder::RunFolder;
use crate::table::Table;
use crate::train::{Job, Trained, train};

pub(super) fn run(args: CompareArgs) -> Result<(), TrainError> {
    let CompareArgs { trials, settings, run } = args;
    if trials == 0 {
        return Err(UsageError::new("--trials is 0, it must be at least 1").into());
    }
    let config = settings.over(run.config.as_deref())?.check()?;
    let Some(setup) = setup::prepare(config, &run)? else { return Ok(()) };
    let name = format!("compare-{}", setup.config.training.preset.name());
    let (loaders, folder) = setup.begin(&name, run.overwrite)?;
    let place = Place { setup: &setup, loaders: &loaders, folder: &folder };

    let mut arms = [Vec::new(), Vec::new()];
    for trial in 0..trials {
        for (arm, trained) in Arm::ALL.into_iter().zip(&mut arms) {
            trained.push(place.train_one(arm, trial, trials, run.overwrite)?);
        }
    }

    let curves = folder.curves();
    curves::draw(&curves, &figure(&setup, &arms))?;
    let comparison = Comparison::of(&arms, &setup.config, curves.display().to_string());
    let path = folder.comparison();
    let json = super::to_json(&comparison)?;
    write_atomically(&path, format!("{json}\n").as_bytes())
        .map_err(|source| TrainError::Write { what: path.display().to_string(), source })?;
    if run.json {
        println!("{json}");
    } else {
        print!("\n{}\n{}\n", table(&comparison), summary(&comparison));
    }
    Ok(())
}

/// Where the trainings of a comparison take place.
struct Place<'a> {
    setup: &'a Setup,
    loaders: &'a Loaders,
    folder: &'a RunFolder,
}

impl Place<'_> {
    fn train_one(&self, arm: Arm, trial: u32, trials: u32, overwrite: bool) -> Result<Trained, TrainError> {
        let Place { setup, loaders, folder } = self;
        let config = arm.trial(&setup.config, trial)?;
        let name = format!("{}-seed-{}", arm.name(), config.training.stream.seed);
        let folder = RunFolder::create(&folder.path().join(name), overwrite)?;
        tracing::info!(arm = arm.name(), trial = trial + 1, trials, "trial");
        let job = Job { config: &config, loaders, device: setup.device, folder: &folder, stop: &setup.stop };
        let label = format!("{} {}/{trials}", arm.title(), trial + 1);
        train(&job, None, &mut setup.observers(label))
    }
}

fn figure<'a>(setup: &Setup, arms: &'a [Vec<Trained>; 2]) -> Figure<'a> {
    let training = &setup.config.training;
    let mixing = training.stream.mixing.map_or(String::new(), |mixing| {
        format!("mixup of {:.0} % of the images, alpha {}; ", 100.0 * mixing.probability, mixing.alpha)
    });
    let trials = match arms[0].len() {
        1 => "one trial each".to_owned(),
        trials => format!("bold: mean, thin: each of {trials} trials"),
    };
    Figure {
        title: format!("mixup · {} · {}", training.preset.name(), training.model.name()),
        subtitle: format!("{mixing}{trials}"),
        arms: Arm::ALL
            .iter()
            .zip(arms)
            .map(|(arm, trained)| curves::Arm {
                name: arm.title(),
                trials: trained.iter().map(|trained| trained.history.as_slice()).collect(),
            })
            .collect(),
    }
}

fn table(comparison: &Comparison) -> Table {
    let mut table =
        Table::with_header(["", "test accuracy", "training loss", "images/s", "waiting for data"]);
    for (arm, result) in Arm::ALL.iter().zip(&comparison.arms) {
        table.row([
            arm.title().to_owned(),
            format!("{} %", result.test_accuracy.show(100.0, 2)),
            result.train_loss.show(1.0, 4),
            result.images_per_second.show(1.0, 0),
            format!("{} %", result.data_wait_ratio.show(100.0, 1)),
        ]);
    }
    table
}

fn summary(comparison: &Comparison) -> String {
    let Comparison { dataset, epochs, trials, difference, curves, .. } = comparison;
    let difference = difference.show(100.0, 2);
    let spread = if *trials > 1 { ", mean ± standard deviation" } else { "" };
    format!(
        "with mixup less without: {difference} percentage points\n\
         {dataset}, {epochs} epochs, {trials} trials of each{spread}\ncurves: {curves}"
    )
}
