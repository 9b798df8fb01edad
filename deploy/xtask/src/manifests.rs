//! `cargo xtask manifests`: what is written for other people's programs, checked by those programs. Every
//! Kubernetes overlay is rendered and held against the schemas of Kubernetes and of the custom resources in it, and the
//! chart has to make the same objects; Prometheus' rules are run on made-up series, with the labels that targets have
//! on one machine and with those that they get in a cluster. Scripts, Dockerfiles and workflows go through their linters.
//!
//! Nothing is deployed, and nothing asks a cluster.

mod linters;
mod overlay;
#[cfg(test)]
mod tests;
mod tools;
mod unit;

use crate::report::Report;
use crate::{debian, place, process};
use anyhow::{Context as _, Result, ensure};
use overlay::{CHART, OVERLAYS, Overlay, folder, found, kustomize, planted, template, validate};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tools::Tools;

/// A field as somebody might mistype it, to see that the check sees it: one of Kubernetes', one of a custom resource.
const PLANTED: [(&str, &str); 2] =
    [("readinessProbe:", "readynessProbe:"), ("podMetricsEndpoints:", "podMetricEndpoints:")];

/// What no schema finds in the group of trainers, each in one object and right by itself.
const APART: [(&str, &str); 4] = [
    ("completions: 2", "completions: 4"),
    ("subdomain: mixfeed-trainer", "subdomain: mixfeed-loader"),
    ("containerPort: 29500", "containerPort: 29501"),
    ("- ReadWriteMany", "- ReadWriteOnce"),
];

/// Overlays of which a second training is made: the plain one, and the one with the most names in it.
const SECONDS: [&str; 2] = ["cpu", "trainers"];

/// Values of the chart that no overlay is made of.
const OTHERS: [&str; 4] = [
    "sharedData.enabled=true,sharedData.existingClaim=mine,runs.existingClaim=theirs,loader.replicas=0",
    "tls.enabled=true,tls.loaderSecret=one,tls.trainerSecret=other,images.tag=1.2.3,images.pullSecrets[0].name=key,\
     loader.env.MIXFEED_LOADER_STREAM_MEMORY=1GiB,trainer.env.MIXFEED_TRAINER_EPOCHS=90,autoscale.enabled=true",
    "trainer.enabled=false,loader.fetch=null,sharedData.enabled=true,sharedData.storageClass=slow,\
     runs.storageClass=fast,monitoring.namespace=elsewhere",
    "trainer.replicas=16,trainer.gpu=true,trainer.env.MIXFEED_TRAINER_VIRTUAL_SHARDS=16,tls.enabled=true,\
     monitoring.enabled=true",
];

/// Runs the checks.
pub(crate) fn run() -> Report {
    let mut report = Report::new("deploy, manifests");
    let what = "Kubernetes overlays, the chart and linters";
    let tools = match Tools::missing() {
        Some(why) => {
            report.lacks("kubernetes", what, &why);
            None
        }
        None => match Tools::prepare() {
            Ok(tools) => Some(tools),
            Err(error) => {
                report.lacks("python", what, &format!("{error:#}"));
                None
            }
        },
    };
    if let Some(tools) = &tools {
        overlays(&mut report, tools);
        chart(&mut report, tools);
        linters::check(&mut report, tools);
    }
    match (debian::missing(), &tools) {
        (Some(why), _) => report.lacks("debian", "Prometheus' configuration and rules", &why),
        (None, tools) => rules(&mut report, tools.as_ref()),
    }
    unit::check(&mut report);
    report
}

fn overlays(report: &mut Report, tools: &Tools) {
    for overlay in &OVERLAYS {
        report
            .check(&format!("the overlay {} is rendered and is what Kubernetes takes", overlay.name), || {
                validate(tools, &overlay.render(tools)?)
            });
    }
    report.check("custom resources are what their operators take", || {
        let files = OVERLAYS.iter().map(|overlay| overlay.render(tools)).collect::<Result<Vec<_>>>()?;
        tools.script("custom.py", &files.iter().map(PathBuf::as_path).collect::<Vec<_>>())
    });
    report.check("a mistyped field in a manifest is found", || {
        let [(kubernetes, mistyped), (custom, also_mistyped)] = PLANTED;
        let file = of("monitoring")?.render(tools)?;
        found(mistyped, validate(tools, &planted(&file, kubernetes, mistyped)?))?;
        let planted = planted(&file, custom, also_mistyped)?;
        found(also_mistyped, tools.script("custom.py", &[&planted]))
    });
    report.check("trainers of a group find each other, and what does not fit is found", || {
        let group = of("trainers")?.render(tools)?;
        for file in [&group, &second(tools, "trainers")?] {
            tools.script("group.py", &[file])?;
        }
        APART
            .iter()
            .try_for_each(|(from, to)| found(to, tools.script("group.py", &[&planted(&group, from, to)?])))
    });
    report.check("two trainings in one namespace have nothing in common", || {
        for name in SECONDS {
            let first = of(name)?.render(tools)?;
            tools.script("apart.py", &[&first, &second(tools, name)?])?;
            found("a training beside itself", tools.script("apart.py", &[&first, &first]))?;
        }
        Ok(())
    });
}

