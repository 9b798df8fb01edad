//! How often a checkpoint is written.

use mixfeed_ops::config::Duration;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A number of steps, or a time with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum CheckpointEvery {
    /// After so many steps, counted from the start of training; at least 1.
    Steps(u64),
    /// As soon as the last one is this old; above zero.
    Time(Duration),
}

/// A text says no such thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a number of steps, as in 200, nor a time with its unit, as in 5m")]
pub struct CheckpointEveryError(String);

/// The form in a settings file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Steps(u64),
    Text(String),
}

impl FromStr for CheckpointEvery {
    type Err = CheckpointEveryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let every = text
            .parse()
            .map(CheckpointEvery::Steps)
            .or_else(|_| text.parse().map(CheckpointEvery::Time))
            .ok();
        every
            .filter(|every| match every {
                CheckpointEvery::Steps(steps) => *steps > 0,
                CheckpointEvery::Time(time) => !time.get().is_zero(),
            })
            .ok_or_else(|| CheckpointEveryError(text.to_owned()))
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointEvery::Steps(steps) => steps.fmt(f),
            CheckpointEvery::Time(time) => time.fmt(f),
        }
    }
}

impl TryFrom<Written> for CheckpointEvery {
    type Error = CheckpointEveryError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Steps(steps) => steps.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<CheckpointEvery> for Written {
    fn from(every: CheckpointEvery) -> Self {
        match every {
            CheckpointEvery::Steps(steps) => Written::Steps(steps),
            CheckpointEvery::Time(time) => Written::Text(time.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn a_bare_number_is_steps_and_a_time_has_a_unit() {
        let time = CheckpointEvery::Time(Duration(std::time::Duration::from_secs(300)));
        assert_eq!("200".parse(), Ok(CheckpointEvery::Steps(200)));
        assert_eq!("5m".parse(), Ok(time));
        for text in ["", "0", "0s", "-1", "1.5", "often", "5 parsecs"] {
            let error = text.parse::<CheckpointEvery>().unwrap_err().to_string();
            assert!(error.contains("as in 200") && error.contains("as in 5m"), "{error}");
        }
    }

    #[test]
    fn both_are_read_back_from_a_settings_file() {
        for text in ["200", "5m"] {
            let settings = Settings { checkpoint_every: Some(text.parse().unwrap()), ..Settings::default() };
            let file = mixfeed_ops::config::to_toml(&settings).unwrap();
            assert_eq!(toml::from_str::<Settings>(&file).unwrap(), settings, "{file}");
        }
        assert!(toml::from_str::<Settings>("checkpoint-every = 0").is_err());
    }
}
