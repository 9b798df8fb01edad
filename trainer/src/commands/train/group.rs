//! `train` as one of a group: rank 0 has the run folder and tells the others what they need of it.
//!
//! Until all are connected, whoever ends tells the others why ([`Meeting::abandon`]), so that each of them ends at once, with
//! one line and the exit code of the cause.

use super::{RunFolder, Setup, came_to, earlier, finish, setup};
use crate::cli::{RunArgs, TrainArgs};
use crate::config::{Resume, RunConfig, Settings, UsageError};
use crate::error::TrainError;
use crate::feed::loaders::Loaders;
use crate::group::Membership;
use crate::machine::device::{self, DeviceChoice};
use crate::peers::{Facts, GroupError, Meeting, Peers};
use crate::run::observer::Observers;
use crate::run::run_folder::RunFile;
use crate::train::outcome::Outcome;
use crate::train::resume::ResumePoint;
use crate::train::{TrainingJob, train_in_group};
use mixfeed_ops::build;
use mixfeed_proto::digest_of;
use std::path::Path;

/// Rank 0's word on where training begins, before the bytes of a checkpoint.
const BEGINS: u8 = 0;
const GOES_ON: u8 = 1;
const IS_FINISHED: u8 = 2;

/// A trainer that is ready, and where it begins.
struct Ready {
    setup: Setup,
    facts: Facts,
    folder: Option<RunFolder>,
    earlier: Option<RunFile>,
    unheeded: Vec<String>,
}

pub(super) fn run(args: TrainArgs, membership: Membership) -> Result<(), TrainError> {
    let meeting = Meeting::open(membership)?;
    let rank = meeting.rank();
    let run = args.run;
    let ready = match prepare(&meeting, args.settings, &run, args.resume) {
        Ok(ready) => ready,
        Err(error) => {
            meeting.abandon(&error.to_string(), error.exit_code());
            return Err(error);
        }
    };
    let Ready { setup, facts, folder, earlier, unheeded } = ready;
    let Membership { world, timeout, .. } = *meeting.membership();
    tracing::info!(
        rank,
        world,
        store = meeting.address(),
        timeout_seconds = timeout.as_secs_f64(),
        "joining the group"
    );
    let peers = meeting.agree(&facts)?;
    tracing::info!(rank, world, "the group is complete");
    peers.allow_for_loaders(setup.config.loader_timeout);
    let outcome = take_part(&setup, &peers, folder, earlier, run.overwrite, &unheeded);
    if outcome.is_ok() {
        peers.leave();
    }
    match outcome {
        Ok(None) => Ok(()),
        Ok(Some(outcome)) => finish(&setup, &run, Ok(outcome)),
        Err(error) if rank == 0 => finish(&setup, &run, Err(error)),
        Err(error) => Err(error),
    }
}

/// Everything that may fail before the others are needed.
fn prepare(
    meeting: &Meeting,
    settings: Settings,
    run: &RunArgs,
    resume: Option<Resume>,
) -> Result<Ready, TrainError> {
    let flags = settings.clone();
    let given = settings.over(run.config.as_deref())?;
    let idle = given.idle_in_file(&flags);
    let (folder, earlier) = find_run(meeting, &given, run, resume)?;
    let unheeded = earlier.as_ref().map_or_else(Vec::new, |earlier| flags.unheeded(&earlier.settings));
    let settings = match (&earlier, resume) {
        (Some(earlier), Some(resume)) => given.over_run(&earlier.settings, resume)?,
        _ => given.of_group(),
    };
    settings.check_effect(&flags)?;
    let mut config = settings.check()?;
    let Membership { rank, world, local_rank, .. } = *meeting.membership();
    let shards = config.training.virtual_shards;
    if shards % world != 0 {
        return Err(GroupError::World { world, shards }.into());
    }
    if rank > 0 {
        // Rank 0 alone is watched and measured: the same flags are given to all.
        (config.listen, config.metrics) = (None, None);
    }
    let mut setup =
        setup::prepare(config, &idle, run)?.expect("somebody who only asks for settings trains alone");
    // Each trainer of a machine has a GPU of its own, unless one is named.
    if setup.device == tch::Device::Cuda(0) && local_rank > 0 {
        let (choice, threads) = (DeviceChoice::Cuda(local_rank as usize), setup.config.threads);
        setup.device = setup::select_device(choice, threads)?;
    }
    let facts = facts(&setup.config, setup.device);
    Ok(Ready { setup, facts, folder, earlier, unheeded })
}

