//! `cargo xtask slurm-smoke`: the batch scripts for Slurm, once through what happens to a job, on a Slurm of Debian's
//! packages that is unpacked and started for it. A loader is killed and started again, the job runs out of time and is
//! requeued, and the weights must be those of a training to which nothing happened. Then a group of trainers.

mod cluster;
mod group;
mod job;

use crate::children::Children;
use crate::report::Report;
use crate::smoke::wait_for;
use crate::{debian, libtorch, place, programs, say, training};
use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, NODES};
use job::Job;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SCRIPT: &str = "deploy/slurm/mixfeed.sbatch";

/// Drawings: several batches an epoch, and epochs enough for all that is to happen.
const DATA: &str = "synthetic:2000";
const SETTINGS: &str = "--preset article --epochs 12";

/// CPU threads of the trainer, in the job and alone: weights depend on their number.
const THREADS: &str = "2";

/// Within this, whatever is waited for has to happen.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs it.
pub(crate) fn run() -> Report {
    let mut report = Report::new("deploy, Slurm");
    if let Some(why) = debian::missing() {
        report.lacks("debian", "a job of Slurm's", &why);
        return report;
    }
    walk(&mut report);
    report
}

fn walk(report: &mut Report) -> Option<()> {
    let folder = place::at("target/slurm");
    let (children, cluster, ours) = report.check("Slurm and the programs are there", || {
        libtorch::prepare(libtorch::Kind::Cpu)?;
        let ours = programs::build()?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok((Children::new()?, Cluster::unpack(&folder, &ours)?, ours))
    })?;
    report.check("a Slurm of two nodes starts", || {
        cluster.start(&children)?;
        wait_for(PATIENCE, || {
            let state = cluster.output("sinfo", &["--noheader", "--format=%t"])?;
            ensure!(state == "idle", "nodes are {state}");
            Ok(())
        })
    })?;
    let result = loaders(report, &cluster, &folder, &ours);
    let result = result.and(group::walk(report, &cluster, &folder, &ours));
    if result.is_none() {
        show(&folder);
    }
    result
}

/// A training with loaders beside it.
fn loaders(report: &mut Report, cluster: &Cluster, folder: &Path, ours: &Path) -> Option<()> {
    let job = report.check("a job with two loaders and a trainer trains", || {
        let options = ["--nodes=1", "--ntasks-per-node=3", "--cpus-per-task=2", "--output=job.out"];
        let settings = format!("{SETTINGS} --json");
        let variables = [("MIXFEED_DATA", DATA), ("MIXFEED_RUN", "run"), ("MIXFEED_TRAIN", &settings)];
        let job = Job::submit(cluster, SCRIPT, &options, &variables)?;
        wait_for(PATIENCE, || has(&job, 2, 1))?;
        wait_for(PATIENCE, || said(folder, "epoch done", 1))?;
        Ok(job)
    })?;
    report.check("a loader that is killed is started again, and training goes on", || {
        let loader = job.steps("loader")?.first().cloned().context("no loader runs")?;
        cluster.output("scancel", &["--signal=KILL", &loader])?;
        wait_for(PATIENCE, || {
            ensure!(!job.steps("loader")?.contains(&loader), "{loader} runs still");
            has(&job, 2, 1)
        })?;
        let before = count(folder, "epoch done")?;
        wait_for(PATIENCE, || said(folder, "epoch done", before + 1))
    })?;
    report.check("out of time, it writes a checkpoint and goes back to the queue", || {
        cluster.output("scancel", &["--batch", "--signal=USR1", &job.id])?;
        wait_for(PATIENCE, || is(&job, "PENDING"))?;
        ensure!(!folder.join("run.token").exists(), "the token is left");
        // It would be started again after two minutes; within the second in which it ended, a node takes its credential for
        // the old one, which is revoked.
        cluster.output("scontrol", &["update", &format!("JobId={}", job.id), "StartTime=now+3"])?;
        wait_for(PATIENCE, || has(&job, 2, 1))
    })?;
    report.check("it goes on to its end, and loaders drain", || {
        wait_for(PATIENCE, || is(&job, "COMPLETED"))?;
        said(folder, "draining", 2)
    })?;
    report.check("the weights are those of a training to which nothing happened", || compare(folder, ours))
}

/// Whether so many of its steps run.
fn has(job: &Job<'_>, loaders: usize, trainers: usize) -> Result<()> {
    let found = (job.steps("loader")?.len(), job.steps("trainer")?.len());
    ensure!(found == (loaders, trainers), "{} loaders and {} trainers run", found.0, found.1);
    Ok(())
}

fn is(job: &Job<'_>, state: &str) -> Result<()> {
    ensure!(job.is(state)?, "job {} is not {state}", job.id);
    Ok(())
}

/// How often the job's output says something.
fn count(folder: &Path, what: &str) -> Result<usize> {
    Ok(fs::read_to_string(folder.join("job.out")).context("the job has said nothing")?.matches(what).count())
}

fn said(folder: &Path, what: &str, times: usize) -> Result<()> {
    let found = count(folder, what)?;
    ensure!(found >= times, "the job says \"{what}\" {found} times, not {times}");
    Ok(())
}

fn show(folder: &Path) {
    let nodes = NODES.map(|node| format!("slurmd-{node}.log"));
    for name in ["slurmctld.log", "job.out", "group.out"].into_iter().chain(nodes.iter().map(String::as_str))
    {
        say::line(&format!("-- {name}\n{}", fs::read_to_string(folder.join(name)).unwrap_or_default()));
    }
}

/// Trains once more, in one process, and compares.
fn compare(folder: &Path, ours: &Path) -> Result<()> {
    let job = training::result(&fs::read_to_string(folder.join("job.out"))?)?;
    let flags = ["--data", DATA, "--threads", THREADS].into_iter().chain(SETTINGS.split(' '));
    let calm = training::alone(ours, &folder.join("calm"), &flags.collect::<Vec<_>>())?;
    ensure!(job["resumed_from_step"].as_u64().is_some_and(|step| step > 0), "the job was not resumed: {job}");
    training::same(&job, "in the job", &calm)
}
