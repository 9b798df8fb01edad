//! `train`: one training, by this process alone or as one of a group (`group.rs`).

mod group;

use super::setup::{self, Setup};
use crate::cli::{RunArgs, TrainArgs};
use crate::config::{Resume, RunConfig, Settings, Source, UsageError};
use crate::error::TrainError;
use crate::report::curves;
use crate::report::table::{Table, counted};
use crate::run::run_folder::{RunFile, RunFolder, RunFolderError};
use crate::train::outcome::{Outcome, Resumed};
use crate::train::resume::ResumePoint;
use crate::train::{Trained, TrainingJob, train};
use mixfeed_ops::{print, println};

pub(super) fn run(args: TrainArgs) -> Result<(), TrainError> {
    match args.group.find()? {
        // What is in force is asked of no group.
        Some(membership) if !args.run.print_config => group::run(args, membership),
        _ => run_alone(args),
    }
}

fn run_alone(args: TrainArgs) -> Result<(), TrainError> {
    let TrainArgs { settings, run, resume, .. } = args;
    let flags = settings.clone();
    let given = settings.over(run.config.as_deref())?;
    let idle = given.idle_in_file(&flags);
    let earlier = resume.map(|resume| earlier(resume, &given, &run)).transpose()?.flatten();
    let settings = match (&earlier, resume) {
        (Some((_, earlier)), Some(resume)) => given.over_run(&earlier.settings, resume)?,
        _ => given,
    };
    settings.check_effect(&flags)?;
    let Some(setup) = setup::prepare(settings.check()?, &idle, &run)? else { return Ok(()) };
    let outcome = match earlier {
        Some((folder, earlier)) => go_on(&setup, &flags, &folder, earlier),
        None => begin(&setup, run.overwrite),
    };
    finish(&setup, &run, outcome)
}

/// Tells what a training came to.
fn finish(setup: &Setup, run: &RunArgs, outcome: Result<Outcome, TrainError>) -> Result<(), TrainError> {
    setup.end(outcome.as_ref().map(Outcome::ending));
    let outcome = outcome?;
    if run.json {
        println!("{}", super::to_json(&outcome)?);
    } else {
        let is_embedded = matches!(setup.config.source, Source::Embedded { .. });
        print!("\n{}\n{}\n", table(&outcome), outcome.verdict(is_embedded));
    }
    Ok(())
}

/// The run that `--output` holds; none when there is none and that is all right.
fn earlier(
    resume: Resume,
    given: &Settings,
    run: &RunArgs,
) -> Result<Option<(RunFolder, RunFile)>, TrainError> {
    let Some(output) = &given.output else {
        return Err(UsageError::new("--resume needs --output, the folder of the run to go on with").into());
    };
    if resume == Resume::Yes && run.config.is_some() {
        return Err(
            UsageError::new("--resume takes its settings from the run: --config cannot be given").into()
        );
    }
    match RunFolder::open(output)? {
        None => {
            RunFolderError::no_run(output, false, resume == Resume::Auto).map_or(Ok(None), |e| Err(e.into()))
        }
        found => Ok(found),
    }
}

fn begin(setup: &Setup, overwrite: bool) -> Result<Outcome, TrainError> {
    let (loaders, folder) = setup.begin(setup.config.training.preset.name(), overwrite)?;
    if folder.is_comparison() {
        folder.warn_of_runs_within(&[])?;
    }
    let Setup { config, device, stop, .. } = setup;
    let job =
        TrainingJob { config, loaders: &loaders, device: *device, folder: Some(&folder), peers: None, stop };
    Ok(train(&job, None, &mut setup.observers(config, String::new(), 0, &folder))?.outcome)
}

fn go_on(
    setup: &Setup,
    flags: &Settings,
    folder: &RunFolder,
    earlier: RunFile,
) -> Result<Outcome, TrainError> {
    let Setup { config, device, stop, .. } = setup;
    let unheeded = flags.unheeded(&earlier.settings);
    let point = ResumePoint::find(folder, earlier, config)?;
    if let Some(outcome) = came_to(setup, folder, &point, &unheeded)? {
        return Ok(outcome);
    }
    let loaders = setup.go_on(folder)?;
    let job =
        TrainingJob { config, loaders: &loaders, device: *device, folder: Some(folder), peers: None, stop };
    Ok(train(&job, Some(point), &mut setup.observers(config, String::new(), 0, folder))?.outcome)
}

/// Says so and gives what a run came to, if nothing is left to be done; `unheeded` flags have no effect then.
fn came_to(
    setup: &Setup,
    folder: &RunFolder,
    point: &ResumePoint,
    unheeded: &[String],
) -> Result<Option<Outcome>, TrainError> {
    let Some(Trained { outcome, .. }) = finished(&setup.config, folder, point)? else { return Ok(None) };
    let (done, epochs) = (outcome.epochs_done(), setup.config.training.epochs);
    tracing::info!(
        step = outcome.steps,
        "this run is finished, {done} of {epochs}; raise --epochs or --steps to extend it"
    );
    if !unheeded.is_empty() {
        tracing::warn!("no effect on a run that is finished: {}", unheeded.join(", "));
    }
    Ok(Some(outcome))
}

/// What a run came to that has nothing left to do.
pub(super) fn finished(
    config: &RunConfig,
    folder: &RunFolder,
    point: &ResumePoint,
) -> Result<Option<Trained>, TrainError> {
    let Some(last) = point.finished() else { return Ok(None) };
    // Whoever ended the process may have done so before these were written.
    folder.record(&last.history)?;
    curves::draw_run(&folder.curves(), &last.history, config, &last.dataset)?;
    let resumed = Resumed { step: Some(point.step()), batches_per_epoch: point.batches_per_epoch() };
    let outcome = Outcome::of(config, last, folder, resumed);
    Ok(Some(Trained { outcome, history: last.history.clone() }))
}

fn table(outcome: &Outcome) -> Table {
    let audit = outcome.audit.as_ref().map(|audit| ("audit", audit.summary()));
    let plural = if outcome.replicas_seen == 1 { "" } else { "s" };
    let rows = [
        ("model", format!("{} ({}), seed {}", outcome.model, outcome.preset, outcome.seed)),
        ("data", format!("{}, from {} loader{plural}", outcome.data(), outcome.replicas_seen)),
        ("device", format!("{}, {}", outcome.device, counted(outcome.threads as u64, "CPU thread"))),
        (
            "trained",
            format!(
                "{}, {}, {}{}{}",
                outcome.epochs_done(),
                counted(outcome.steps, "step"),
                counted(outcome.images, "image"),
                if outcome.finished { "" } else { ", stopped early" },
                outcome.resumed_from_step.map_or(String::new(), |step| format!(", resumed from step {step}"))
            ),
        ),
        ("speed", format!("{:.0} images/s over {:.1} s", outcome.images_per_second, outcome.seconds)),
        ("training loss", format!("{:.4}", outcome.train_loss)),
        ("test loss", outcome.test_loss.map_or("–".to_owned(), |loss| format!("{loss:.4}"))),
        ("test accuracy", outcome.accuracy()),
        ("weights", outcome.weights_digest.clone()),
        ("checkpoint", outcome.checkpoint.clone()),
        ("curves", outcome.curves.clone()),
    ];
    Table::of_pairs(rows.into_iter().chain(audit))
}
