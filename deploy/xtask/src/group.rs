//! Two trainers that learn as one under an engine, of which one is killed in mid-training: the engine starts both again,
//! and they end with the weights of one trainer to which nothing happened.
//!
//! How an engine is told to start them is not here: Slurm's and torchrun's smoke tests each have theirs.

use crate::report::Report;
use crate::smoke::wait_for;
use crate::{say, training};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What both learn: eight steps an epoch, of an image for each virtual shard.
pub(crate) const DATA: &str = "synthetic:64";
pub(crate) const SETTINGS: &str = "--model article-cnn --batch-size 8 --epochs 12";

/// CPU threads of each trainer, and of the one alone: weights depend on their number.
pub(crate) const THREADS: &str = "1";

/// Virtual shards of a group that is told nothing of them. A trainer alone has to be told.
const VIRTUAL_SHARDS: &str = "8";

/// Number of trainers.
const WORLD: usize = 2;

/// So many epochs are done before the loss: few, since a quick machine does some more before it is seen.
const EPOCHS_BEFORE: usize = 1;

/// Within this, whatever is waited for has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A group under an engine.
pub(crate) struct Group {
    /// The engine, as it is told.
    pub(crate) engine: &'static str,
    /// The variable by which the engine tells a trainer its rank.
    pub(crate) rank: &'static str,
    /// The run folder, by its whole path: it tells these trainers from all others.
    pub(crate) run: PathBuf,
    /// The file that what they print goes into.
    pub(crate) log: PathBuf,
}

impl Group {
    /// Goes through it. `start` has the engine start trainers, `ended` says whether all has ended well, once it has.
    pub(crate) fn walk(
        &self,
        report: &mut Report,
        programs: &Path,
        lost: u32,
        start: impl FnOnce() -> Result<()>,
        ended: impl Fn() -> Result<Option<bool>>,
    ) -> Option<()> {
        let engine = self.engine;
        let alone =
            report.check(&format!("one trainer trains alone, for the group under {engine}"), || {
                let flags = ["--data", DATA, "--threads", THREADS, "--virtual-shards", VIRTUAL_SHARDS];
                let flags: Vec<_> = flags.into_iter().chain(SETTINGS.split(' ')).collect();
                training::alone(programs, &self.run.with_extension("alone"), &flags)
            })?;
        let before = report.check(&format!("two trainers train as one under {engine}"), || {
            start()?;
            wait_for(PATIENCE, || self.said("epoch done", EPOCHS_BEFORE))?;
            self.ranks()
        })?;
        report.check(&format!("{engine} starts both again when rank {lost} is killed"), || {
            let id = before.get(&lost).with_context(|| format!("{before:?} run"))?.to_string();
            ensure!(Command::new("kill").args(["-KILL", &id]).status()?.success(), "{id} cannot be killed");
            wait_for(PATIENCE, || {
                let now = self.ranks()?;
                let is_new = |id: &u32| !before.values().any(|old| old == id);
                ensure!(now.values().all(is_new), "{now:?} run, {before:?} before");
                Ok(())
            })
        })?;
        report.check(&format!("they end under {engine} with the weights of the one"), || {
            let well = wait_for(PATIENCE, || ended()?.context("they train still"))?;
            ensure!(well, "{engine} gave up");
            let group = training::result(&self.printed()?)?;
            resumed(&group)?;
            training::same(&group, &format!("under {engine}"), &alone)
        })
    }

    /// What was printed.
    pub(crate) fn printed(&self) -> Result<String> {
        fs::read_to_string(&self.log).context("nothing was printed")
    }

    fn said(&self, what: &str, times: usize) -> Result<()> {
        let found = self.printed()?.matches(what).count();
        ensure!(found >= times, "\"{what}\" is said {found} times, not {times}");
        Ok(())
    }

    /// The processes of all ranks.
    fn ranks(&self) -> Result<BTreeMap<u32, u32>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // A process may end while it is looked at.
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            if let Some(rank) = self.rank_of(&read("cmdline"), &read("environ")) {
                found.insert(rank, id);
            }
        }
        ensure!(found.keys().copied().eq(0..WORLD as u32), "ranks and their processes are {found:?}");
        Ok(found)
    }

    /// The rank of a process, if it is one of this group's trainers and not one of the engine's, which name them.
    fn rank_of(&self, arguments: &[u8], variables: &[u8]) -> Option<u32> {
        let mut words = arguments.split(|byte| *byte == 0).map(OsStr::from_bytes);
        let program = Path::new(words.next()?).file_name()?;
        if program != "mixfeed-trainer" || !words.any(|word| word == self.run) {
            return None;
        }
        let mut variables = variables.split(|byte| *byte == 0);
        let value =
            variables.find_map(|variable| variable.strip_prefix(self.rank.as_bytes())?.strip_prefix(b"="))?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

/// Whether a result is of a training that went on in the middle.
fn resumed(result: &Value) -> Result<()> {
    let field = |name: &str| result[name].as_u64().with_context(|| format!("no {name} in {result}"));
    let (from, steps) = (field("resumed_from_step")?, field("steps")?);
    ensure!(0 < from && from < steps, "it went on from step {from} of {steps}");
    say::line(&format!("it went on from step {from} of {steps}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_went_on_at_the_start_or_the_end_or_not_at_all_has_lost_nothing_in_the_middle() {
        let result = |from: Value| serde_json::json!({"resumed_from_step": from, "steps": 96});
        for (from, good) in [(0.into(), false), (1.into(), true), (95.into(), true), (96.into(), false)] {
            assert_eq!(resumed(&result(from)).is_ok(), good);
        }
        assert!(resumed(&result(Value::Null)).is_err());
    }

    #[test]
    fn trainers_of_this_group_alone_are_its_ranks() {
        let run = PathBuf::from("/runs/a");
        let group = Group { engine: "Slurm", rank: "SLURM_PROCID", run, log: PathBuf::new() };
        let variables = &b"A=1\0SLURM_PROCID=1\0SLURM_LOCALID=0\0"[..];
        let trainer = &b"/bin/mixfeed-trainer\0train\0--output\0/runs/a\0"[..];
        assert_eq!(group.rank_of(trainer, variables), Some(1));
        for (arguments, variables) in [
            (&b"srun\0mixfeed-trainer\0train\0--output\0/runs/a\0"[..], variables),
            (b"mixfeed-trainer\0train\0--output\0/runs/a.alone\0", variables),
            (trainer, b"RANK=1\0"),
            (b"", b""),
        ] {
            assert_eq!(group.rank_of(arguments, variables), None, "{}", String::from_utf8_lossy(arguments));
        }
    }
}
