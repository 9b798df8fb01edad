//! The curves of a run as event files, which TensorBoard draws: `tensorboard --logdir runs`.
//!
//! Each process adds a file of its own: a record every so many steps (`step/…`), and one an epoch. A run that goes
//! on says so in its first record, so that TensorBoard forgets what was lost and done again. The settings that shape
//! the weights are there for the tab HPARAMS, which sets runs beside each other.

mod event;
mod hyperparameters;
mod record;
mod window;

use crate::config::RunConfig;
use crate::run::observer::{Epoch, Observer, Start, Step};
use event::{Event, SessionLog, Summary, Value};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use window::Window;

/// What the names of event files begin with; TensorBoard looks for a part of it.
const PREFIX: &str = "events.out.tfevents.";

/// Digits of the number in the names of ours.
const DIGITS: usize = 6;

/// What those of ours end with.
const SUFFIX: &str = ".mixfeed";

/// Writes the event files of a run.
pub(crate) struct TensorBoard {
    folder: PathBuf,
    /// None before the start, and after a failure.
    file: Option<File>,
    hyperparameters: Vec<(String, toml::Value)>,
    /// Steps between two records.
    every: u64,
    window: Window,
    /// Steps in all.
    steps: u64,
    /// Steps done.
    done: u64,
}

impl TensorBoard {
    /// For the run of `config` in `folder`. The file is made when training starts.
    pub(crate) fn new(folder: &Path, config: &RunConfig) -> Self {
        TensorBoard {
            folder: folder.to_owned(),
            file: None,
            hyperparameters: config.settings.hyperparameters(),
            every: config.log_every,
            window: Window::default(),
            steps: 0,
            done: 0,
        }
    }

    /// Begins the next file. Its number is in its name, as TensorBoard reads files in the order of names.
    fn begin(&self, done: u64) -> io::Result<File> {
        for number in 1.. {
            let path = self.folder.join(name(number));
            let mut file = match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => file,
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            write(&mut file, &Event::version(now()))?;
            if done > 0 {
                // All from this step on is forgotten; what the step before came to stays.
                let log = SessionLog::start();
                let step = (done + 1).cast_signed();
                write(&mut file, &Event { session_log: Some(log), step, ..Event::at(now()) })?;
            }
            return Ok(file);
        }
        unreachable!("there are more numbers than files")
    }

    fn scalars(&mut self, step: u64, scalars: &[(&str, Option<f64>)]) {
        let value = |(tag, value): &(&str, Option<f64>)| {
            let simple_value = Some((*value)? as f32);
            Some(Value { tag: (*tag).to_owned(), simple_value, ..Value::default() })
        };
        let summary = Some(Summary { values: scalars.iter().filter_map(value).collect() });
        self.add(&Event { step: step.cast_signed(), summary, ..Event::at(now()) });
    }

    fn add(&mut self, event: &Event) {
        if let Some(file) = &mut self.file
            && let Err(error) = write(file, event)
        {
            tracing::warn!(%error, folder = %self.folder.display(), "TensorBoard events are no longer written");
            self.file = None;
        }
    }
}

impl Observer for TensorBoard {
    fn started(&mut self, start: &Start) {
        (self.steps, self.done) = (start.steps, start.done);
        self.window = Window::of(start.losses);
        match self.begin(start.done) {
            Ok(file) => {
                self.file = Some(file);
                let now = now();
                let summary = Some(hyperparameters::begin(&self.hyperparameters, now));
                self.add(&Event { summary, ..Event::at(now) });
            }
            Err(error) => {
                tracing::warn!(%error, folder = %self.folder.display(), "TensorBoard events are not written");
            }
        }
    }

    fn stepped(&mut self, step: &Step) {
        self.done = step.done;
        self.window.add(step);
        if step.done.is_multiple_of(self.every) {
            let (loss, images_per_second) = self.window.take();
            let scalars = [
                ("step/loss", loss),
                ("step/learning_rate", Some(step.learning_rate)),
                ("step/images_per_second", Some(images_per_second)),
            ];
            self.scalars(step.done, &scalars);
        }
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.window.next_epoch();
        let scalars = [
            ("loss/train", Some(epoch.train_loss)),
            ("loss/test", epoch.test_loss),
            ("accuracy/test", epoch.test_accuracy),
            ("learning_rate", Some(epoch.learning_rate)),
            ("speed/images_per_second", Some(epoch.images_per_second())),
            ("speed/data_wait_ratio", Some(epoch.data_wait_seconds / epoch.seconds)),
        ];
        self.scalars(epoch.steps, &scalars);
    }

    fn ended(&mut self) {
        // One that was interrupted has not ended for good.
        if self.done == self.steps {
            let now = now();
            self.add(&Event { summary: Some(hyperparameters::end(now)), ..Event::at(now) });
        }
    }
}

/// The event files of a folder that are ours by their names; other programs have their own beside them.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| name.to_str().is_some_and(is_ours));
    Ok(names)
}

/// Removes our event files of a folder but those in `keep`.
pub(crate) fn clear(folder: &Path, keep: &[OsString]) -> io::Result<()> {
    let names = files(folder)?;
    names.iter().filter(|name| !keep.contains(name)).try_for_each(|name| fs::remove_file(folder.join(name)))
}

fn name(number: u32) -> String {
    format!("{PREFIX}{number:0DIGITS$}{SUFFIX}")
}

/// Whether [`name`] made it. Others put the time in seconds there, which has more digits, and then the name of the machine.
fn is_ours(text: &str) -> bool {
    let number = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    number.is_some_and(|number| number.len() == DIGITS && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// One write, so that a reader sees whole records, or the beginning of the last one.
fn write(file: &mut File, event: &Event) -> io::Result<()> {
    file.write_all(&record::frame(&prost::Message::encode_to_vec(event)))
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_event_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let others = [
            "events.out.tfevents.1690000000.host.77.0",
            "events.out.tfevents.1690000000.mixfeed",
            "events.out.tfevents.000001.mixfeed.v2",
            "events.out.tfevents.x00001.mixfeed",
            "events.out.tfevents..mixfeed",
            "000001.mixfeed",
        ];
        let ours = [name(1), name(2), name(999_999)];
        let all = || others.iter().copied().chain(ours.iter().map(String::as_str));
        all().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        clear(folder.path(), &[name(2).into()]).unwrap();
        for file in all() {
            let stays = others.contains(&file) || file == name(2);
            assert_eq!(folder.path().join(file).exists(), stays, "{file}");
        }
    }
}
