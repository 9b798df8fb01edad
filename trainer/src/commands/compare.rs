//! `compare`: several trainings with and without mixup, or a table of amounts and distributions of it.

use super::setup::{self, Setup};
use super::train::finished;
use crate::cli::{CompareArgs, RunArgs};
use crate::compare::{Arm, CompareFile, Comparison, ComparisonRequest, Plan, draw_grid, way_of};
use crate::config::{Resume, Settings, UsageError};
use crate::error::TrainError;
use crate::feed::loaders::Loaders;
use crate::report::curves::{self, Figure};
use crate::report::table::{Table, counted};
use crate::run::run_folder::{RunFolder, RunFolderError};
use crate::train::resume::ResumePoint;
use crate::train::{Trained, TrainingJob, train, try_stream};
use mixfeed_client::Mixing;
use mixfeed_loader::config::AugmentationArgs;
use mixfeed_ops::{print, println};

pub(super) fn run(args: CompareArgs) -> Result<(), TrainError> {
    let CompareArgs { trials, grid, collect, settings, run, resume } = args;
    if !collect.is_empty() {
        return super::collect::run(&collect, &settings, &run);
    }
    let asked = ComparisonRequest { trials, grid };
    let flags = settings.clone();
    let given = settings.over(run.config.as_deref())?;
    let idle = given.idle_in_file(&flags);
    let earlier = resume.map(|resume| earlier(resume, &given, &run)).transpose()?.flatten();
    let (asked, settings) = match (&earlier, resume) {
        (Some((_, earlier)), Some(resume)) => {
            (asked.over(earlier.asked.clone())?, given.over_run(&earlier.settings, resume)?)
        }
        _ => (asked, given),
    };
    if asked.grid.is_empty() {
        settings.check_effect(&flags)?;
    }
    let AugmentationArgs { mixup_alpha, mixup_prob, .. } = flags.augmentation;
    for (flag, given) in [("--mixup-alpha", mixup_alpha), ("--mixup-prob", mixup_prob)] {
        if given.is_some() && asked.grid.iter().any(|axis| axis.flag() == flag) {
            return Err(UsageError::new(&format!("{flag} has no effect: --grid sets it")).into());
        }
    }
    let config = settings.check()?;
    let plan = Plan::of(&asked, &config)?;
    let mixing = config.training.stream.mixing;
    let Some(setup) = setup::prepare(config, &idle, &run)? else { return Ok(()) };
    let earlier = earlier.map(|(folder, _)| folder);
    let compared = compare(&setup, &plan, &asked, earlier, run.overwrite);
    setup.end(compared.as_ref().map(|comparison| summary(comparison, mixing)));
    let comparison = compared?;
    if run.json {
        println!("{}", super::to_json(&comparison)?);
    } else {
        print!("\n{}\n{}\n", table(&plan, &comparison, mixing), summary(&comparison, mixing));
    }
    Ok(())
}

/// Trains all that is not trained yet, and leaves the result in the folder.
fn compare(
    setup: &Setup,
    plan: &Plan,
    asked: &ComparisonRequest,
    earlier: Option<RunFolder>,
    overwrite: bool,
) -> Result<Comparison, TrainError> {
    let resumes = earlier.is_some();
    let (loaders, folder) = match earlier {
        Some(folder) => (setup.go_on(&folder)?, folder),
        None => {
            let name = format!("compare-{}", setup.config.training.preset.name());
            let (loaders, folder) = setup.begin(&name, overwrite)?;
            // Before anything of an earlier comparison is removed.
            try_stream(&setup.config, &loaders, &setup.stop)?;
            clear(&folder, plan, setup, overwrite)?;
            (loaders, folder)
        }
    };
    CompareFile::write(&folder, asked, &setup.config)?;
    let trials = Trials { setup, loaders: &loaders, folder: &folder, plan, resumes };

    let mut arms = vec![Vec::new(); plan.arms.len()];
    let all = plan.trainings().count() as u64;
    for (position, (number, arm, trial)) in (1..).zip(plan.trainings()) {
        let trained = trials.train_one(arm, trial, all - position);
        if trials.has_begun(arm, trial)? {
            folder.keep();
        }
        let trained = trained?;
        if let Some(asked) = setup.stop.requested() {
            tracing::info!("stopped; --resume goes on with the comparison");
            return Err(TrainError::Stopped(asked));
        }
        trials.same_data(&arms[0], &trained)?;
        arms[number].push(trained);
    }

    let comparison = Comparison::of(plan, &arms, &setup.config, &folder);
    if let Some(grid) = &plan.grid {
        draw_grid(&folder.grid(), grid, &comparison)?;
    }
    curves::draw(&folder.curves(), &figure(setup, plan, &arms, &comparison))?;
    let json = super::to_json(&comparison)?;
    folder.write(RunFolder::COMPARISON_CSV, &comparison.csv())?;
    folder.write(RunFolder::COMPARISON, &format!("{json}\n"))?;
    Ok(comparison)
}

