//! What every command that trains does first: settings, logs, signals, metrics, device.

// stdout is where results go, and `--print-config` is one.
#![allow(clippy::print_stdout)]

use crate::cli::RunArgs;
use crate::config::{RunConfig, Settings};
use crate::device;
use crate::error::TrainError;
use crate::loaders::Loaders;
use crate::metrics::TrainerMetrics;
use crate::observer::{Observer, Observers};
use crate::progress::{Progress, Terminal};
use crate::run_folder::RunFolder;
use crate::stop::Stop;
use mixfeed_ops::{logging, metrics};
use std::path::Path;
use tch::Device;

/// Where run folders are made that have no name.
const RUNS: &str = "runs";

/// Everything that is ready before training begins.
pub(super) struct Setup {
    pub(super) config: RunConfig,
    pub(super) folder: RunFolder,
    pub(super) loaders: Loaders,
    pub(super) device: Device,
    pub(super) stop: Stop,
    terminal: Terminal,
}

/// Gets ready; nothing when `--print-config` was all that was asked for. `folder_name` is what a run
/// folder without a name is called.
pub(super) fn prepare(
    settings: Settings,
    run: &RunArgs,
    folder_name: impl FnOnce(&RunConfig) -> String,
) -> Result<Option<Setup>, TrainError> {
    let config = settings.over(run.config.as_deref())?.check()?;
    if run.print_config {
        print!("{}", mixfeed_ops::config::to_toml(&config.settings)?);
        return Ok(None);
    }
    let terminal = start_logs(config.log_format, &config.log)?;
    let stop = stop_on_signals()?;
    if let Some(address) = config.metrics {
        let bound = metrics::install(address)?;
        tracing::info!(address = %bound, "serving metrics");
    }
    let device = select_device(config.device, config.threads)?;
    let loaders = Loaders::of(&config)?;
    let folder = match &config.output {
        Some(path) => RunFolder::create(path, run.overwrite)?,
        None => RunFolder::create_next(Path::new(RUNS), &folder_name(&config))?,
    };
    tracing::info!(output = %folder.path().display(), run_id = loaders.run_id(), "run folder");
    Ok(Some(Setup { config, folder, loaders, device, stop, terminal }))
}

impl Setup {
    /// Everyone who watches a training; `label` tells trainings of one command apart.
    pub(super) fn observers(&self, label: String) -> Observers {
        let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(Progress::new(&self.terminal, label))];
        if self.config.metrics.is_some() {
            observers.push(Box::new(TrainerMetrics::register()));
        }
        Observers(observers)
    }
}

/// Sends logs to stderr, above whatever is drawn there.
pub(super) fn start_logs(format: logging::LogFormat, filter: &str) -> Result<Terminal, TrainError> {
    let terminal = Terminal::stderr();
    logging::init_with_writer(format, filter, terminal.log_writer())?;
    Ok(terminal)
}

/// Lets signals end the work in good order.
pub(super) fn stop_on_signals() -> Result<Stop, TrainError> {
    Stop::on_signals().map_err(|source| TrainError::Threads { source })
}

/// Finds the device and sets how many threads compute. The first to touch libtorch.
pub(super) fn select_device(choice: device::DeviceChoice, threads: usize) -> Result<Device, TrainError> {
    let device = device::select(choice)?;
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    Ok(device)
}
