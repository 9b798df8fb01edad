//! The batch script of a group: a trainer on each of two nodes, and the loss of one that does not write the run folder.

use super::cluster::Cluster;
use super::job::Job;
use crate::group::{DATA, Group, SETTINGS, THREADS};
use crate::report::Report;
use anyhow::Context as _;
use std::cell::OnceCell;
use std::path::Path;

const SCRIPT: &str = "deploy/slurm/group.sbatch";

/// The other one writes a checkpoint of the last step when it is lost, and says so.
const LOST: u32 = 1;

/// Runs it.
pub(super) fn walk(report: &mut Report, cluster: &Cluster, folder: &Path, ours: &Path) -> Option<()> {
    let (run, log) = (folder.join("group"), folder.join("group.out"));
    let group = Group { engine: "Slurm", rank: "SLURM_PROCID", run, log };
    let job = OnceCell::new();
    let start = || {
        let run = group.run.to_str().context("a path in letters")?;
        let train = format!("{SETTINGS} --json");
        let variables = [("MIXFEED_DATA", DATA), ("MIXFEED_RUN", run), ("MIXFEED_TRAIN", &train)];
        let options = [&format!("--cpus-per-task={THREADS}"), "--output=group.out"];
        let _ = job.set(Job::submit(cluster, SCRIPT, &options, &variables)?);
        Ok(())
    };
    let ended = || job.get().context("no job was submitted")?.ended();
    group.walk(report, ours, LOST, start, ended)
}
