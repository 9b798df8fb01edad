//! Which of a group of trainers this process is: by flags, or by what the engine that started it says in the environment.
//!
//! torchrun, Slurm and Kubernetes each tell a process its rank, the number of ranks (the world size) and where rank 0 is. Who
//! is told of no others, or of a world of 1, trains alone. Half of it is a mistake that would end in several single trainings
//! or an endless wait, so it is refused with what is missing. Nothing is opened here: how the processes of a group meet is
//! [`crate::train`]'s.

mod environment;
mod host_list;

use crate::usage::UsageError;
use clap::Args;
use environment::Environment;
use mixfeed_ops::config::Duration;

/// How long the others are waited for where nothing is said of it.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Flags by which a trainer finds its group. They are no settings of a run: each trainer has others.
#[derive(Args, Clone, Debug, Default)]
pub struct GroupArgs {
    /// Train as one of a group: the address at which rank 0 serves the group's store; none to train alone whatever the environment says [default: from the environment of torchrun, Slurm or Kubernetes]
    #[arg(long, value_name = "HOST:PORT|none", help_heading = "Group")]
    pub group: Option<String>,
    /// Rank of this trainer in its group, from 0
    #[arg(long, value_name = "R", help_heading = "Group")]
    pub rank: Option<u32>,
    /// World size: number of trainers in the group; it divides --virtual-shards
    #[arg(long, value_name = "N", help_heading = "Group")]
    pub world: Option<u32>,
    /// How long to wait for other trainers before the group counts as lost; in the middle of training the time that they may wait for loaders comes on top [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = "Group")]
    pub group_timeout: Option<Duration>,
}

/// One trainer's place in a group of at least two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// 0 to `world - 1`.
    pub rank: u32,
    /// Number of trainers, at least 2.
    pub world: u32,
    /// Number of this trainer among those of its machine, from 0: which of its GPUs it uses.
    pub local_rank: u32,
    /// Host of the group's store.
    pub host: String,
    /// Its port. 0 has rank 0 choose one and say which.
    pub port: u16,
    /// Whether the engine serves the store; otherwise rank 0 does.
    pub is_served: bool,
    /// How often the engine has started the group anew, from 0: what is in a store that outlives the group is told apart by it.
    pub attempt: u32,
    /// How long the others are waited for.
    pub timeout: std::time::Duration,
}

impl GroupArgs {
    /// Finds the group of this process; none for one that trains alone.
    ///
    /// # Errors
    /// When something is missing, or cannot be.
    pub fn find(&self) -> Result<Option<Membership>, UsageError> {
        // What engines say is no setting of this program.
        #[allow(clippy::disallowed_methods)]
        self.find_in(&|name| std::env::var(name).ok())
    }

    fn find_in(&self, variables: &dyn Fn(&str) -> Option<String>) -> Result<Option<Membership>, UsageError> {
        let environment = Environment(variables);
        let timeout = self.group_timeout.map_or(TIMEOUT, Duration::get);
        let found = match self.group.as_deref() {
            Some("none") => return self.alone(),
            Some(address) => Some(self.by_flags(address, &environment)?),
            None => match (self.rank, self.world) {
                (None, None) => environment.group()?,
                _ => return Err(missing("--group", "--rank and --world say which trainer of it this is")),
            },
        };
        let found = found.map(|found| Membership { timeout, ..found });
        match found {
            Some(Membership { rank, world, .. }) if rank >= world => Err(UsageError::new(&format!(
                "rank {rank} is not one of a group of {world}: ranks are 0 to {}",
                world.saturating_sub(1)
            ))),
            Some(Membership { world: 1, .. }) => Ok(None),
            found => Ok(found),
        }
    }

    fn alone(&self) -> Result<Option<Membership>, UsageError> {
        match (self.rank, self.world) {
            (None, None) => Ok(None),
            _ => {
                Err(UsageError::new("--group none is for a trainer alone: it has neither --rank nor --world"))
            }
        }
    }

    fn by_flags(&self, address: &str, environment: &Environment<'_>) -> Result<Membership, UsageError> {
        let needs = "--group says where the group is";
        let rank = self.rank.ok_or_else(|| missing("--rank", needs))?;
        let world = self.world.ok_or_else(|| missing("--world", needs))?;
        let (host, port) = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)))
            .filter(|(host, _)| !host.is_empty())
            .ok_or_else(|| {
                UsageError::new(&format!("--group is {address}, it must be HOST:PORT, or none"))
            })?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let local_rank = environment.number("LOCAL_RANK")?.unwrap_or(0);
        let (is_served, attempt) = (false, 0);
        Ok(Membership { rank, world, local_rank, host, port, is_served, attempt, timeout: TIMEOUT })
    }
}

/// Half of a group is there, and this is not.
fn missing(what: &str, since: &str) -> UsageError {
    UsageError::new(&format!("{what} is missing: {since} (--group none trains alone)"))
}

#[cfg(test)]
mod tests;