/// The comparison that `--output` holds; none when there is none and that is all right.
fn earlier(
    resume: Resume,
    given: &Settings,
    run: &RunArgs,
) -> Result<Option<(RunFolder, CompareFile)>, TrainError> {
    let Some(output) = &given.output else {
        let text = "--resume needs --output, the folder of the comparison to go on with";
        return Err(UsageError::new(text).into());
    };
    if resume == Resume::Yes && run.config.is_some() {
        let text = "--resume takes its settings from the comparison: --config cannot be given";
        return Err(UsageError::new(text).into());
    }
    match CompareFile::read(output)? {
        None => {
            RunFolderError::no_run(output, true, resume == Resume::Auto).map_or(Ok(None), |e| Err(e.into()))
        }
        Some(file) => Ok(RunFolder::existing(output)?.map(|folder| (folder, file))),
    }
}

/// Removes what an earlier comparison left where this one is about to write, so that going on with this
/// one never takes it for its own. Nothing is removed where something is in the way.
fn clear(folder: &RunFolder, plan: &Plan, setup: &Setup, overwrite: bool) -> Result<(), TrainError> {
    let mut earlier = Vec::new();
    for (_, arm, trial) in plan.trainings() {
        let name = trial_name(arm, arm.trial(&setup.config, trial)?.training.stream.seed);
        let path = folder.path().join(name);
        // Beside no comparison, a folder of that name holds a run of its own.
        RunFolder::check(&path, overwrite && folder.is_comparison())?;
        earlier.extend(RunFolder::existing(&path)?);
    }
    folder.warn_of_runs_within(&earlier)?;
    folder.clear()?;
    earlier.iter().try_for_each(RunFolder::clear)?;
    Ok(())
}

/// Name of the folder of one training.
fn trial_name(arm: Arm, seed: u64) -> String {
    format!("{}-seed-{seed}", arm.name())
}

/// Where the trainings of a comparison take place.
struct Trials<'a> {
    setup: &'a Setup,
    loaders: &'a Loaders,
    folder: &'a RunFolder,
    plan: &'a Plan,
    /// Whether trainings that are there belong to this comparison.
    resumes: bool,
}

impl Trials<'_> {
    /// Trains, goes on with a training, or finds it finished; `following` others come after it.
    fn train_one(&self, arm: Arm, trial: u32, following: u64) -> Result<Trained, TrainError> {
        let Trials { setup, loaders, folder, plan, resumes } = self;
        let config = arm.trial(&setup.config, trial)?;
        let path = folder.path().join(trial_name(arm, config.training.stream.seed));
        let (trials, number) = (plan.trials, trial + 1);
        let (folder, point) = match RunFolder::open(&path)? {
            Some((folder, earlier)) if *resumes => {
                config.settings.clone().over_run(&earlier.settings, Resume::Auto)?;
                let point = ResumePoint::find(&folder, earlier, &config)?;
                (folder, Some(point))
            }
            _ => (RunFolder::create(&path, false)?, None),
        };
        if let Some(point) = &point
            && let Some(trained) = finished(&config, &folder, point)?
        {
            tracing::info!(arm = arm.name(), trial = number, trials, "trial, finished before");
            return Ok(trained);
        }
        tracing::info!(arm = arm.name(), trial = number, trials, "trial");
        let job = TrainingJob {
            config: &config,
            loaders,
            device: setup.device,
            folder: Some(&folder),
            peers: None,
            stop: &setup.stop,
        };
        let title = arm.title(setup.config.training.stream.mixing);
        let label = format!("{title} {number}/{trials}");
        train(&job, point, &mut setup.observers(&config, label, following, &folder))
    }

    /// Whether a training was begun, so that there is something to go on with.
    fn has_begun(&self, arm: Arm, trial: u32) -> Result<bool, TrainError> {
        let seed = arm.trial(&self.setup.config, trial)?.training.stream.seed;
        Ok(self.folder.path().join(trial_name(arm, seed)).is_dir())
    }

    /// A comparison that goes on with loaders of other data would compare nothing.
    fn same_data(&self, before: &[Trained], trained: &Trained) -> Result<(), TrainError> {
        let now = &trained.outcome;
        match before.first().map(|first| &first.outcome) {
            Some(first) if first.dataset_digest != now.dataset_digest => Err(TrainError::OtherData {
                dataset: first.dataset.clone(),
                detail: format!("{} was trained on {}", now.checkpoint, now.dataset),
            }),
            _ => Ok(()),
        }
    }
}

