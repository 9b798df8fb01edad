//! The container engine, by its command line.

use super::answers;
use crate::{debian, process, say};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::process::Command;

/// The compose that is installed, the newer one first.
fn compose() -> Option<&'static [&'static str]> {
    if answers("docker", &["compose", "version"]) {
        Some(&["docker", "compose"])
    } else {
        answers("docker-compose", &["version"]).then_some(&["docker-compose"])
    }
}

/// An engine that answers, with its compose.
pub(super) struct Engine {
    /// `docker compose`, or `docker-compose` of old.
    compose: &'static [&'static str],
    /// Without buildx, a new client on an old engine builds with the engine's own builder.
    buildkit: bool,
}

impl Engine {
    /// Looks for one.
    pub(super) fn find() -> Result<Self> {
        if !answers("docker", &["info"]) {
            bail!("no container engine answers (docker info)");
        }
        let buildkit = answers("docker", &["buildx", "version"]);
        if let Some(compose) = compose() {
            return Ok(Engine { compose, buildkit });
        }
        if debian::missing().is_some() || !debian::is_root() {
            bail!("neither docker compose nor docker-compose is installed");
        }
        say::line("neither docker compose nor docker-compose is installed; installing Debian's");
        process::run(Command::new("apt-get").args(["--quiet=2", "update"]))?;
        let install = ["--quiet=2", "--yes", "--no-install-recommends", "install", "docker-compose"];
        process::run(Command::new("apt-get").args(install))?;
        let compose = compose().context("docker-compose was installed and does not run")?;
        Ok(Engine { compose, buildkit })
    }

    /// A command of compose, to which arguments are added.
    pub(super) fn compose(&self) -> Command {
        let mut command = Command::new(self.compose[0]);
        command.args(&self.compose[1..]).env("DOCKER_BUILDKIT", if self.buildkit { "1" } else { "0" });
        command
    }

    /// Builds an image out of a folder with a Dockerfile.
    pub(super) fn build(&self, folder: &std::path::Path, tag: &str) -> Result<()> {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_BUILDKIT", if self.buildkit { "1" } else { "0" });
        process::run(docker.args(["build", "--quiet", "--tag", tag]).arg(folder))
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<()> {
        process::run(Command::new("docker").args(arguments))
    }

    /// What a command prints, without the end of the last line.
    pub(super) fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = process::output("docker", arguments)?.context("docker is gone")?;
        Ok(output.trim_end().to_owned())
    }

    pub(super) fn image_bytes(&self, tag: &str) -> Result<u64> {
        let size = self.output(&["image", "inspect", "--format", "{{.Size}}", tag])?;
        size.parse().with_context(|| format!("{size} is no size"))
    }

    /// A label of an image; none where there is no such image, or no such label.
    pub(super) fn label(&self, tag: &str, label: &str) -> Option<String> {
        let format = format!("{{{{index .Config.Labels \"{label}\"}}}}");
        self.output(&["image", "inspect", "--format", &format, tag]).ok().filter(|value| !value.is_empty())
    }

    pub(super) fn exit_code(&self, container: &str) -> Result<String> {
        self.output(&["inspect", "--format", "{{.State.ExitCode}}", container])
    }

    /// The container's address, which this machine reaches, too.
    pub(super) fn address(&self, container: &str) -> Result<String> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = self.output(&["inspect", "--format", format, container])?;
        addresses.split_whitespace().next().map(str::to_owned).context("the container has no address")
    }

    /// Checks what the container runs with.
    pub(super) fn hardened(&self, container: &str) -> Result<()> {
        let text = self.output(&["inspect", container])?;
        let all: Value = serde_json::from_str(&text)?;
        let (config, host) = (&all[0]["Config"], &all[0]["HostConfig"]);
        let user = config["User"].as_str().unwrap_or_default();
        let numeric = user.split(':').all(|part| part.parse::<u32>().is_ok_and(|id| id > 0));
        ensure!(numeric, "runs as user `{user}`");
        ensure!(host["ReadonlyRootfs"] == true, "its file system can be written");
        ensure!(host["CapDrop"] == serde_json::json!(["ALL"]), "capabilities are left: {}", host["CapDrop"]);
        ensure!(config["StopSignal"] == "SIGTERM", "its stop signal is {}", config["StopSignal"]);
        Ok(())
    }
}
