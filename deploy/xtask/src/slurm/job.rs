//! A job of one of the batch scripts.

use super::cluster::Cluster;
use crate::place;
use anyhow::{Result, ensure};

/// A job in the queue.
pub(super) struct Job<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) id: String,
}

impl<'a> Job<'a> {
    /// Submits a script as its users do, with options over those that it has inside and the variables that it reads.
    pub(super) fn submit(
        cluster: &'a Cluster,
        script: &str,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let mut submit = cluster.command("sbatch");
        submit.arg("--parsable").args(options).arg(place::at(script)).envs(variables.iter().copied());
        let output = submit.output()?;
        ensure!(output.status.success(), "sbatch: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Job { cluster, id: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
    }

    /// Ids of its running steps with that name.
    pub(super) fn steps(&self, name: &str) -> Result<Vec<String>> {
        let steps = self
            .cluster
            .output("squeue", &["--steps", "--noheader", "--jobs", &self.id, "--format=%i %j"])?;
        let named = steps.lines().filter_map(|line| line.trim().split_once(' '));
        Ok(named.filter(|(_, found)| found.trim() == name).map(|(id, _)| id.to_owned()).collect())
    }

    /// Whether it is in this state.
    pub(super) fn is(&self, state: &str) -> Result<bool> {
        let shown = self.cluster.output("scontrol", &["show", "job", &self.id])?;
        Ok(shown.contains(&format!("JobState={state} ")))
    }

    /// Whether it has ended well, once it has.
    pub(super) fn ended(&self) -> Result<Option<bool>> {
        let well = self.is("COMPLETED")?;
        Ok((well || self.is("FAILED")?).then_some(well))
    }
}
