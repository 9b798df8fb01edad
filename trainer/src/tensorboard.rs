//! The curves of a run as event files, which TensorBoard draws: `tensorboard --logdir runs`.
//!
//! Each process adds a file of its own, one record an epoch. A run that goes on says so in its first
//! record, so that TensorBoard forgets what was lost and done again.

mod event;
mod record;

use crate::observer::{Epoch, Observer, Start};
use event::{Event, SessionLog, Summary, Value};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the names of event files begin with; TensorBoard looks for a part of it.
pub(crate) const PREFIX: &str = "events.out.tfevents.";

/// Writes the event files of a run.
pub(crate) struct TensorBoard {
    folder: PathBuf,
    /// None before the start, and after a failure.
    file: Option<File>,
}

impl TensorBoard {
    /// For the run in `folder`. The file is made when training starts.
    pub(crate) fn new(folder: &Path) -> Self {
        TensorBoard { folder: folder.to_owned(), file: None }
    }

    /// Begins the next file. Its number is in its name, as TensorBoard reads files in the order of names.
    fn begin(&self, done: u64) -> io::Result<File> {
        for number in 1.. {
            let path = self.folder.join(format!("{PREFIX}{number:06}.mixfeed"));
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

    fn add(&mut self, event: &Event) {
        if let Some(file) = &mut self.file
            && let Err(error) = write(file, event)
        {
            tracing::warn!(%error, folder = %self.folder.display(), "no more events for TensorBoard are written");
            self.file = None;
        }
    }
}

impl Observer for TensorBoard {
    fn started(&mut self, start: &Start) {
        match self.begin(start.done) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                tracing::warn!(%error, folder = %self.folder.display(), "no events for TensorBoard are written");
            }
        }
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        let value =
            |(tag, value): (&str, f64)| Value { tag: tag.to_owned(), simple_value: Some(value as f32) };
        let values = [
            ("loss/train", epoch.train_loss),
            ("accuracy/test", epoch.test_accuracy),
            ("learning_rate", epoch.learning_rate),
            ("speed/images_per_second", epoch.images_per_second()),
            ("speed/data_wait_ratio", epoch.data_wait_seconds / epoch.seconds),
        ];
        let summary = Some(Summary { values: values.map(value).into() });
        self.add(&Event { step: epoch.steps.cast_signed(), summary, ..Event::at(now()) });
    }
}

/// Removes the event files of a folder.
pub(crate) fn clear(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// One write, so that a reader sees whole records, or the beginning of the last one.
fn write(file: &mut File, event: &Event) -> io::Result<()> {
    file.write_all(&record::frame(&prost::Message::encode_to_vec(event)))
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
