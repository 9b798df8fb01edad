//! How the stream of a training is opened: where it begins, on which data, and whether there is all that training needs
//! of them.

use super::TrainingJob;
use crate::config::{RunConfig, Training, UsageError};
use crate::error::TrainError;
use crate::feed::Feed;
use crate::feed::loaders::{Loaders, StreamRequest};
use crate::learn::model::Problem;
use crate::machine::stop::Stop;
use crate::report::table::counted;
use crate::run::left_out;
use crate::train::resume::{self, ResumePoint};
use mixfeed_client::{BadRecordsInfo, RowShard, StreamEnd, StreamError, StreamInfo, StreamSpec};
use std::sync::Once;

/// Whether this process has said what training does not come to of its schedule.
static SCHEDULE_SAID: Once = Once::new();

/// Opens the stream of batches that are left.
pub(super) fn open(job: &TrainingJob<'_>, resume: Option<&ResumePoint>) -> Result<Feed, TrainError> {
    let (spec, stop) = (&spec(job), &stop(job));
    let Some(point) = resume else {
        let end = StreamEnd::Epoch(job.config.training.epochs);
        return job.loaders.open(StreamRequest { spec, start: 0, end, expected: None }, stop);
    };
    let (start, end) = (point.step(), StreamEnd::Batch(point.end()));
    let request = StreamRequest { spec, start, end, expected: point.expected() };
    match job.loaders.open(request, stop) {
        Err(TrainError::Stream(StreamError::Mismatch { detail })) => open_with_less(job, point, &detail),
        opened => opened,
    }
}

/// The stream of this trainer: of a group's batches, its rows.
fn spec(job: &TrainingJob<'_>) -> StreamSpec {
    let shard = job.peers.map(|peers| RowShard { rank: peers.rank(), world: peers.world() });
    StreamSpec { shard, ..job.config.training.stream }
}

/// The wish that ends the wait for a batch: in a group not that of a caller, since all have to end after one step.
fn stop(job: &TrainingJob<'_>) -> Stop {
    if job.peers.is_some() { job.stop.of_signals_only() } else { job.stop.clone() }
}

/// Opens the stream where loaders serve another dataset than the run's: it may be the same less records that the run
/// has not met.
fn open_with_less(job: &TrainingJob<'_>, point: &ResumePoint, detail: &str) -> Result<Feed, TrainError> {
    let training = &job.config.training;
    // An epoch may have fewer batches without them, and so may all.
    let end = StreamEnd::Epoch(training.epochs);
    let request = StreamRequest { spec: &spec(job), start: point.step(), end, expected: None };
    let feed = job.loaders.open(request, &stop(job))?;
    match left_out::more_than_before(point.run(), feed.info(), training, point.step()) {
        Ok(records) => {
            tracing::warn!(
                records,
                step = point.step(),
                "records are left out that the run has not seen yet: it continues as if they had been left out from the start"
            );
            Ok(feed)
        }
        Err(reason) => {
            let detail = format!("{detail}; {reason}");
            Err(TrainError::OtherData { dataset: point.dataset().to_owned(), detail })
        }
    }
}

/// Looks at a stream that is open, before the first step: whether it has all that training needs, and what to say of it.
///
/// # Errors
/// As [`has_test_images`].
pub(super) fn check(job: &TrainingJob<'_>, info: &StreamInfo) -> Result<(), TrainError> {
    has_test_images(job.config, info)?;
    warn_of_bad_records(job, info);
    let Training { recipe, epochs, .. } = &job.config.training;
    let end = resume::end(&job.config.training, info.batches_per_epoch);
    // All trainings of a comparison have one schedule.
    SCHEDULE_SAID.call_once(|| {
        for warning in recipe.schedule.over(*epochs, info.batches_per_epoch).warnings(end) {
            tracing::warn!("{warning}");
        }
    });
    Ok(())
}

/// Whether there are the images that the model is to be scored on, of which the first evaluation would be the first to tell.
///
/// # Errors
/// When there are none, or fewer than `--test-limit`.
fn has_test_images(config: &RunConfig, info: &StreamInfo) -> Result<(), TrainError> {
    let (name, limit, samples) = (&info.dataset.name, config.test_limit, info.dataset.test_samples);
    if samples == 0 {
        return Err(TrainError::NoTestSamples(name.clone()));
    }
    if limit > samples {
        let samples = counted(samples, "image");
        let text = format!("--test-limit is {limit}, the test split of dataset {name} has {samples}");
        return Err(UsageError::new(&text).into());
    }
    Ok(())
}

/// Whether loaders would serve a training that begins.
///
/// # Errors
/// As for opening its stream, and when there are no images to score the model on.
pub(crate) fn try_stream(config: &RunConfig, loaders: &Loaders, stop: &Stop) -> Result<(), TrainError> {
    let spec = &config.training.stream;
    let request = StreamRequest { spec, start: 0, end: StreamEnd::Batch(0), expected: None };
    has_test_images(config, loaders.open(request, stop)?.info())
}

/// Says before the first step what loaders elsewhere know to be bad. One in this process has said so itself.
fn warn_of_bad_records(job: &TrainingJob<'_>, info: &StreamInfo) {
    let BadRecordsInfo { count, examples } = &info.dataset.bad_records;
    if *count == 0 || job.loaders.is_embedded() {
        return;
    }
    for record in examples {
        tracing::warn!(record, "bad record: every batch with it fails");
    }
    tracing::warn!(
        bad_records = count,
        "batches will fail: restart the loaders with --bad-records skip, or with the skip list that \
         `mixfeed-loader inspect --write-skip-list FILE` writes"
    );
}

/// The size of the problem that a stream poses.
pub(super) fn problem(info: &StreamInfo) -> Problem {
    Problem {
        height: info.image.height.into(),
        width: info.image.width.into(),
        channels: info.image.channels.into(),
        classes: info.dataset.classes.len() as i64,
    }
}
