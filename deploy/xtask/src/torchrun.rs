//! `cargo xtask torchrun-smoke`: a group of trainers under PyTorch's torchrun, of the release that the trainer is built
//! with, through the loss of the one that writes the run folder.

use crate::children::Children;
use crate::group::{DATA, Group, SETTINGS, THREADS};
use crate::report::Report;
use crate::{libtorch, place, programs, python, say};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// Rank 0 leaves no checkpoint of the last step when it is killed: all go on from the last epoch.
const LOST: u32 = 0;

/// Runs it.
pub(crate) fn run() -> Report {
    let mut report = Report::new("deploy, torchrun");
    if !cfg!(target_os = "linux") {
        report.lacks("linux", "trainers under torchrun", "their processes are found in /proc");
        return report;
    }
    match python::prepare() {
        Ok(python) => {
            walk(&mut report, &python.with_file_name("torchrun"));
        }
        Err(error) => report.lacks("python", "trainers under torchrun", &format!("{error:#}")),
    }
    report
}

fn walk(report: &mut Report, torchrun: &Path) -> Option<()> {
    let folder = place::at("target/torchrun");
    let (children, ours) = report.check("trainers and an empty folder are there", || {
        libtorch::prepare(libtorch::Kind::Cpu)?;
        let ours = programs::build()?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok((Children::new()?, ours))
    })?;
    let (run, log) = (folder.join("run"), folder.join("torchrun.out"));
    let mut engine = Command::new(torchrun);
    // A port that is free, and not torchrun's own.
    engine.args(["--standalone", "--no-python", "--nproc-per-node", "2", "--max-restarts", "3"]);
    engine.arg(ours.join("mixfeed-trainer")).args(["train", "--json", "--data", DATA, "--threads", THREADS]);
    engine.args(["--resume", "auto", "--output"]).arg(&run).args(SETTINGS.split(' ')).current_dir(&folder);
    let group = Group { engine: "torchrun", rank: "RANK", run, log };
    let id = std::cell::Cell::new(0);
    let start = || {
        let log = File::create(&group.log)?;
        id.set(children.start(engine.stdout(log.try_clone()?).stderr(log))?);
        Ok(())
    };
    let ended = || Ok(children.ended(id.get())?.map(|status| status.success()));
    let result = group.walk(report, &ours, LOST, start, ended);
    if result.is_none() {
        say::line(&format!("-- torchrun\n{}", group.printed().unwrap_or_default()));
    }
    result
}