/// The run that goes on, if one does: rank 0 finds it in its folder and tells the others.
fn find_run(
    meeting: &Meeting,
    given: &Settings,
    run: &RunArgs,
    resume: Option<Resume>,
) -> Result<(Option<RunFolder>, Option<RunFile>), TrainError> {
    if meeting.rank() > 0 {
        let told = meeting.ask_run()?;
        let parse = |text: String| RunFile::parse(&text, Path::new("of rank 0")).map_err(GroupError::Run);
        let earlier = told.map(parse).transpose()?;
        if earlier.is_some() != resume.is_some() && resume != Some(Resume::Auto) {
            let text = "rank 0 was given --resume and this trainer was not, or the other way round";
            return Err(UsageError::new(text).into());
        }
        return Ok((None, earlier));
    }
    let found = resume.map(|resume| earlier(resume, given, run)).transpose()?.flatten();
    let (folder, earlier) = found.unzip();
    let text = earlier.as_ref().map(RunFile::text).transpose()?;
    meeting.tell_run(text.as_deref())?;
    Ok((folder, earlier))
}

/// What has to be equal on all ranks, under names that say where it comes from.
fn facts(config: &RunConfig, device: tch::Device) -> Facts {
    let recipe = config.settings.recipe().into_iter().map(|(key, value)| (format!("--{key}"), value));
    let kind = if device.is_cuda() { "cuda" } else { "cpu" };
    let mut facts: Facts = recipe.collect();
    let steps = config.training.steps.map_or("none".to_owned(), |steps| steps.to_string());
    facts.extend(
        [
            ("release", build::RELEASE.to_owned()),
            ("commit", build::COMMIT.to_owned()),
            ("libtorch", device::LIBTORCH.to_owned()),
            ("processor instructions", device::instructions()),
            ("device", kind.to_owned()),
            ("--threads", config.threads.to_string()),
            ("--epochs", config.training.epochs.to_string()),
            ("--steps", steps),
            ("--eval-every", config.evaluate_every.to_string()),
            ("--test-limit", config.test_limit.to_string()),
            ("stream", blake3::Hash::from(digest_of(&config.training.stream)).to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    facts
}

/// Trains with the others; the outcome is rank 0's.
fn take_part(
    setup: &Setup,
    peers: &Peers,
    folder: Option<RunFolder>,
    earlier: Option<RunFile>,
    overwrite: bool,
    unheeded: &[String],
) -> Result<Option<Outcome>, TrainError> {
    let Setup { config, device, stop, .. } = setup;
    let job =
        |loaders, folder| TrainingJob { config, loaders, device: *device, folder, peers: Some(peers), stop };
    if peers.rank() > 0 {
        let told = peers.from_first(&[])?;
        let point = match (told.split_first(), earlier) {
            (Some((&IS_FINISHED, _)), _) => return Ok(None),
            (Some((&GOES_ON, checkpoint)), Some(run)) => Some(ResumePoint::told(run, checkpoint, config)?),
            _ => None,
        };
        let loaders = Loaders::of(config)?;
        train_in_group(&job(&loaders, None), point, &mut Observers::default())?;
        return Ok(None);
    }
    let name = config.training.preset.name();
    let (loaders, folder, point) = match (folder, earlier) {
        (Some(folder), Some(run)) => {
            let point = ResumePoint::find(&folder, run, config)?;
            if let Some(outcome) = came_to(setup, &folder, &point, unheeded)? {
                peers.from_first(&[IS_FINISHED])?;
                return Ok(Some(outcome));
            }
            peers.from_first(&[&[GOES_ON][..], &point.tell(&folder)?].concat())?;
            (setup.go_on(&folder)?, folder, Some(point))
        }
        _ => {
            let (loaders, folder) = setup.begin(name, overwrite)?;
            peers.from_first(&[BEGINS])?;
            (loaders, folder, None)
        }
    };
    let mut observers = setup.observers(config, String::new(), 0, &folder);
    let trained = train_in_group(&job(&loaders, Some(&folder)), point, &mut observers)?;
    Ok(trained.map(|trained| trained.outcome))
}