/// The overlay of that name.
fn of(name: &str) -> Result<&'static Overlay> {
    OVERLAYS.iter().find(|overlay| overlay.name == name).context("no such overlay")
}

/// Renders the overlay that the documentation gives for a second training, made of that one.
fn second(tools: &Tools, of: &str) -> Result<PathBuf> {
    let operations = fs::read_to_string(place::at("deploy/docs/OPERATIONS.md"))?;
    let text = second_overlay(&operations).context("OPERATIONS.md gives no overlay for a second training")?;
    let name = format!("second.{of}");
    let inside = folder()?.join(&name);
    fs::create_dir_all(&inside)?;
    let text = text.replace("../cpu", &format!("../../../deploy/kubernetes/overlays/{of}"));
    fs::write(inside.join("kustomization.yaml"), text)?;
    kustomize(tools, &name, &inside)
}

/// The indented block with a `namePrefix`.
fn second_overlay(operations: &str) -> Option<String> {
    let lines: Vec<_> = operations.lines().collect();
    let block = lines.split(|line| !line.starts_with("    ") && !line.is_empty());
    let block =
        block.into_iter().find(|block| block.iter().any(|line| line.trim().starts_with("namePrefix:")))?;
    Some(block.iter().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n"))
}

fn chart(report: &mut Report, tools: &Tools) {
    let lint = |values: &str| {
        let mut helm = Command::new(&tools.helm);
        process::run(helm.args(["lint", "--quiet", "--strict"]).arg(place::at(CHART)).args(["--set", values]))
    };
    report.check("the chart is without faults, and refuses values that it does not know", || {
        lint("")?;
        for wrong in
            ["loader.replica=3", "loader.replicas=two", "trainer.replicas=3", "trainer.run=../elsewhere"]
        {
            found(wrong, lint(wrong))?;
        }
        Ok(())
    });
    report.check("the chart's other values, and names that are numbers, make what Kubernetes takes", || {
        OTHERS.iter().try_for_each(|values| validate(tools, &template(tools, "42", "others.chart", values)?))
    });
    report.check("the chart makes what the overlays make", || {
        for overlay in &OVERLAYS {
            tools.script("same.py", &[&overlay.render(tools)?, &overlay.template(tools)?])?;
        }
        SECONDS.iter().try_for_each(|name| {
            let release = template(tools, "second", &format!("second.{name}.chart"), of(name)?.values)?;
            let second = second(tools, name)?;
            tools.script("same.py", &[&second, &release])?;
            let [(from, to), _] = PLANTED;
            found("a field that differs", tools.script("same.py", &[&second, &planted(&release, from, to)?]))
        })
    });
}

fn rules(report: &mut Report, tools: Option<&Tools>) {
    let promtool = match debian::unpack("prometheus") {
        Ok(root) => root.join("usr/bin/promtool"),
        // There, it can be had: that it cannot is worth knowing.
        Err(error) if debian::is_root() => {
            report.check("the tool that checks Prometheus' rules can be had", || Err::<(), _>(error));
            return;
        }
        Err(error) => {
            report.lacks("debian", "Prometheus' configuration and rules", &format!("{error:#}"));
            return;
        }
    };
    let observe = place::at("deploy/observe");
    report.check("Prometheus takes its configuration, and each alert fires when it should", || {
        run_in(&observe, &promtool, &["check", "config", "prometheus.yaml"])?;
        run_in(&observe, &promtool, &["test", "rules", "alerts.test.yaml"])
    });
    let Some(tools) = tools else { return };
    report.check("each alert fires in a cluster, too, and not without what makes it", || {
        let manifests = of("monitoring")?.render(tools)?;
        let test = |manifests: &Path| {
            let rules = folder()?.join("rules");
            tools.script("targets.py", &[manifests, &observe.join("alerts.test.yaml"), &rules])?;
            run_in(&rules, &promtool, &["test", "rules", "rules.test.yaml"])
        };
        test(&manifests)?;
        // The job as the operator names it, which no alert goes by.
        let unlabelled = planted(&manifests, "targetLabel: job", "targetLabel: workload")?;
        found("targets without their job", test(&unlabelled))
    });
}

fn run_in(folder: &Path, program: &Path, arguments: &[&str]) -> Result<()> {
    ensure!(program.exists(), "{} was unpacked and is gone", place::short(program));
    process::run(Command::new(program).args(arguments).current_dir(folder))
}
