//! The training itself: batches in, a trained model and its run folder out.
//!
//! This is the last stop of the journey. `Run::steps` is the loop; everything around it is what
//! happens before the first step, between epochs and after the last. How its stream is opened is in
//! `opening.rs`, how it is written down in `saving.rs`.

pub mod audit;
mod evaluating;
mod gradient;
mod group;
mod noise;
mod opening;
pub mod outcome;
pub mod resume;
mod saving;

use opening::problem;
pub(crate) use opening::try_stream;
use saving::folder_path;

use crate::config::{RunConfig, UsageError};
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::feed::{Feed, Next, loaders::Loaders};
use crate::learn::ema::Ema;
use crate::learn::model::{self, Model};
use crate::learn::optimizer::Optimizer;
use crate::learn::schedule::Schedule;
use crate::learn::staging::Stager;
use crate::learn::tally::{Losses, Tally};
use crate::machine::clock::{Clock, Lap};
use crate::machine::device;
use crate::machine::stop::{Stop, StopCause};
use crate::peers::{GroupError, Peers};
use crate::report::curves;
use crate::run::checkpoint::{self, CheckpointError, CheckpointStore};
use crate::run::observer::{Epoch, Observer, Start, Step};
use crate::run::run_folder::{RunFile, RunFolder};
use audit::AuditReport;
use mixfeed_client::{Batch, StreamError, StreamInfo};
use outcome::{Outcome, Resumed};
use resume::ResumePoint;
use std::time::Instant;
use tch::Device;

/// Everything a training needs.
pub struct TrainingJob<'a> {
    /// What to do.
    pub config: &'a RunConfig,
    /// Where batches come from.
    pub loaders: &'a Loaders,
    /// Where to compute.
    pub device: Device,
    /// Where results go; none on a trainer whose group has another one that writes them.
    pub folder: Option<&'a RunFolder>,
    /// The other trainers, in a group.
    pub peers: Option<&'a Peers>,
    /// Whether to end early.
    pub stop: &'a Stop,
}

/// What a finished training leaves behind in memory; the rest lies in its run folder.
#[derive(Clone, Debug)]
pub struct Trained {
    /// What it came to.
    pub outcome: Outcome,
    /// How it went, epoch by epoch.
    pub history: Vec<Epoch>,
}

/// Trains a model, from the beginning or from where an earlier run was ended.
///
/// When batches do not come any more, or a signal asks for the end, a checkpoint is written before
/// the error is returned. When another process asks for it, what there is by then is evaluated, and is
/// the result.
///
/// # Errors
/// When batches do not come, training diverges, results cannot be written, or the end was asked for.
///
/// # Panics
/// Where the job has no folder: such a trainer is for [`train_in_group`].
pub fn train(
    job: &TrainingJob<'_>,
    resume: Option<ResumePoint>,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainError> {
    let trained = train_in_group(job, resume, observer)?;
    Ok(trained.expect("where there is a folder there is a result"))
}

/// The same as one of a group, if the job has one; the result is rank 0's.
///
/// # Errors
/// As for [`train`], and when another trainer is lost; rank 0 then writes a checkpoint of the last step that all have done.
///
/// # Panics
/// Never: the last step is followed by a checkpoint.
pub fn train_in_group(
    job: &TrainingJob<'_>,
    resume: Option<ResumePoint>,
    observer: &mut dyn Observer,
) -> Result<Option<Trained>, TrainError> {
    let mut feed = opening::open(job, resume.as_ref())?;
    let info = feed.info().clone();
    opening::check(job, &info)?;
    if job.config.preload {
        feed.preload()?;
    }
    let mut run = match resume {
        None => Run::begin(job, info)?,
        Some(point) => Run::resume(job, info, &point)?,
    };
    run.is_alike()?;
    observer.started(&run.start());
    let mut ended = run.steps(&mut feed, observer);
    if matches!(ended, Err(TrainError::Stopped(StopCause::Call))) && run.position > 0 {
        ended = run.end_here(&feed, observer);
    }
    // Where others are ended by the same signal, whoever is first is missed by the rest.
    if let (Err(TrainError::Group(GroupError::Lost(cause))), Some(asked)) = (&ended, job.stop.requested()) {
        tracing::info!(cause, "the group ends");
        ended = Err(TrainError::Stopped(asked));
    }
    observer.ended();
    let audit = AuditReport::of(job.loaders, &feed);
    audit.iter().for_each(AuditReport::log);
    match &ended {
        Err(TrainError::Stream(StreamError::Convicted { unconfirmed, .. })) if unconfirmed.batches > 0 => {
            run.roll_back(unconfirmed.first)?;
        }
        Err(TrainError::Stopped(_) | TrainError::Stream(_) | TrainError::Group(GroupError::Lost(_))) => {
            run.save_interrupted(&feed)?;
        }
        _ => {}
    }
    let Some(folder) = job.folder else { return ended.map(|()| None) };
    job.loaders.remember(folder)?;
    ended?;
    let last = run.kept.last().expect("the last step is followed by one");
    let batches_per_epoch = run.info.batches_per_epoch;
    let resumed = Resumed { step: run.resumed_from, batches_per_epoch };
    let outcome = Outcome { audit, ..Outcome::of(job.config, last, folder, resumed) };
    Ok(Some(Trained { outcome, history: run.history }))
}

/// A training under way.
struct Run<'a> {
    job: &'a TrainingJob<'a>,
    info: StreamInfo,
    stager: Stager,
    model: Box<dyn Model>,
    optimizer: Box<dyn Optimizer>,
    schedule: Schedule,
    /// The average of the weights, where one is asked for.
    ema: Option<Ema>,
    tally: Tally,
    clock: Clock,
    /// Epochs that are finished.
    history: Vec<Epoch>,
    kept: CheckpointStore,
    /// When the last checkpoint was written.
    saved_at: Instant,
    /// Index of the next batch.
    position: u64,
    /// Index at which training ends.
    end: u64,
    resumed_from: Option<u64>,
    /// Whether a trainer of the group was asked to end after this step.
    is_called_off: bool,
}

