//! Real loader processes, and trainings of a moment, for the tests of this folder.

#![allow(dead_code)] // Each test binary uses its part.

use mixfeed_ops::testing;
use mixfeed_testing::Serving;
use mixfeed_trainer::config::{RunConfig, Settings};
use mixfeed_trainer::error::TrainError;
use mixfeed_trainer::feed::loaders::Loaders;
use mixfeed_trainer::learn::model::ModelKind;
use mixfeed_trainer::machine::stop::{Stop, StopCause};
use mixfeed_trainer::run::observer::{Observer, Step};
use mixfeed_trainer::run::run_folder::RunFolder;
use mixfeed_trainer::train::resume::ResumePoint;
use mixfeed_trainer::train::{Trained, TrainingJob, train};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{OnceLock, PoisonError, RwLock};
use tch::Device;

/// A loader process; dropping it kills it.
pub(crate) struct LoaderProcess {
    serving: Serving,
    pub(crate) address: String,
}

impl LoaderProcess {
    /// Starts a loader and waits until it is ready.
    pub(crate) fn start(data: &str, workers: usize) -> Self {
        Self::start_with(data, workers, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(data: &str, workers: usize, flags: &[&str]) -> Self {
        let (workers, listen) = (workers.to_string(), ["--listen", "127.0.0.1:0"]);
        let own = [&["--data", data, "--workers", &workers][..], &listen, flags].concat();
        let mut serving = Serving::start(&loader_binary(), &own);
        drop(serving.lines());
        Self { address: serving.address.clone(), serving }
    }

    /// SIGKILL: the process is gone at once, and says nothing to anybody.
    pub(crate) fn kill(&mut self) {
        self.serving.kill();
    }
}

/// The loader's binary: the one that whoever built the tests has built with them, or else built here if it is not fresh.
/// Cargo builds those of other packages only by chance.
pub(crate) fn loader_binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        if let Some(built) = testing::loader() {
            return built;
        }
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap().to_owned();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "mixfeed-loader", "--bins", "--target-dir"]);
        cargo.arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        // What cargo tells a test of its package would tell build scripts that something changed (ring's, for one), and half
        // of the tree would be built anew, here and at the next build.
        for name in testing::names_of_variables(&["CARGO_PKG_", "CARGO_MANIFEST_"]) {
            cargo.env_remove(name);
        }
        assert!(cargo.status().unwrap().success(), "the loader builds");
        profile.join("mixfeed-loader")
    };
    BINARY.get_or_init(build).clone()
}

/// A training's settings: small, on the CPU, with two threads.
pub(crate) fn small() -> Settings {
    Settings {
        limit: Some(256),
        batch_size: Some(32),
        epochs: Some(2),
        threads: Some(2),
        loader_timeout: Some("30s".parse().unwrap()),
        ..Settings::default()
    }
}

/// Trains in this process.
pub(crate) fn run(settings: Settings, observer: &mut dyn Observer) -> Trained {
    let output = tempfile::tempdir().unwrap();
    run_in(output.path(), settings, observer, &Stop::default()).unwrap()
}

/// Held alone by a training that draws.
static DRAWING: RwLock<()> = RwLock::new(());

/// Trains in this process; goes on with the run that the folder holds, if it holds one.
pub(crate) fn run_in(
    output: &Path,
    settings: Settings,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Trained, TrainError> {
    let config: RunConfig = settings.check().unwrap();
    // Networks from files draw, as dropout does, and libtorch's generator is the process's.
    let draws = matches!(config.training.model, ModelKind::TorchScript(_));
    let _alone = draws.then(|| DRAWING.write().unwrap_or_else(PoisonError::into_inner));
    let _beside = (!draws).then(|| DRAWING.read().unwrap_or_else(PoisonError::into_inner));
    tch::set_num_threads(config.threads as i32);
    let (folder, resume) = match RunFolder::open(output)? {
        Some((folder, run)) => {
            let point = ResumePoint::find(&folder, run, &config)?;
            (folder, Some(point))
        }
        None => (RunFolder::create(output, false)?, None),
    };
    let loaders = Loaders::of(&config)?;
    let job = TrainingJob {
        config: &config,
        loaders: &loaders,
        device: Device::Cpu,
        folder: Some(&folder),
        peers: None,
        stop,
    };
    train(&job, resume, observer)
}

/// Watches nothing.
pub(crate) struct Unwatched;

impl Observer for Unwatched {}

/// Asks for the end when so many steps are done.
pub(crate) struct StopAt {
    pub(crate) step: u64,
    pub(crate) stop: Stop,
    pub(crate) asked: StopCause,
}

impl Observer for StopAt {
    fn stepped(&mut self, step: &Step) {
        if step.done == self.step {
            self.stop.request(self.asked);
        }
    }
}
