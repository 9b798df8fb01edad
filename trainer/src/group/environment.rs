//! What engines say to a process of its group, in the order in which they are asked: who starts processes by torchrun in a
//! Slurm job has the variables of both, and the nearest one counts.
//!
//! | engine | rank, world size | store |
//! |---|---|---|
//! | torchrun, PyTorchJob, Volcano | `RANK`, `WORLD_SIZE` | `MASTER_ADDR`, `MASTER_PORT` |
//! | Kubernetes Indexed Job, JobSet | `JOB_COMPLETION_INDEX`, `WORLD_SIZE` | the same, of a headless Service |
//! | Kubeflow Trainer | `PET_NODE_RANK`, `PET_NNODES` | `PET_MASTER_ADDR`, `PET_MASTER_PORT` |
//! | Slurm (a step, by `srun`) | `SLURM_PROCID`, `SLURM_STEP_NUM_TASKS` | the first host of `SLURM_STEP_NODELIST` |
//!
//! What says nothing of others is no group: `MASTER_ADDR` alone, `JOB_COMPLETION_INDEX` alone, which each pod of an Indexed Job
//! has, or `SLURM_NTASKS`, which is of the whole job.

use super::host_list::first_host;
use super::{Membership, TIMEOUT, missing};
use crate::usage::UsageError;
use std::str::FromStr;

/// The variables of a process.
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// The group that the engine says this process is one of; it may have one rank alone.
    pub(super) fn group(&self) -> Result<Option<Membership>, UsageError> {
        if self.text("RANK").is_some() || self.text("WORLD_SIZE").is_some() {
            return self.by_torchrun();
        }
        if self.text("PET_NNODES").is_some() || self.text("PET_NODE_RANK").is_some() {
            return self.by_kubeflow();
        }
        match self.number("SLURM_STEP_NUM_TASKS")? {
            Some(world) if world > 1 => self.by_slurm(world).map(Some),
            _ => Ok(None),
        }
    }

    fn by_torchrun(&self) -> Result<Option<Membership>, UsageError> {
        let world = self.needed("WORLD_SIZE", "RANK is set")?;
        if world == 1 {
            return Ok(None);
        }
        let rank = match self.number("RANK")? {
            Some(rank) => rank,
            None => {
                self.number("JOB_COMPLETION_INDEX")?.ok_or_else(|| missing("RANK", "WORLD_SIZE is set"))?
            }
        };
        let since = format!("WORLD_SIZE is {world}");
        Ok(Some(Membership {
            rank,
            world,
            local_rank: self.number("LOCAL_RANK")?.unwrap_or(0),
            host: self.text("MASTER_ADDR").ok_or_else(|| missing("MASTER_ADDR", &since))?,
            port: self.needed("MASTER_PORT", &since)?,
            is_served: self.text("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value == "True"),
            attempt: self.number("TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0),
            timeout: TIMEOUT,
        }))
    }

    /// These are torchrun's settings; a trainer that is started without it is the one process of its node.
    fn by_kubeflow(&self) -> Result<Option<Membership>, UsageError> {
        let world = self.needed("PET_NNODES", "PET_NODE_RANK is set")?;
        if let Some(processes) = self.number::<u32>("PET_NPROC_PER_NODE").unwrap_or_default()
            && processes > 1
        {
            let text = format!(
                "PET_NPROC_PER_NODE is {processes}: torchrun --no-python starts several trainers on a node, and \
                 mixfeed-trainer alone is one"
            );
            return Err(UsageError::new(&text));
        }
        if world == 1 {
            return Ok(None);
        }
        let since = format!("PET_NNODES is {world}");
        Ok(Some(Membership {
            rank: self.needed("PET_NODE_RANK", &since)?,
            world,
            local_rank: 0,
            host: self.text("PET_MASTER_ADDR").ok_or_else(|| missing("PET_MASTER_ADDR", &since))?,
            port: self.needed("PET_MASTER_PORT", &since)?,
            is_served: false,
            attempt: 0,
            timeout: TIMEOUT,
        }))
    }

    fn by_slurm(&self, world: u32) -> Result<Membership, UsageError> {
        let since = format!("SLURM_STEP_NUM_TASKS is {world}");
        let hosts = self.text("SLURM_STEP_NODELIST");
        let first = hosts.as_deref().and_then(first_host).or_else(|| self.text("SLURM_LAUNCH_NODE_IPADDR"));
        let named = self.text("MASTER_ADDR").or(first);
        Ok(Membership {
            rank: self.needed("SLURM_PROCID", &since)?,
            world,
            local_rank: self.number("SLURM_LOCALID")?.unwrap_or(0),
            host: named.ok_or_else(|| missing("SLURM_STEP_NODELIST", &since))?,
            port: match self.number("MASTER_PORT")? {
                Some(port) => port,
                None => self.slurm_port()?,
            },
            is_served: false,
            attempt: 0,
            timeout: TIMEOUT,
        })
    }

    /// A port that all processes of a step agree on and few other steps share, below those that systems give out.
    fn slurm_port(&self) -> Result<u16, UsageError> {
        let job: u64 = self.number("SLURM_JOB_ID")?.unwrap_or(0);
        let step: u64 = self.number("SLURM_STEP_ID")?.unwrap_or(0);
        Ok(12_000 + ((job * 31 + step) % 20_000) as u16)
    }

    /// A value; an empty one is none.
    fn text(&self, name: &str) -> Option<String> {
        self.0(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, UsageError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => {
                Err(UsageError::new(&format!("{name} is {text} in the environment, it must be a number")))
            }
        }
    }

    fn needed<T: FromStr>(&self, name: &str, since: &str) -> Result<T, UsageError> {
        self.number(name)?.ok_or_else(|| missing(name, since))
    }
}