impl<'a> Run<'a> {
    fn begin(job: &'a TrainingJob<'a>, info: StreamInfo) -> Result<Self, TrainError> {
        let run = Run::fresh(job, info)?;
        if let Some(folder) = job.folder {
            folder.begin(&RunFile::of(job.config, &run.info, job.device))?;
        }
        Ok(run)
    }

    /// Takes over all that the newest checkpoint holds; without one, begins with the first batch.
    fn resume(job: &'a TrainingJob<'a>, info: StreamInfo, point: &ResumePoint) -> Result<Self, TrainError> {
        point.compare_machine(job.config, job.device)?;
        let mut run = if let Some(checkpoint) = point.checkpoint() {
            if checkpoint.header.problem != problem(&info) {
                let path = folder_path(job).to_owned();
                return Err(CheckpointError::Foreign { path, what: "size of images" }.into());
            }
            let mut run = Run::with(job, info, checkpoint.trained_model(job.device)?)?;
            checkpoint.restore(&mut *run.optimizer)?;
            if let Some(ema) = &mut run.ema {
                checkpoint.restore_average(ema)?;
            }
            let header = &checkpoint.header;
            run.tally = run.tally.resumed(Losses { sum: header.loss_sum, samples: header.loss_rows });
            run.clock = Clock::paused(Lap {
                seconds: header.epoch_seconds,
                data_wait_seconds: header.epoch_data_wait_seconds,
                images: header.loss_rows,
            });
            run.kept = CheckpointStore::after(folder_path(job), header.clone());
            run.history = point.history();
            run
        } else {
            Run::fresh(job, info)?
        };
        run.position = point.step();
        run.resumed_from = Some(point.step());
        if let Some(folder) = job.folder {
            let file = RunFile::of(job.config, &run.info, job.device).after(point.run());
            folder.go_on(&file, &run.history)?;
            folder.keep();
        }
        tracing::info!(step = run.position, end = run.end, "resuming an earlier run");
        Ok(run)
    }

    /// The initial weights that the seed gives, or those that another run ended with.
    fn fresh(job: &'a TrainingJob<'a>, info: StreamInfo) -> Result<Self, TrainError> {
        let training = &job.config.training;
        let mut model =
            model::build(training.model.clone(), problem(&info), training.stream.seed, job.device)?;
        if let Some(path) = &training.init_from {
            let (_, checkpoint) = checkpoint::read_newest(path)?;
            checkpoint.give_to(&mut *model).map_err(|error| {
                UsageError::new(&format!("--init-from {} does not fit: {error}", path.display()))
            })?;
        }
        Run::with(job, info, model)
    }

    /// No step done yet.
    fn with(job: &'a TrainingJob<'a>, info: StreamInfo, model: Box<dyn Model>) -> Result<Self, TrainError> {
        let training = &job.config.training;
        let recipe = &training.recipe;
        let average = || model::build_again(training.model.clone(), model.file(), problem(&info), job.device);
        let ema = recipe.ema.map(|decay| Ok::<_, TrainError>(Ema::new(decay, average()?))).transpose()?;
        Ok(Run {
            stager: Stager::new(&info, training.normalisation, job.device),
            optimizer: recipe.optimizer.build(model.parameters(), recipe.precision.on(job.device)),
            schedule: recipe.schedule.over(training.epochs, info.batches_per_epoch),
            ema,
            tally: Tally::new(job.device),
            clock: Clock::paused(Lap::default()),
            history: Vec::new(),
            kept: CheckpointStore::none(folder_path(job)),
            saved_at: Instant::now(),
            position: 0,
            end: resume::end(training, info.batches_per_epoch),
            resumed_from: None,
            is_called_off: false,
            job,
            info,
            model,
        })
    }

