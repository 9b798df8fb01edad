//! `cargo xtask soak`: a long training among loaders that are killed, stopped and added every few seconds.
//!
//! One loader stays from beginning to end. What it and the trainer hold (memory, tasks, descriptors) is looked at
//! each second: memory must not grow once it is warm, and when the disturbance is over, tasks and
//! descriptors must be as many as before it. Beside it runs the same training in calm ([`calm`]); both must
//! come to the same weights.
//!
//! What is deliberately not here: whether each batch is right, which `cargo xtask chaos` looks at.

mod calm;
mod fleet;
mod growth;
mod sample;
mod table;

use crate::children::Children;
use crate::{environment, http, libtorch, place, programs, say};
use anyhow::{Context as _, Result, bail, ensure};
use calm::Calm;
use fleet::Fleet;
use growth::Growth;
use sample::{Counts, Log, Process, Sample};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// As long as the figures in the documents.
const MINUTES: u64 = 30;

/// What is trained on when nobody says: enough that an epoch is some hundred steps.
const DRAWINGS: &str = "synthetic:20000";

/// The share of the time that does not count for growth: code is loaded, pools and caches fill.
const WARM_UP: f64 = 1.0 / 6.0;

/// The growth that is called growth: as much as a leak of sixteen bytes a batch at a hundred batches a second
/// would make, thrice. It must lie outside of twice the standard error.
pub(crate) const MOST_MIB_PER_HOUR: f64 = 16.0;

/// How often is looked.
const TICK: Duration = Duration::from_secs(1);

/// Time between two disturbances.
const PAUSE_SECONDS: std::ops::Range<f64> = 1.0..5.0;

/// In this many looks, the fewest tasks and descriptors count: attempts to reach loaders that are down, and
/// evaluations, come and go.
const QUIET_TICKS: usize = 15;

/// So often is waited for tasks and descriptors to be as before.
const QUIET_TRIES: usize = 8;

/// What programs have to do something that takes them a moment.
const PATIENCE: Duration = Duration::from_secs(120);

/// What may be chosen about a soak.
#[derive(Debug)]
pub(crate) struct Options {
    /// How long loaders are disturbed.
    pub(crate) minutes: u64,
    /// What is trained on, as the programs take it.
    pub(crate) data: Option<String>,
    /// What decides when which loader is disturbed.
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { minutes: MINUTES, data: None, seed: 0 }
    }
}

/// What a soak came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) data: String,
    pub(crate) minutes: f64,
    pub(crate) trained: Value,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) starts: u64,
    pub(crate) trainer: Held,
    pub(crate) loader: Held,
    pub(crate) calm_digest: String,
}

/// What one process held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) growth: Growth,
    /// Of all looks.
    pub(crate) max: Sample,
    pub(crate) before: Counts,
    pub(crate) after: Counts,
}

