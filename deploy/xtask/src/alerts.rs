//! `cargo xtask alerts-smoke`: the shipped rules on a Prometheus that scrapes real processes. All is calm while all is
//! well; a loader that is killed three times, and the loss of all loaders, are told within the time that the rules say,
//! and no longer when loaders are back; and none is wanted once the trainer has ended.
//!
//! Which labels targets have in a cluster is not here: `manifests` has it, on made-up series.

use crate::children::Children;
use crate::report::Report;
use crate::smoke::wait_for;
use crate::{debian, http, libtorch, place, programs, say};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Often enough that a loader which is killed every few seconds is seen each time.
const INTERVALS: &str = "global: {scrape_interval: 1s, evaluation_interval: 5s}\n";

/// Longer than any rule here takes to see what it is about: a minute, and what was before it is averaged over two.
const PATIENCE: Duration = Duration::from_secs(240);

/// In which an alert that had no reason would have come.
const CALM: Duration = Duration::from_secs(20);

/// Restarts that are more than an upgrade.
const RESTARTS: usize = 3;

/// Runs it.
pub(crate) fn run() -> Report {
    let mut report = Report::new("deploy, alerts");
    match debian::missing() {
        Some(why) => report.lacks("debian", "alerts on real processes", &why),
        None => {
            walk(&mut report);
        }
    }
    report
}

