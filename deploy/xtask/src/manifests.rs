//! `cargo xtask manifests`: what is written for other people's programs, checked by those programs. Every
//! Kubernetes overlay is rendered by the oldest kustomize that it is meant for and held against
//! Kubernetes' own schemas; Prometheus' rules are run on made-up series.
//!
//! Nothing is deployed, and nothing asks a cluster.

use crate::report::Report;
use crate::{debian, place, process, venv};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OVERLAYS: [&str; 3] = ["cpu", "gpu", "autoscale"];

/// The oldest Kubernetes that takes every field as it is used, and the newest whose schemas are pinned.
const KUBERNETES: [&str; 2] = ["1.29", "1.37"];

/// A field as somebody might mistype it, to see that the check sees it.
const PLANTED: (&str, &str) = ("readinessProbe:", "readynessProbe:");

/// Runs the checks.
pub(crate) fn run() -> Report {
    let mut report = Report::new("deploy, manifests");
    let tools = match debian::missing() {
        Some(why) => Err(why),
        None => match tools() {
            // There, they can be had: that they cannot is worth knowing.
            Err(error) if debian::is_root() => {
                report.check("the tools that check manifests can be had", || Err::<(), _>(error));
                return report;
            }
            other => other.map_err(|error| format!("{error:#}")),
        },
    };
    let (kubectl, promtool, python) = match tools {
        Ok(tools) => tools,
        Err(why) => {
            for what in ["Kubernetes overlays", "Prometheus' configuration and rules"] {
                report.lacks("debian", what, &why);
            }
            return report;
        }
    };
    for overlay in OVERLAYS {
        report.check(&format!("the overlay {overlay} is rendered and is what Kubernetes takes"), || {
            let rendered = render(&kubectl, overlay)?;
            KUBERNETES.iter().try_for_each(|version| validate(&python, &rendered, version))
        });
    }
    report.check("a mistyped field in a manifest is found", || {
        let rendered = render(&kubectl, OVERLAYS[0])?;
        let text = fs::read_to_string(&rendered)?;
        if !text.contains(PLANTED.0) {
            bail!("there is no {} to mistype", PLANTED.0);
        }
        let planted = rendered.with_file_name("planted.yaml");
        fs::write(&planted, text.replacen(PLANTED.0, PLANTED.1, 1))?;
        match validate(&python, &planted, KUBERNETES[1]) {
            Ok(()) => bail!("{} passed", PLANTED.1),
            Err(_found) => Ok(()),
        }
    });
    report.check("Prometheus takes its configuration, and each alert fires when it should", || {
        promtool_checks(&promtool)
    });
    report
}

/// kubectl and promtool of Debian, and a Python with Kubernetes' schemas.
fn tools() -> Result<(PathBuf, PathBuf, PathBuf)> {
    let kubectl = debian::unpack("kubernetes-client")?.join("usr/bin/kubectl");
    let promtool = debian::unpack("prometheus")?.join("usr/bin/promtool");
    Ok((kubectl, promtool, venv::prepare()?))
}

fn render(kubectl: &Path, overlay: &str) -> Result<PathBuf> {
    let folder = place::at("deploy/kubernetes/overlays").join(overlay);
    let text = process::output(kubectl, &["kustomize", &folder.to_string_lossy()])?
        .context("kubectl was unpacked and is gone")?;
    let output = place::at("target/manifests");
    fs::create_dir_all(&output)?;
    let file = output.join(format!("{overlay}.yaml"));
    fs::write(&file, text)?;
    Ok(file)
}

/// Strict: a field that Kubernetes would silently drop is an error.
fn validate(python: &Path, file: &Path, version: &str) -> Result<()> {
    let program = python.with_file_name("kubernetes-validate");
    process::run(Command::new(program).args(["--quiet", "--strict", "-k", version]).arg(file))
}

fn promtool_checks(promtool: &Path) -> Result<()> {
    let observe = place::at("deploy/observe");
    for arguments in [["check", "config", "prometheus.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        process::run(Command::new(promtool).args(arguments).current_dir(&observe))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        fs::read_to_string(place::at(path)).unwrap()
    }

    /// What stands between two marks, each time.
    fn between<'a>(text: &'a str, start: &str, end: &[char]) -> Vec<&'a str> {
        text.split(start).skip(1).filter_map(|rest| rest.split(end).next()).collect()
    }

    #[test]
    fn every_crate_is_in_the_dockerfiles_layer_of_dependencies() {
        let (workspace, dockerfile) = (text("Cargo.toml"), text("deploy/Dockerfile"));
        let context = text(".dockerignore");
        for member in crate::unsafety::members(&workspace) {
            assert!(dockerfile.contains(&format!("COPY {member}/Cargo.toml {member}/\n")), "{member}");
            let seen = |path: &&Path| context.contains(&format!("\n!{}\n", path.display()));
            assert!(Path::new(member).ancestors().any(|path| seen(&path)), ".dockerignore: {member}");
        }
    }

    #[test]
    fn images_are_of_the_release_that_the_workspace_is() {
        let workspace = text("Cargo.toml");
        let release = between(&workspace, "\nversion = \"", &['"'])[0];
        let label = format!("org.opencontainers.image.version=\"{release}\"");
        assert_eq!(text("deploy/Dockerfile").matches(&label).count(), 2, "{label}");
        for overlay in ["cpu", "gpu"] {
            let overlay = text(&format!("deploy/kubernetes/overlays/{overlay}/kustomization.yaml"));
            assert!(between(&overlay, "newTag: ", &['}']).iter().all(|tag| *tag == release), "{overlay}");
        }
    }

    #[test]
    fn operations_tells_every_alert_and_every_variable() {
        let operations = text("deploy/docs/OPERATIONS.md");
        let rules = text("deploy/observe/alerts.yaml");
        let alerts = between(&rules, "alert: ", &['\n']);
        assert!(!alerts.is_empty());
        for alert in alerts {
            assert!(operations.contains(&format!("| `{alert}` |")), "{alert}");
            assert!(text("deploy/observe/alerts.test.yaml").contains(alert), "{alert}");
        }
        // Names of images and the commit are for those who build; what a user sets is told.
        let compose = text("deploy/compose.yaml");
        let variables = between(&compose, "${", &[':', '}']);
        assert!(variables.len() > 10);
        for variable in variables.iter().filter(|name| !name.ends_with("_IMAGE")) {
            assert!(operations.contains(variable), "{variable}");
        }
    }

    #[test]
    fn operations_tells_every_metric_that_prometheus_is_asked_for() {
        let operations = text("deploy/docs/OPERATIONS.md");
        for file in ["deploy/observe/alerts.yaml", "deploy/observe/grafana/dashboards/mixfeed.json"] {
            let asked = text(file);
            for metric in between(&asked, "mixfeed_", &[' ', '[', '{', ')', ',', '"', '\n', '<', '.']) {
                // The table leaves out what a row's metrics have in common, and a histogram has series.
                let name = metric.trim_end_matches("_bucket");
                let (part, rest) = name.split_once('_').unwrap();
                let known = operations.contains(&format!("`mixfeed_{name}"))
                    || operations.contains(&format!("`_{rest}`"));
                assert!(known, "{file}: mixfeed_{part}_{rest}");
            }
        }
    }
}
