//! `cargo xtask slurm-smoke`: the batch script for Slurm, once through what happens to a job, on a Slurm of Debian's
//! packages that is unpacked and started for it. A loader is killed and started again, the job runs out of time and is
//! requeued, and the weights must be those of a training to which nothing happened.

mod cluster;

use crate::children::Children;
use crate::report::Report;
use crate::smoke::wait_for;
use crate::{debian, libtorch, place, programs, say};
use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, NODE};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SCRIPT: &str = "deploy/slurm/mixfeed.sbatch";

/// Drawings: several batches an epoch, and epochs enough for all that is to happen.
const DATA: &str = "synthetic:2000";
const SETTINGS: &str = "--preset article --epochs 12 --json";

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
    report.check("a Slurm of one node starts", || {
        cluster.start(&children)?;
        wait_for(PATIENCE, || {
            let state = cluster.output("sinfo", &["--noheader", "--format=%t"])?;
            ensure!(state == "idle", "the node is {state}");
            Ok(())
        })
    })?;
    let job = report.check("a job with two loaders and a trainer trains", || {
        let mut submit = cluster.command("sbatch");
        submit.args([
            "--parsable",
            "--nodes=1",
            "--ntasks-per-node=3",
            "--cpus-per-task=2",
            "--output=job.out",
        ]);
        submit.arg(place::at(SCRIPT));
        submit.envs([("MIXFEED_DATA", DATA), ("MIXFEED_RUN", "run"), ("MIXFEED_TRAIN", SETTINGS)]);
        let output = submit.output()?;
        ensure!(output.status.success(), "sbatch: {}", String::from_utf8_lossy(&output.stderr));
        let job = Job { cluster: &cluster, id: String::from_utf8_lossy(&output.stdout).trim().to_owned() };
        wait_for(PATIENCE, || job.has(2, 1))?;
        wait_for(PATIENCE, || said(&folder, "epoch done", 1))?;
        Ok(job)
    });
    let Some(job) = job else {
        show(&folder);
        return None;
    };
    let result = (|| {
        report.check("a loader that is killed is started again, and training goes on", || {
            let loader = job.steps("loader")?.first().cloned().context("no loader runs")?;
            cluster.output("scancel", &["--signal=KILL", &loader])?;
            wait_for(PATIENCE, || {
                ensure!(!job.steps("loader")?.contains(&loader), "{loader} runs still");
                job.has(2, 1)
            })?;
            let before = count(&folder, "epoch done")?;
            wait_for(PATIENCE, || said(&folder, "epoch done", before + 1))
        })?;
        report.check("out of time, it writes a checkpoint and goes back to the queue", || {
            cluster.output("scancel", &["--batch", "--signal=USR1", &job.id])?;
            wait_for(PATIENCE, || job.is("PENDING"))?;
            ensure!(!folder.join("run.token").exists(), "the token is left");
            // It would be started again after two minutes.
            cluster.output("scontrol", &["update", &format!("JobId={}", job.id), "StartTime=now"])?;
            wait_for(PATIENCE, || job.has(2, 1))
        })?;
        report.check("it goes on to its end, and loaders drain", || {
            wait_for(PATIENCE, || job.is("COMPLETED"))?;
            said(&folder, "draining", 2)
        })
    })();
    if result.is_none() {
        show(&folder);
    }
    result?;
    report.check("the weights are those of a training to which nothing happened", || compare(&folder, &ours))
}

/// A job in the queue.
struct Job<'a> {
    cluster: &'a Cluster,
    id: String,
}

impl Job<'_> {
    /// Ids of its running steps with that name.
    fn steps(&self, name: &str) -> Result<Vec<String>> {
        let steps = self
            .cluster
            .output("squeue", &["--steps", "--noheader", "--jobs", &self.id, "--format=%i %j"])?;
        let named = steps.lines().filter_map(|line| line.trim().split_once(' '));
        Ok(named.filter(|(_, found)| found.trim() == name).map(|(id, _)| id.to_owned()).collect())
    }

    fn has(&self, loaders: usize, trainers: usize) -> Result<()> {
        let found = (self.steps("loader")?.len(), self.steps("trainer")?.len());
        ensure!(found == (loaders, trainers), "{} loaders and {} trainers run on {NODE}", found.0, found.1);
        Ok(())
    }

    fn is(&self, state: &str) -> Result<()> {
        let shown = self.cluster.output("scontrol", &["show", "job", &self.id])?;
        ensure!(shown.contains(&format!("JobState={state} ")), "{shown}");
        Ok(())
    }
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
    for name in ["slurmctld.log", "slurmd.log", "job.out"] {
        say::line(&format!("-- {name}\n{}", fs::read_to_string(folder.join(name)).unwrap_or_default()));
    }
}

/// Trains once more, in one process, and compares.
fn compare(folder: &Path, ours: &Path) -> Result<()> {
    let output = fs::read_to_string(folder.join("job.out"))?;
    let mut results = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let job = results.rfind(Value::is_object).context("the job printed no result")?;
    let mut trainer = Command::new(PathBuf::from(ours).join("mixfeed-trainer"));
    trainer.args(["train", "--data", DATA, "--threads", THREADS, "--output"]).arg(folder.join("calm"));
    let trained = trainer.args(SETTINGS.split(' ')).output().context("cannot run the trainer")?;
    ensure!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let calm: Value = serde_json::from_slice(&trained.stdout).context("the trainer printed no result")?;
    ensure!(job["resumed_from_step"].as_u64().is_some_and(|step| step > 0), "the job was not resumed: {job}");
    for field in ["dataset_digest", "weights_digest", "train_loss", "test_accuracy"] {
        let (ours, theirs) = (&job[field], &calm[field]);
        ensure!(!ours.is_null() && ours == theirs, "{field}: {ours} in the job, {theirs} alone");
    }
    say::line(&format!("weights digest {}", job["weights_digest"]));
    Ok(())
}
