//! How a loader inside the trainer's process reads its data: the loader's own flags, with environment twins of the
//! trainer's.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use mixfeed_loader::config::SourceArgs;
use serde::{Deserialize, Serialize};

/// What is said about data beyond its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reading(pub SourceArgs);

/// Each flag with its environment twin.
const ENVIRONMENT: [(&str, &str); SourceArgs::KEYS.len()] = [
    ("train", "MIXFEED_TRAINER_TRAIN"),
    ("test", "MIXFEED_TRAINER_TEST"),
    ("order", "MIXFEED_TRAINER_ORDER"),
    ("test_fraction", "MIXFEED_TRAINER_TEST_FRACTION"),
    ("cache", "MIXFEED_TRAINER_CACHE"),
    ("cache_memory", "MIXFEED_TRAINER_CACHE_MEMORY"),
    ("image_size", "MIXFEED_TRAINER_IMAGE_SIZE"),
    ("skip_list", "MIXFEED_TRAINER_SKIP_LIST"),
    ("bad_records", "MIXFEED_TRAINER_BAD_RECORDS"),
    ("no_digest_cache", "MIXFEED_TRAINER_NO_DIGEST_CACHE"),
];

impl Reading {
    /// Names a flag that is given, if one is.
    pub(super) fn given(&self) -> Option<String> {
        let flags = self.0.to_flags();
        let flag = flags.first()?.to_string_lossy();
        Some(flag.split('=').next().unwrap_or(&flag).to_owned())
    }
}

impl Args for Reading {
    fn augment_args(command: Command) -> Command {
        ENVIRONMENT.iter().fold(SourceArgs::augment_args(command), |command, (flag, name)| {
            // clap's own way for all other flags of the trainer: no full stop at the end of a line of help.
            command.mut_arg(*flag, |arg| {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                arg.env(*name).help_heading("Data").help(help.trim_end_matches('.').to_owned())
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Reading {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        SourceArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_the_loader_has_a_twin_of_the_trainers() {
        let command = Reading::augment_args(Command::new("train"));
        for arg in command.get_arguments() {
            let long = arg.get_long().unwrap();
            let twin = format!("MIXFEED_TRAINER_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(twin.as_str()));
            assert!(SourceArgs::KEYS.contains(&long), "{long}");
        }
        assert_eq!(command.get_arguments().count(), SourceArgs::KEYS.len());
    }

    #[test]
    fn one_that_is_given_is_named() {
        assert_eq!(Reading::default().given(), None);
        let reading = Reading(SourceArgs { skip_list: Some("a b".into()), ..SourceArgs::default() });
        assert_eq!(reading.given().as_deref(), Some("--skip-list"));
    }
}
