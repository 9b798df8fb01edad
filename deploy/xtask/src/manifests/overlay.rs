//! The overlays, rendered, held against schemas, and beside them what the chart makes of the same wishes.

use super::tools::Tools;
use crate::{place, process};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An overlay, and the chart's values that are to come to the same.
pub(super) struct Overlay {
    pub(super) name: &'static str,
    pub(super) values: &'static str,
}

pub(super) const OVERLAYS: [Overlay; 8] = [
    Overlay { name: "cpu", values: "" },
    Overlay { name: "gpu", values: "trainer.gpu=true" },
    Overlay {
        name: "small",
        values: "loader.replicas=1,loader.resources.requests.cpu=500m,loader.resources.requests.memory=512Mi,\
                 loader.resources.limits.memory=1536Mi,trainer.resources.requests.cpu=1000m,\
                 trainer.resources.requests.memory=1Gi,trainer.resources.limits.memory=2Gi",
    },
    Overlay { name: "monitoring", values: "monitoring.enabled=true" },
    Overlay { name: "autoscale", values: "trainer.gpu=true,monitoring.enabled=true,autoscale.enabled=true" },
    Overlay { name: "tls", values: "tls.enabled=true,tls.certManager=true" },
    Overlay { name: "shared-data", values: "sharedData.enabled=true" },
    Overlay { name: "trainers", values: "trainer.replicas=2" },
];

pub(super) const CHART: &str = "deploy/helm/mixfeed";

/// The oldest Kubernetes that is looked after, and the newest whose schemas are pinned.
const KUBERNETES: [&str; 2] = ["1.30", "1.37"];

/// Where what is rendered goes.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = place::at("target/manifests");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

impl Overlay {
    /// Renders it by kustomize.
    pub(super) fn render(&self, tools: &Tools) -> Result<PathBuf> {
        kustomize(tools, self.name, &place::at("deploy/kubernetes/overlays").join(self.name))
    }

    /// Renders the chart with its values.
    pub(super) fn template(&self, tools: &Tools) -> Result<PathBuf> {
        template(tools, "mixfeed", &format!("{}.chart", self.name), self.values)
    }
}

/// Renders a folder. What kustomize says beside that, as that a field is about to go, is an error.
pub(super) fn kustomize(tools: &Tools, name: &str, from: &Path) -> Result<PathBuf> {
    rendered(Command::new(&tools.kubectl).arg("kustomize").arg(from), name, |stderr| stderr.trim().is_empty())
}

/// Renders the chart as a release of that name.
pub(super) fn template(tools: &Tools, release: &str, name: &str, values: &str) -> Result<PathBuf> {
    let mut helm = Command::new(&tools.helm);
    helm.args(["template", release]).arg(place::at(CHART)).args(["--set", values]);
    // It says that files of the chart are links.
    rendered(&mut helm, name, |_stderr| true)
}

fn rendered(command: &mut Command, name: &str, silence: fn(&str) -> bool) -> Result<PathBuf> {
    let output = command.output().context("what was unpacked cannot be run")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !silence(&stderr) {
        bail!("{name}: {}: {}", output.status, stderr.trim());
    }
    let file = folder()?.join(format!("{name}.yaml"));
    fs::write(&file, output.stdout)?;
    Ok(file)
}

/// Holds objects of Kubernetes against its schemas. Strict: a field that it would silently drop is an error.
pub(super) fn validate(tools: &Tools, file: &Path) -> Result<()> {
    let program = tools.python.with_file_name("kubernetes-validate");
    KUBERNETES.iter().try_for_each(|version| {
        process::run(Command::new(&program).args(["--quiet", "--strict", "-k", version]).arg(file))
    })
}

/// Writes the text of `file` with `from` replaced beside it, as somebody might mistype it.
pub(super) fn planted(file: &Path, from: &str, to: &str) -> Result<PathBuf> {
    let text = fs::read_to_string(file)?;
    if !text.contains(from) {
        bail!("{}: there is no {from} to mistype", place::short(file));
    }
    let planted = file.with_extension("planted.yaml");
    fs::write(&planted, text.replacen(from, to, 1))?;
    Ok(planted)
}

/// A check that has to find something.
pub(super) fn found<T>(what: &str, check: Result<T>) -> Result<()> {
    match check {
        Ok(_passed) => bail!("{what} passed"),
        Err(_found) => Ok(()),
    }
}