    /// The loop.
    fn steps(&mut self, feed: &mut Feed, observer: &mut dyn Observer) -> Result<(), TrainError> {
        if self.is_epoch_over() {
            self.finish_epoch(feed, observer)?;
        }
        self.clock.go_on();
        while self.position < self.end
            && let Some(batch) = self.next_batch(feed)?
        {
            let (index, epoch, rows) = (batch.index, batch.epoch, self.global_rows(batch.index));
            assert_eq!(index, self.position, "the stream delivers in order");

            let mean_loss = self.gradient(&batch)?;
            let learning_rate = self.schedule.learning_rate(index);
            self.optimizer.step(self.model.parameters_mut(), learning_rate);
            if let Some(ema) = &mut self.ema {
                ema.update(&*self.model, index);
            }
            // Whatever comes of it: from here on there is a batch to be replayed.
            if let Some(folder) = self.job.folder {
                folder.keep();
            }
            self.tally.add(batch, rows, &mean_loss)?;

            self.position = index + 1;
            let rows = rows as usize;
            let (time, waited) = self.clock.step(rows, feed.waited());
            let losses = self.tally.so_far();
            let replicas = feed.stats().replicas_serving;
            let done = self.position;
            observer.stepped(&Step { done, epoch, rows, time, waited, losses, learning_rate, replicas });
            self.compare_weights()?;
            if std::mem::take(&mut self.is_called_off) {
                return Err(TrainError::Stopped(StopCause::Call));
            }
            if self.is_epoch_over() {
                self.finish_epoch(feed, observer)?;
                self.clock.go_on();
            } else if self.is_due() {
                self.save(feed)?;
            }
        }
        assert_eq!(self.position, self.end, "the stream ends where it was asked to");
        Ok(())
    }

    /// Waits for the next batch, and meanwhile saves when that is asked for.
    fn next_batch(&mut self, feed: &mut Feed) -> Result<Option<Batch>, TrainError> {
        loop {
            match feed.next_or_save()? {
                Next::Batch(batch) => return Ok(Some(batch)),
                Next::End => return Ok(None),
                Next::Save => self.save_as_asked(feed)?,
            }
        }
    }

    /// Ends training after the steps that are done, as if no more had been asked for.
    fn end_here(&mut self, feed: &Feed, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.end = self.position;
        if self.is_epoch_over() { self.finish_epoch(feed, observer) } else { Ok(()) }
    }

    /// Whether the epoch's last step, or the last of all, is done and what came of it is not written down yet. So
    /// it is of an epoch that was not evaluated, and turns out to be the last.
    fn is_epoch_over(&self) -> bool {
        let ends = self.position.is_multiple_of(self.info.batches_per_epoch) || self.position == self.end;
        let is_written = |epoch: &Epoch| {
            epoch.steps == self.position && (epoch.test_accuracy.is_some() || self.position != self.end)
        };
        ends && self.position > 0 && !self.history.last().is_some_and(is_written)
    }

    /// Evaluates if this epoch is one of those that are, leaves a checkpoint, and records.
    ///
    /// When the evaluation fails, for want of loaders or on a signal, the epoch stays unfinished: it
    /// is evaluated by whoever resumes the run.
    fn finish_epoch(&mut self, feed: &Feed, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let TrainingJob { folder, config, .. } = *self.job;
        let losses = self.tally.all()?;
        self.clock.pause();
        let Lap { seconds, data_wait_seconds, images } = self.clock.lap();
        let start = Instant::now();
        let score = self.evaluates_at(self.position).then(|| self.evaluate(observer)).transpose()?;
        let evaluation_seconds = if score.is_some() { start.elapsed().as_secs_f64() } else { 0.0 };
        let trained = self.history.pop_if(|epoch| epoch.steps == self.position).unwrap_or_else(|| Epoch {
            epoch: self.position as f64 / self.info.batches_per_epoch as f64,
            steps: self.position,
            images,
            train_loss: losses.mean(),
            test_accuracy: None,
            test_loss: None,
            seconds,
            data_wait_seconds,
            evaluation_seconds: 0.0,
            learning_rate: self.schedule.learning_rate(self.position - 1),
        });
        let (test_accuracy, test_loss) = (score.map(Evaluation::accuracy), score.map(Evaluation::loss));
        let epoch = Epoch { test_accuracy, test_loss, evaluation_seconds, ..trained };
        self.history.push(epoch);
        // In the middle of an epoch training ends here, and may be resumed with more steps.
        if self.position.is_multiple_of(self.info.batches_per_epoch) {
            self.tally.next_epoch();
            self.clock.next_epoch();
        }
        self.save(feed)?;
        if let Some(folder) = folder {
            folder.record(&self.history)?;
            if self.position == self.end {
                curves::draw_run(&folder.curves(), &self.history, config, &self.info.dataset.name)?;
            }
        }
        observer.finished_epoch(&epoch);
        Ok(())
    }

    fn start(&self) -> Start {
        let (evaluations, evaluations_left) = self.evaluations();
        Start {
            stream: self.info.clone(),
            model: self.job.config.training.model.name(),
            parameters: self.model.parameters().count(),
            device: device::name(self.job.device),
            threads: self.job.config.threads,
            epochs: self.job.config.training.epochs,
            steps: self.end,
            done: self.position,
            history: self.history.clone(),
            losses: self.tally.so_far(),
            evaluations,
            evaluations_left,
            test_images: match self.job.config.test_limit {
                0 => self.info.dataset.test_samples,
                limit => limit,
            },
        }
    }
}