fn walk(report: &mut Report) -> Option<()> {
    let mut fleet = report.check("a Prometheus scrapes two loaders and a trainer", Fleet::start)?;
    report.check("no alert fires while all is well", || {
        let until = Instant::now() + CALM;
        while Instant::now() < until {
            let firing = fleet.firing()?;
            ensure!(firing.is_empty(), "{firing:?} fire");
            std::thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    })?;
    report.check("a loader that restarts again and again is told", || {
        for _ in 0..RESTARTS {
            let before = fleet.started()?;
            fleet.restart()?;
            wait_for(PATIENCE, || {
                let after = fleet.started()?;
                ensure!(after > before, "a start at {after} s was seen last");
                Ok(())
            })?;
        }
        fleet.wait("MixfeedLoaderRestarts", true)
    })?;
    report.check("the loss of all loaders is told, and no longer when they are back", || {
        fleet.end_loaders()?;
        fleet.wait("MixfeedNoReplica", true)?;
        fleet.wait("MixfeedTargetDown", true)?;
        fleet.start_loaders()?;
        fleet.wait("MixfeedNoReplica", false)?;
        fleet.wait("MixfeedTargetDown", false)
    })?;
    report.check("no loader is wanted once the trainer has ended", || {
        ensure!(fleet.value("mixfeed:loaders_wanted")? > 0.0, "none is wanted by a trainer that trains");
        fleet.children.kill(fleet.trainer)?;
        wait_for(PATIENCE, || {
            let wanted = fleet.value("mixfeed:loaders_wanted")?;
            ensure!(wanted == 0.0, "{wanted} are wanted");
            Ok(())
        })
    })
}

/// Two loaders, a trainer, and who watches them.
struct Fleet {
    children: Children,
    programs: PathBuf,
    folder: PathBuf,
    /// Where each loader serves, and tells its metrics.
    loaders: [(u16, u16); 2],
    running: Vec<u32>,
    trainer: u32,
    prometheus: String,
}

impl Fleet {
    fn start() -> Result<Self> {
        libtorch::prepare(libtorch::Kind::Cpu)?;
        let programs = programs::build()?;
        let prometheus = debian::unpack("prometheus")?.join("usr/bin/prometheus");
        let folder = place::at("target/alerts");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        // Held until all are known, so that they differ; a loader comes back on the ports that it had.
        let held = (0..6).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<Vec<_>>>()?;
        let ports = held.iter().map(|port| Ok(port.local_addr()?.port())).collect::<Result<Vec<_>>>()?;
        drop(held);
        let [one, one_metrics, other, other_metrics, trainer, page] = ports[..] else {
            bail!("six ports were asked for")
        };
        let mut fleet = Fleet {
            children: Children::new()?,
            programs,
            folder,
            loaders: [(one, one_metrics), (other, other_metrics)],
            running: Vec::new(),
            trainer: 0,
            prometheus: format!("127.0.0.1:{page}"),
        };
        fleet.start_loaders()?;
        let mut command = fleet.command("mixfeed-trainer")?;
        command.args(["train", "--model", "linear", "--epochs", "1000000", "--threads", "1", "--loaders"]);
        command
            .arg(format!("127.0.0.1:{one},127.0.0.1:{other}"))
            .arg("--output")
            .arg(fleet.folder.join("run"));
        fleet.trainer = fleet.children.start(command.args(["--metrics", &format!("127.0.0.1:{trainer}")]))?;
        fleet.watch(&prometheus, trainer)?;
        wait_for(PATIENCE, || {
            let up = fleet.value("sum(up{job=~\"mixfeed-.*\"})")?;
            ensure!(up > 2.5, "{up} processes are scraped");
            Ok(())
        })?;
        Ok(fleet)
    }

    fn watch(&self, prometheus: &std::path::Path, trainer: u16) -> Result<()> {
        let rules = place::at("deploy/observe/alerts.yaml");
        let job = |name: &str, ports: &[u16]| {
            let targets: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
            format!("  - job_name: {name}\n    static_configs: [{{targets: [{}]}}]\n", targets.join(", "))
        };
        let settings = format!(
            "{INTERVALS}rule_files: [{}]\nscrape_configs:\n{}{}",
            rules.display(),
            job("mixfeed-loader", &self.loaders.map(|(_, metrics)| metrics)),
            job("mixfeed-trainer", &[trainer])
        );
        let file = self.folder.join("prometheus.yaml");
        fs::write(&file, settings)?;
        let mut command = Command::new(prometheus);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", self.folder.join("metrics").display()));
        command.arg(format!("--web.listen-address={}", self.prometheus));
        self.children.start(command.stderr(File::create(self.folder.join("prometheus.log"))?))?;
        Ok(())
    }

    /// A program of ours, its log kept.
    fn command(&self, name: &str) -> Result<Command> {
        let log = File::options().create(true).append(true).open(self.folder.join(format!("{name}.log")))?;
        let mut command = Command::new(self.programs.join(name));
        command.stderr(log);
        Ok(command)
    }

    fn start_loader(&self, which: usize) -> Result<u32> {
        let (port, metrics) = self.loaders[which];
        let mut command = self.command("mixfeed-loader")?;
        command.args(["serve", "--data", "synthetic:2000", "--workers", "1"]);
        command.args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--metrics",
            &format!("127.0.0.1:{metrics}"),
        ]);
        self.children.start(&mut command)
    }

    fn start_loaders(&mut self) -> Result<()> {
        self.running =
            (0..self.loaders.len()).map(|which| self.start_loader(which)).collect::<Result<_>>()?;
        Ok(())
    }

    fn end_loaders(&mut self) -> Result<()> {
        self.running.drain(..).try_for_each(|id| self.children.kill(id))
    }

    /// Kills the first loader and starts it anew.
    fn restart(&mut self) -> Result<()> {
        self.children.kill(self.running[0])?;
        self.running[0] = self.start_loader(0)?;
        Ok(())
    }

    /// When the first loader was started, as Prometheus knows.
    fn started(&self) -> Result<f64> {
        let (_, metrics) = self.loaders[0];
        self.value(&format!("process_start_time_seconds{{instance=\"127.0.0.1:{metrics}\"}}"))
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let answer: Value = serde_json::from_str(&http::get(&self.prometheus, path)?)?;
        Ok(answer["data"].clone())
    }

    /// The value of an expression that has one.
    fn value(&self, expression: &str) -> Result<f64> {
        let data = self.ask(&format!("/api/v1/query?query={}", http::escaped(expression)))?;
        let value =
            data["result"][0]["value"][1].as_str().with_context(|| format!("no data: {expression}"))?;
        Ok(value.parse()?)
    }

    fn firing(&self) -> Result<Vec<String>> {
        let data = self.ask("/api/v1/alerts")?;
        let alerts = data["alerts"].as_array().context("an answer without alerts")?.iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        Ok(firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
    }

    /// Waits until an alert fires, or does no longer.
    fn wait(&self, alert: &str, wanted: bool) -> Result<()> {
        let started = Instant::now();
        wait_for(PATIENCE, || {
            let firing = self.firing()?;
            ensure!(firing.iter().any(|name| name == alert) == wanted, "what fires is {firing:?}");
            Ok(())
        })?;
        let word = if wanted { "fires" } else { "fires no longer" };
        say::line(&format!("{alert} {word} after {:.0} s", started.elapsed().as_secs_f64()));
        Ok(())
    }
}
