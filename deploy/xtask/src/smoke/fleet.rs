//! The services of the compose file, as a project of their own, so that a fleet that runs on this machine
//! already is not touched.

use super::engine::Engine;
use super::{DATA, EPOCHS, wait_for};
use crate::{http, place, process};
use anyhow::{Context as _, Result, ensure};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

pub(super) const BUILDER_IMAGE: &str = "mixfeed-smoke-builder";
pub(super) const RUNTIME_IMAGE: &str = "mixfeed-smoke-runtime";
pub(super) const PROMETHEUS_IMAGE: &str = "mixfeed-smoke-prometheus";
pub(super) const LOADER_IMAGE: &str = "mixfeed-smoke-loader";
pub(super) const TRAINER_IMAGE: &str = "mixfeed-smoke-trainer";

/// On both bases, and so on all that is built on them. Its value is the stamp of the base.
pub(super) const LABEL: &str = "mixfeed-smoke";

const PROJECT: &str = "mixfeed-smoke";

/// Lines of each container that are shown when something went wrong.
const LOG_LINES: &str = "40";

/// What is waited for.
pub(super) struct Wanted {
    /// Loaders that serve, as the trainer sees it.
    pub(super) loaders: u64,
    /// Steps from now on.
    pub(super) more_steps: u64,
}

/// The project.
pub(super) struct Fleet<'a> {
    engine: &'a Engine,
    prometheus_port: u16,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(engine: &'a Engine) -> Self {
        // Free now, and most likely a moment later; the system does not give it out again at once.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        Fleet { engine, prometheus_port: free.map_or(19090, |address| address.port()) }
    }

    /// Where Prometheus answers.
    pub(super) fn prometheus(&self) -> String {
        format!("127.0.0.1:{}", self.prometheus_port)
    }

    /// The command as a user would give it, in the root, with the variables that a user may set.
    fn command(&self) -> Command {
        let mut command = self.engine.compose();
        command.current_dir(place::root()).envs([
            ("COMPOSE_PROJECT_NAME", PROJECT),
            ("MIXFEED_BUILDER_IMAGE", BUILDER_IMAGE),
            ("MIXFEED_RUNTIME_IMAGE", RUNTIME_IMAGE),
            ("MIXFEED_LOADER_IMAGE", LOADER_IMAGE),
            ("MIXFEED_TRAINER_IMAGE", TRAINER_IMAGE),
            ("MIXFEED_PROMETHEUS_IMAGE", PROMETHEUS_IMAGE),
            ("MIXFEED_DATA", DATA),
            ("MIXFEED_FETCH", "--version"),
            ("MIXFEED_EPOCHS", EPOCHS),
        ]);
        command.env("MIXFEED_PROMETHEUS_PORT", self.prometheus_port.to_string());
        command
    }

    pub(super) fn compose(&self, arguments: &[&str]) -> Result<()> {
        process::run(self.command().args(arguments))
    }

    /// With an override file laid over the compose file.
    pub(super) fn compose_with(&self, file: &str, arguments: &[&str]) -> Result<()> {
        let files = format!("deploy/compose.yaml:{file}");
        process::run(self.command().env("COMPOSE_FILE", files).args(arguments))
    }

    /// Ids of a service's running containers.
    pub(super) fn running(&self, service: &str) -> Result<Vec<String>> {
        let project = format!("label=com.docker.compose.project={PROJECT}");
        let service = format!("label=com.docker.compose.service={service}");
        let ids = self.engine.output(&["ps", "--quiet", "--filter", &project, "--filter", &service])?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    pub(super) fn trainer(&self) -> Result<String> {
        self.running("trainer")?.pop().context("the trainer does not run")
    }

    /// Waits until so many loaders serve the trainer and it has done so many steps more.
    pub(super) fn wait(&self, wanted: &Wanted, patience: Duration) -> Result<()> {
        let mut first = None;
        wait_for(patience, || {
            let address = self.engine.address(&self.trainer()?)?;
            let metrics = http::get(&format!("{address}:9464"), "/metrics")?;
            let steps = value(&metrics, "mixfeed_trainer_steps_total").context("no step was done")?;
            let serving = value(&metrics, "mixfeed_client_replicas{state=\"serving\"}");
            let serving = serving.context("no loader serves")?;
            let more = steps - *first.get_or_insert(steps);
            ensure!(serving == wanted.loaders, "{serving} loaders serve, not {}", wanted.loaders);
            ensure!(more >= wanted.more_steps, "{more} steps were done, not {}", wanted.more_steps);
            Ok(())
        })
    }

    /// Shows the end of every container's log.
    pub(super) fn show_logs(&self) {
        // What matters is the error that this explains.
        let _ = self.compose(&["ps"]);
        let _ = self.compose(&["logs", "--no-color", "--tail", LOG_LINES]);
    }

    /// Removes containers, networks and volumes; images, too, unless they are to be kept.
    pub(super) fn remove(&self, keep_images: bool) -> Result<()> {
        self.compose(&["--profile", "observe", "down", "--volumes", "--remove-orphans", "--timeout", "30"])?;
        if !keep_images {
            for image in [LOADER_IMAGE, TRAINER_IMAGE, PROMETHEUS_IMAGE, RUNTIME_IMAGE, BUILDER_IMAGE] {
                if !self.engine.output(&["images", "--quiet", image])?.is_empty() {
                    self.engine.output(&["rmi", "--force", image])?;
                }
            }
            // What the stages of a build leave behind has no name.
            self.engine.output(&["image", "prune", "--force", "--filter", &format!("label={LABEL}")])?;
        }
        Ok(())
    }
}

/// The value of a series that counts something, in Prometheus' text form.
fn value(metrics: &str, series: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let text = "# TYPE a_total counter\na_total 3\na{state=\"serving\"} 2\nab 7\n";
        assert_eq!(value(text, "a_total"), Some(3));
        assert_eq!(value(text, "a{state=\"serving\"}"), Some(2));
        assert_eq!(value(text, "a"), None);
    }
}
