//! Layered settings: flags over environment over a file over defaults.
//!
//! A command's settings are one struct whose fields are all options, filled by clap from flags and
//! environment ([`twin`] gives each flag its variable), and merged with the same struct read from a TOML file ([`read`]).
//! Presets and defaults are merged last, as structs again. What a setting means is not known here.

use clap::Arg;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::{Table, Value};

/// Why settings could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read settings file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or holds a key or a value that is not a setting.
    #[error("settings file {path}{place}: {message}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// " line N", or nothing.
        place: String,
        /// What is wrong, on one line.
        message: String,
    },
    /// A value given by flag or environment has no TOML form, such as an integer above 2^63 - 1.
    #[error("settings: {0}")]
    Value(String),
}

impl ConfigError {
    /// The same error, with the keys that there are where it is of one that is none. serde knows them itself but for
    /// settings that are put together from several structs.
    #[must_use]
    pub fn with_keys(self, keys: &[String]) -> Self {
        match self {
            ConfigError::File { path, place, message }
                if message.starts_with("unknown field") && !message.contains("expected") =>
            {
                let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
                let message = format!("{message}, expected one of {}", keys.join(", "));
                ConfigError::File { path, place, message }
            }
            other => other,
        }
    }
}

/// Reads settings from a TOML file, to be merged with those that were given otherwise.
///
/// The struct's field names are the keys; it should deny unknown fields, so that a misspelled key is
/// an error that names the key and the file.
///
/// # Errors
/// When the file cannot be read, or is not a valid form of the settings.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    // Reading the file a user names is what this function is for.
    #[allow(clippy::disallowed_methods)]
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| in_file::<T>(path, &text, &error))
}

/// Gives a flag its twin in the environment: `prefix`, and the flag's name in capitals. One that has another keeps it.
#[must_use]
pub fn twin(arg: Arg, prefix: &str) -> Arg {
    match (arg.get_env(), arg.get_long()) {
        (None, Some(long)) if arg.get_action().takes_values() => {
            let name = format!("{prefix}{}", long.to_uppercase().replace('-', "_"));
            // Once for each flag in the life of a process: clap keeps names that live as long.
            arg.env(&*name.leak()).allow_negative_numbers(true)
        }
        _ => arg,
    }
}

/// The settings as a file that [`read`] reads back, for `--print-config` and run folders.
///
/// # Errors
/// When a value has no TOML form.
pub fn to_toml<T: Serialize>(settings: &T) -> Result<String, ConfigError> {
    toml::to_string(settings).map_err(|error| ConfigError::Value(one_line(&error.to_string())))
}

fn in_file<T: DeserializeOwned>(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let mut message = one_line(error.message());
    let mut before = error.span().and_then(|span| text.get(..span.start));
    // Of settings that are put together from several structs, an error may be said of the whole file. It is of one
    // key, and each can be tried by itself, because none needs another.
    if error.span().is_some_and(|span| span.start == 0)
        && let Some(key) = wrong_key::<T>(text)
    {
        before = line_of(text, &key).and_then(|start| text.get(..start));
        if !message.contains(&key) {
            message = format!("{key}: {message}");
        }
    }
    let place =
        before.map_or_else(String::new, |before| format!(" line {}", before.matches('\n').count() + 1));
    ConfigError::File { path: path.to_owned(), place, message }
}

/// The first key that is no setting, or whose value is none.
fn wrong_key<T: DeserializeOwned>(text: &str) -> Option<String> {
    let all: Table = text.parse().ok()?;
    let is_wrong = |key: &String, value: &Value| {
        Value::Table(Table::from_iter([(key.clone(), value.clone())])).try_into::<T>().is_err()
    };
    all.into_iter().find(|(key, value)| is_wrong(key, value)).map(|(key, _)| key)
}

/// Where the line begins that gives this key a value.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let gives = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if gives(line) {
            return Some(start);
        }
        start += line.len();
    }
    None
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A span of time with its unit, as in `3s` or `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(pub std::time::Duration);

/// Why a text is no [`Duration`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// A bare number.
    #[error("`{0}` has no unit: give a unit, as in 3s or 500ms")]
    NoUnit(String),
    /// Something else.
    #[error("`{text}` is not a duration ({source}): write it as in 3s or 500ms")]
    Malformed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: humantime::DurationError,
    },
}

impl Duration {
    /// The span itself.
    #[must_use]
    pub fn get(self) -> std::time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.trim().parse::<f64>().is_ok() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let malformed = |source| DurationError::Malformed { text: text.to_owned(), source };
        humantime::parse_duration(text).map(Duration).map_err(malformed)
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> String {
        duration.to_string()
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Duration(duration)
    }
}

#[cfg(test)]
mod tests;