/// Both arms; of a grid, training without mixup and the field with the highest accuracy.
fn figure<'a>(setup: &Setup, plan: &Plan, arms: &'a [Vec<Trained>], comparison: &Comparison) -> Figure<'a> {
    let training = &setup.config.training;
    let best = comparison.best();
    let what = match (&plan.grid, best) {
        (Some(_), Some(best)) => {
            let (title, fields) = (plan.arms[best].title(training.stream.mixing), plan.arms.len() - 1);
            format!("{title}: the highest test accuracy of {}; ", counted(fields as u64, "field"))
        }
        _ if training.stream.is_mixed() => format!("{}; ", curves::stream_words(&training.stream)),
        _ => String::new(),
    };
    let trials = match plan.trials {
        1 => "one trial each".to_owned(),
        trials => format!("bold: mean, thin: each of {trials} trials"),
    };
    let limits = comparison.limits();
    let shown = [Some(0), best].into_iter().flatten();
    let arm = |number: usize| curves::Arm {
        name: plan.arms[number].title(training.stream.mixing),
        trials: arms[number].iter().map(|trained| trained.history.as_slice()).collect(),
    };
    Figure {
        title: format!(
            "{} · {} · {} · {}",
            way_of(training.stream.mixing),
            training.preset.name(),
            training.model.name(),
            comparison.dataset
        ),
        subtitle: format!("{what}{trials}{}", limits.map_or(String::new(), |limits| format!("; {limits}"))),
        soft_targets: true,
        arms: shown.map(arm).collect(),
    }
}

fn table(plan: &Plan, comparison: &Comparison, mixing: Option<Mixing>) -> Table {
    let columns = [
        "",
        "test accuracy",
        "difference",
        "95 % CI",
        "training loss",
        "test loss",
        "images/s",
        "waiting for data",
    ];
    let mut table = Table::with_header(columns);
    for (arm, result) in plan.arms.iter().zip(&comparison.arms) {
        table.row([
            arm.title(mixing),
            format!("{} %", result.test_accuracy.show(100.0, 2)),
            result.difference.map_or(String::new(), |difference| difference.show()),
            result.difference.map_or(String::new(), |difference| difference.show_interval()),
            result.train_loss.show(1.0, 4),
            result.test_loss.map_or("–".to_owned(), |loss| loss.show(1.0, 4)),
            result.images_per_second.show(1.0, 0),
            format!("{} %", result.data_wait_ratio.show(100.0, 1)),
        ]);
    }
    table
}

fn summary(comparison: &Comparison, mixing: Option<Mixing>) -> String {
    let Comparison { dataset, epochs, trials, difference, curves, heat_map, .. } = comparison;
    let mut lines = Vec::new();
    if let Some(difference) = difference {
        let way = way_of(mixing);
        lines.push(format!("difference (with {way} − without): {}", difference.verdict()));
        lines.extend(difference.warning().map(|warning| format!("warning: {warning}")));
    }
    let spread = if *trials > 1 { ", mean ± standard deviation" } else { "" };
    let (epochs, each) = (counted(*epochs, "epoch"), counted((*trials).into(), "trial"));
    lines.push(format!("{dataset}, {epochs}, {each} of each{spread}"));
    lines.extend(comparison.limits());
    if *trials > 1 {
        lines.push(format!("CI: Student's t over n = {trials} pairs of equal seed, in percentage points"));
    }
    if heat_map.is_some() && *trials > 1 {
        let shown =
            comparison.arms.iter().filter(|arm| arm.difference.is_some_and(|it| it.is_shown())).count();
        let all = comparison.arms.len() - 1;
        lines.push(format!(
            "a difference is shown in {shown} of {}; each interval holds by itself: of 20 about one leaves out 0 by chance",
            counted(all as u64, "field")
        ));
        let warning = comparison.arms.iter().find_map(|arm| arm.difference?.warning());
        lines.extend(warning.map(|warning| format!("warning: {warning}")));
    }
    lines.push(
        "training losses are not comparable between the rows where images are mixed; test losses are"
            .to_owned(),
    );
    lines.push(format!("curves: {curves}"));
    lines.extend(heat_map.iter().map(|path| format!("heat map: {path}")));
    lines.join("\n")
}