/// Runs a soak; fails when something grew, or the weights differ.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure!(options.minutes > 0, "--minutes 0 shows nothing");
    let data = options.data.clone().or_else(given_data).unwrap_or_else(|| DRAWINGS.to_owned());
    libtorch::prepare(libtorch::Kind::Cpu)?;
    let programs = programs::build()?;
    let folder = place::at("soak");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let outcome = soak(options, &data, &programs, &folder)?;
    say::result(&table::of(&outcome));
    say::result(&format!("samples: {}", place::short(&folder.join("samples.csv"))));
    let faults = table::faults(&outcome);
    for fault in &faults {
        say::result(&format!("FAILED: {fault}"));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The data of the tests, if there are any.
fn given_data() -> Option<String> {
    environment::variable("MIXFEED_TEST_DATA")?.into_string().ok().filter(|data| !data.is_empty())
}

fn soak(options: &Options, data: &str, programs: &Path, folder: &Path) -> Result<Outcome> {
    let children = Children::new()?;
    say::part("starting loaders and a trainer");
    // All at once, so that they differ.
    let [listen, metrics, loader_metrics, places @ ..] = fleet::free_addresses::<{ 3 + fleet::PLACES }>()?;
    let mut fleet = Fleet::start(&children, programs, data, folder, places, loader_metrics, options.seed)?;
    let trainer_program = programs.join("mixfeed-trainer");
    let result = folder.join("trainer.json");
    let mut command = calm::training(&trainer_program, &folder.join("run"));
    command.args(["--overwrite", "--loaders", &fleet.addresses().join(",")]);
    command.args(["--listen", &listen, "--metrics", &metrics]);
    command.stdout(File::create(&result)?).stderr(File::create(folder.join("trainer.log"))?);
    let trainer = Process { id: children.start(&mut command)?, metrics, tasks: "mixfeed_trainer_tasks" };
    let mut watched = Watched { children: &children, trainer, loader: fleet.lasting(), steps: 0 };
    watched.wait_for_loaders(fleet::AT_FIRST)?;
    let before = watched.quiet()?;

    say::part(&format!("disturbing loaders for {} minutes, seed {}", options.minutes, options.seed));
    let mut calm = Calm::new(&trainer_program, data, folder);
    let mut log = Log::create(&folder.join("samples.csv"))?;
    let (started, time) = (Instant::now(), Duration::from_secs(60 * options.minutes));
    let (mut due, mut told) = (started, Duration::ZERO);
    while started.elapsed() < time {
        sleep(TICK);
        let [trainer, loader] = watched.sample()?;
        log.write(started.elapsed(), trainer, loader)?;
        calm.advance(&children, watched.steps)?;
        if Instant::now() >= due {
            let pause = fleet.disturb(PAUSE_SECONDS)?;
            due = Instant::now() + pause;
        }
        if started.elapsed() >= told + Duration::from_secs(60) {
            told += Duration::from_secs(60);
            say::line(&format!(
                "{} min: step {}, {} kills, {} stops, {} starts, trainer {:.1} MiB, loader {:.1} MiB",
                told.as_secs() / 60,
                watched.steps,
                fleet.kills,
                fleet.stops,
                fleet.starts,
                trainer.mib(),
                loader.mib()
            ));
        }
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;

    say::part("waiting until all is as before");
    fleet.restore(PATIENCE)?;
    watched.wait_for_loaders(fleet::AT_FIRST)?;
    let mut after = watched.quiet()?;
    for _ in 1..QUIET_TRIES {
        if after == before {
            break;
        }
        after = watched.quiet()?;
    }
    let trained = watched.stop(&trainer_program, &listen, &result)?;

    say::part("finishing the training in calm");
    let steps = trained["steps"].as_u64().context("the trainer's result has no steps")?;
    let calm_digest = calm.finish(&children, steps)?;
    let (kills, stops, starts) = (fleet.kills, fleet.stops, fleet.starts);
    children.end()?;
    let held = |samples: &[(Duration, Sample)], before, after| -> Result<Held> {
        let growth = Growth::after(samples, WARM_UP).context("too few samples: soak for longer")?;
        let max = samples.iter().fold(Sample::default(), |max, (_, sample)| max.max(*sample));
        Ok(Held { growth, max, before, after })
    };
    Ok(Outcome {
        data: data.to_owned(),
        minutes,
        trained,
        kills,
        stops,
        starts,
        trainer: held(&log.trainer, before[0], after[0])?,
        loader: held(&log.loader, before[1], after[1])?,
        calm_digest,
    })
}

/// The two processes that stay.
struct Watched<'a> {
    children: &'a Children,
    trainer: Process,
    loader: Process,
    /// What the trainer has done so far.
    steps: u64,
}

impl Watched<'_> {
    /// Looks at both.
    fn sample(&mut self) -> Result<[Sample; 2]> {
        for (process, name) in [(&self.trainer, "trainer"), (&self.loader, "lasting loader")] {
            if let Some(status) = self.children.ended(process.id)? {
                bail!("the {name} ended with {status}; its log is in soak/");
            }
        }
        let (trainer, text) = self.trainer.take()?;
        self.steps = sample::metric(&text, "mixfeed_trainer_steps_total").unwrap_or(0.0) as u64;
        Ok([trainer, self.loader.take()?.0])
    }

    /// The fewest tasks and descriptors of some looks.
    fn quiet(&mut self) -> Result<[Counts; 2]> {
        let mut min: Option<[Counts; 2]> = None;
        for _ in 0..QUIET_TICKS {
            sleep(TICK);
            let now = self.sample()?.map(|sample| sample.counts);
            min = Some(min.map_or(now, |min| [min[0].min(now[0]), min[1].min(now[1])]));
        }
        min.context("nothing was looked at")
    }

    /// Waits until the trainer trains, and reads from so many loaders.
    fn wait_for_loaders(&mut self, wanted: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let serving = "mixfeed_client_replicas{state=\"serving\"}";
        loop {
            // Its metrics are there a moment after it is.
            let metrics = http::get(&self.trainer.metrics, "/metrics").unwrap_or_default();
            let steps = sample::metric(&metrics, "mixfeed_trainer_steps_total").unwrap_or(0.0);
            let now = sample::metric(&metrics, serving).unwrap_or(0.0) as usize;
            if steps > 0.0 && now == wanted {
                return Ok(());
            }
            if let Some(status) = self.children.ended(self.trainer.id)? {
                bail!("the trainer ended with {status}; its log is in soak/");
            }
            ensure!(Instant::now() < deadline, "{now} loaders serve the trainer, not {wanted}");
            sleep(TICK);
        }
    }

    /// Ends the training, with a checkpoint, and returns what it came to.
    fn stop(&self, program: &Path, address: &str, result: &Path) -> Result<Value> {
        let mut stop = Command::new(program);
        crate::process::run(stop.args(["stop", "--trainer", address]))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.children.ended(self.trainer.id)? {
                break status;
            }
            ensure!(Instant::now() < deadline, "the trainer does not end");
            sleep(TICK);
        };
        ensure!(status.success(), "the trainer ended with {status}");
        calm::result(result)
    }
}
