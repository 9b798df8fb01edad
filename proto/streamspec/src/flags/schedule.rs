//! A schedule of mixing as the text of its flag: `EPOCH:SETTINGS;…`, settings being flags of mixing without their dashes.
//!
//! What an entry does not name is as the flags beside it say, not as the entry before: each line is read by itself.

use crate::AugmentationArgs;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How images are mixed from some epochs on, as text.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct MixupSchedule(Vec<(u64, Entry)>);

/// What holds from an epoch on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    /// Nothing is mixed.
    Off,
    /// As the flags say, but for these.
    On([Option<f64>; NAMES.len()]),
}

/// What an entry may name.
const NAMES: [&str; 4] = ["mixup-alpha", "mixup-prob", "cutmix-alpha", "switch-prob"];

/// In place of settings: nothing is mixed, and all is as the flags say.
const OFF: &str = "off";
const ON: &str = "on";

impl MixupSchedule {
    /// The schedule of mixing that ends before an epoch.
    pub(super) fn until(epoch: u64) -> Self {
        Self(vec![(epoch, Entry::Off)])
    }

    /// The flags that are in force from each of the epochs on, given those beside the schedule; none where nothing is mixed.
    pub(super) fn flags(&self, beside: &AugmentationArgs) -> Vec<(u64, Option<AugmentationArgs>)> {
        let flags = |entry: &Entry| match *entry {
            Entry::Off => None,
            Entry::On([mixup_alpha, mixup_prob, cutmix_alpha, switch_prob]) => Some(AugmentationArgs {
                mixup_alpha: mixup_alpha.or(beside.mixup_alpha),
                mixup_prob: mixup_prob.or(beside.mixup_prob),
                cutmix_alpha: cutmix_alpha.or(beside.cutmix_alpha),
                switch_prob: switch_prob.or(beside.switch_prob),
                ..beside.clone()
            }),
        };
        self.0.iter().map(|(epoch, entry)| (*epoch, flags(entry))).collect()
    }

    /// The last epoch that something is said of.
    #[must_use]
    pub fn last_epoch(&self) -> u64 {
        self.0.last().map_or(0, |(epoch, _)| *epoch)
    }
}

impl FromStr for MixupSchedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut entries: Vec<(u64, Entry)> = Vec::new();
        for part in text.split(';').map(str::trim) {
            let malformed = || {
                format!(
                    "{part:?}: expected EPOCH:SETTINGS with settings of {}, or {OFF} or {ON}, e.g. \
                     0:mixup-alpha=0.2,mixup-prob=1;20:{OFF}",
                    NAMES.join(", ")
                )
            };
            let (epoch, settings) = part.split_once(':').ok_or_else(malformed)?;
            let epoch = epoch.trim().parse().map_err(|_not_a_number| malformed())?;
            if let Some((last, _)) = entries.last().filter(|(last, _)| epoch <= *last) {
                return Err(format!("epoch {epoch} comes after epoch {last}: put them in order, each once"));
            }
            let entry = match settings.trim() {
                OFF => Entry::Off,
                ON => Entry::On([None; NAMES.len()]),
                settings => on(settings).ok_or_else(malformed)?,
            };
            entries.push((epoch, entry));
        }
        Ok(Self(entries))
    }
}

/// Settings by their names, each once.
fn on(text: &str) -> Option<Entry> {
    let mut settings = [None; NAMES.len()];
    for setting in text.split(',') {
        let (name, value) = setting.split_once('=')?;
        let place = NAMES.iter().position(|known| *known == name.trim())?;
        if settings[place]
            .replace(value.trim().parse().ok().filter(|value: &f64| value.is_finite())?)
            .is_some()
        {
            return None;
        }
    }
    Some(Entry::On(settings))
}

impl fmt::Display for MixupSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (epoch, entry)) in self.0.iter().enumerate() {
            let settings: Vec<_> = match entry {
                Entry::Off => vec![OFF.to_owned()],
                Entry::On(settings) if settings.iter().all(Option::is_none) => vec![ON.to_owned()],
                Entry::On(settings) => {
                    let named = NAMES.iter().zip(settings);
                    named.filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))).collect()
                }
            };
            write!(f, "{}{epoch}:{}", if number > 0 { ";" } else { "" }, settings.join(","))?;
        }
        Ok(())
    }
}

impl TryFrom<String> for MixupSchedule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MixupSchedule> for String {
    fn from(schedule: MixupSchedule) -> Self {
        schedule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_and_written() {
        for text in [
            "20:off",
            "0:mixup-alpha=0.2,mixup-prob=1;20:off",
            "5:on",
            "0:off;5:on;10:mixup-alpha=0,cutmix-alpha=1;15:switch-prob=0.25",
        ] {
            assert_eq!(text.parse::<MixupSchedule>().unwrap().to_string(), text);
        }
        let spaced = " 0 : mixup-prob = 1 , mixup-alpha = 0.2 ; 20 : off ".parse::<MixupSchedule>();
        assert_eq!(spaced.unwrap().to_string(), "0:mixup-alpha=0.2,mixup-prob=1;20:off");
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_an_example() {
        for wrong in [
            "",
            "20",
            "off",
            "x:off",
            "-1:off",
            "20:",
            "20:alpha=1",
            "20:mixup-alpha",
            "20:mixup-alpha=x",
            "20:mixup-alpha=NaN",
            "20:mixup-alpha=1,mixup-alpha=2",
            "20:off,mixup-alpha=1",
            "20:off;",
        ] {
            let error = wrong.parse::<MixupSchedule>().unwrap_err();
            assert!(error.contains("e.g. 0:mixup-alpha=0.2,mixup-prob=1;20:off"), "{wrong}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        for wrong in ["20:off;10:on", "20:off;20:on"] {
            let error = wrong.parse::<MixupSchedule>().unwrap_err();
            assert!(error.ends_with("comes after epoch 20: put them in order, each once"), "{error}");
        }
    }
}
