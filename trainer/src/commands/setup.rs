//! What every command that trains does first: logs, signals, metrics, device; then loaders and a run
//! folder.

use crate::cli::{RunArgs, ToTrainer};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::feed::loaders::Loaders;
use crate::machine::device;
use crate::machine::stop::Stop;
use crate::remote::{Served, Trainer};
use crate::report::metrics::{self as reported, TrainerMetrics};
use crate::report::progress::{Progress, Terminal};
use crate::run::observer::{Observer, Observers};
use crate::run::run_folder::RunFolder;
use crate::run::tensorboard::TensorBoard;
use mixfeed_ops::grpc::{Access, Reach};
use mixfeed_ops::{exit, println};
use mixfeed_ops::{logging, metrics};
use std::net::SocketAddr;
use std::path::Path;
use tch::Device;

/// Where run folders are made that have no name.
const RUNS: &str = "runs";

/// Everything that is ready before training begins.
pub(super) struct Setup {
    pub(super) config: RunConfig,
    pub(super) device: Device,
    pub(super) stop: Stop,
    served: Option<Served>,
    terminal: Terminal,
}

/// Gets ready; nothing when `--print-config` was all that was asked for. `idle` is what a settings file says to no effect.
pub(super) fn prepare(
    config: RunConfig,
    idle: &[String],
    run: &RunArgs,
) -> Result<Option<Setup>, TrainError> {
    if run.print_config {
        println!("{}", mixfeed_ops::config::to_toml(&config.settings)?.trim_end());
        return Ok(None);
    }
    let terminal = start_logs(config.log_format, &config.log)?;
    if let Some(file) = &run.config {
        idle.iter().for_each(|setting| tracing::warn!(file = %file.display(), "{setting}"));
    }
    let stop = stop_on_signals()?;
    if let Some(address) = config.metrics {
        let bound = metrics::install(address)?;
        tracing::info!(address = %bound, "serving metrics");
    }
    let served = config.listen.map(|address| serve(address, &config.access, &stop)).transpose()?;
    let device = select_device(config.device, config.threads)?;
    config.switches.set(device)?;
    Ok(Some(Setup { config, device, stop, served, terminal }))
}

/// Lets others watch and stop what is about to be done.
fn serve(address: SocketAddr, access: &Access, stop: &Stop) -> Result<Served, TrainError> {
    let served = Served::start(address, access, stop)?;
    let address = served.address();
    let (tls, token) = (access.tls_cert.is_some(), access.auth_token_file.is_some());
    tracing::info!(%address, tls, token, "serving progress");
    if let Some(missing) = access.warning(Reach::of(address)) {
        let stopping = if access.asks_for_proof() { "" } else { "; nobody can stop training from there" };
        tracing::warn!(%address, "this training can be reached from other machines, and {missing}{stopping}");
    }
    Ok(served)
}

/// Connects to a training in another process.
pub(super) fn connect(to: &ToTrainer) -> Result<Trainer, TrainError> {
    let credentials = to.credentials().read()?;
    Ok(Trainer::connect(&to.trainer, &credentials)?)
}

impl Setup {
    /// Finds the loaders and makes a folder for a new run; `name` is what one without a name is called.
    pub(super) fn begin(&self, name: &str, overwrite: bool) -> Result<(Loaders, RunFolder), TrainError> {
        // In this order: where there is no data, no folder is made.
        let loaders = Loaders::of(&self.config)?;
        let folder = match &self.config.output {
            Some(path) => RunFolder::create(path, overwrite)?,
            None => RunFolder::create_next(Path::new(RUNS), name)?,
        };
        tell(&folder, &loaders);
        Ok((loaders, folder))
    }

    /// Finds the loaders of a run that goes on.
    pub(super) fn go_on(&self, folder: &RunFolder) -> Result<Loaders, TrainError> {
        let mut loaders = Loaders::of(&self.config).map_err(|error| match error {
            TrainError::Loader(error) if error.exit_code() == exit::DATA => TrainError::LoaderOfRun(error),
            other => other,
        })?;
        if !self.config.forget_loaders {
            loaders.recall(folder);
        }
        tell(folder, &loaders);
        Ok(loaders)
    }

    /// Everyone who watches the training of `config` in `folder`. Of the trainings of one command, `label` tells them
    /// apart, and `following` come after this one.
    pub(super) fn observers(
        &self,
        config: &RunConfig,
        label: String,
        following: u64,
        folder: &RunFolder,
    ) -> Observers {
        let mut observers: Vec<Box<dyn Observer>> = vec![
            Box::new(Progress::new(&self.terminal, label.clone(), following)),
            Box::new(TensorBoard::new(folder.path(), config)),
        ];
        if let Some(served) = &self.served {
            observers.push(Box::new(served.observer(label, folder.path().display().to_string(), following)));
        }
        if self.config.metrics.is_some() {
            observers.push(Box::new(TrainerMetrics::register()));
        }
        Observers(observers)
    }

    /// Tells those who watch how it ended.
    pub(super) fn end(&self, ended: Result<String, &TrainError>) {
        if self.config.metrics.is_some() && matches!(ended, Err(TrainError::Diverged(_))) {
            reported::diverged(|| self.stop.requested().is_none());
        }
        if let Some(served) = &self.served {
            served.end(ended.unwrap_or_else(|error| format!("ended early: {error}")));
        }
    }
}

fn tell(folder: &RunFolder, loaders: &Loaders) {
    tracing::info!(output = %folder.path().display(), run_id = loaders.run_id(), "run folder");
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
