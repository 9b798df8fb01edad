//! The training itself: batches in, a trained model and its run folder out.
//!
//! This is the last stop of the journey. `Run::steps` is the loop; everything around it is what
//! happens before the first step, between epochs and after the last.

use crate::checkpoint::{self, Header};
use crate::clock::{Clock, Lap};
use crate::config::{RunConfig, Training};
use crate::curves;
use crate::device;
use crate::error::TrainError;
use crate::evaluate::evaluate;
use crate::feed::Feed;
use crate::loaders::{Loaders, StreamRequest};
use crate::model::{self, Model, Problem};
use crate::observer::{Epoch, Observer, Start, Step};
use crate::optimizer::{Adam, Optimizer};
use crate::outcome::Outcome;
use crate::run_folder::RunFolder;
use crate::staging::Stager;
use crate::stop::Stop;
use crate::tally::Tally;
use mixfeed_client::{StreamEnd, StreamInfo};
use std::time::Instant;
use tch::Device;

/// Everything a training needs.
pub struct Job<'a> {
    /// What to do.
    pub config: &'a RunConfig,
    /// Where batches come from.
    pub loaders: &'a Loaders,
    /// Where to compute.
    pub device: Device,
    /// Where results go.
    pub folder: &'a RunFolder,
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

/// Trains a model.
///
/// When batches do not come any more, or the end is asked for, a checkpoint is written before
/// the error is returned.
///
/// # Errors
/// When batches do not come, training diverges, results cannot be written, or the end was asked for.
pub fn train(job: &Job<'_>, observer: &mut dyn Observer) -> Result<Trained, TrainError> {
    let Training { stream: spec, epochs, .. } = &job.config.training;
    let request = StreamRequest { spec, start: 0, end: StreamEnd::Epoch(*epochs), same_as: None };
    let mut feed = job.loaders.open(request, job.stop)?;
    let mut run = Run::begin(job, feed.info().clone())?;
    observer.started(&run.start());
    let ended = run.steps(&mut feed, observer);
    observer.ended();
    if let Err(TrainError::Stopped(_) | TrainError::Stream(_)) = &ended {
        run.save_interrupted()?;
    }
    ended?;
    Ok(Trained { outcome: run.outcome(&feed), history: run.history })
}

/// A training under way.
struct Run<'a> {
    job: &'a Job<'a>,
    info: StreamInfo,
    stager: Stager,
    model: Box<dyn Model>,
    optimizer: Box<dyn Optimizer>,
    tally: Tally,
    clock: Clock,
    history: Vec<Epoch>,
    /// Index of the next batch.
    position: u64,
    /// Index at which training ends.
    end: u64,
    weights_digest: String,
}

impl<'a> Run<'a> {
    fn begin(job: &'a Job<'a>, info: StreamInfo) -> Result<Self, TrainError> {
        if info.dataset.test_samples == 0 {
            return Err(TrainError::NoTestSamples(info.dataset.name));
        }
        let training = &job.config.training;
        let model = model::build(training.model, problem(&info), training.stream.seed, job.device)?;
        let all_steps = training.epochs.saturating_mul(info.batches_per_epoch);
        job.folder.begin(job.config, &info, job.device)?;
        Ok(Run {
            stager: Stager::new(&info, training.normalisation, job.device),
            optimizer: Box::new(Adam::new(training.adam, model.parameters())),
            tally: Tally::new(job.device),
            clock: Clock::start(),
            history: Vec::new(),
            position: 0,
            end: training.steps.map_or(all_steps, |steps| steps.min(all_steps)),
            weights_digest: String::new(),
            job,
            info,
            model,
        })
    }

    /// The loop.
    fn steps(&mut self, feed: &mut Feed, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Training { loss, learning_rate, .. } = self.job.config.training;
        self.clock = Clock::start();
        while self.position < self.end
            && let Some(batch) = feed.next_batch()?
        {
            let (index, epoch, rows) = (batch.index, batch.epoch, batch.rows);
            assert_eq!(index, self.position, "the stream delivers in order");
            let staged = self.stager.stage(&batch);

            self.model.parameters_mut().zero_grad();
            let scores = self.model.forward(&staged.images);
            let mean_loss = loss.of(&scores, &staged.targets);
            mean_loss.backward();
            self.optimizer.step(self.model.parameters_mut(), learning_rate);
            self.tally.add(batch, &mean_loss)?;

            self.position = index + 1;
            let (time, waited) = self.clock.step(rows, feed.waited());
            let mean_loss = self.tally.mean();
            observer.stepped(&Step { done: self.position, epoch, rows, time, waited, mean_loss });
            if self.position.is_multiple_of(self.info.batches_per_epoch) || self.position == self.end {
                self.finish_epoch(observer)?;
            }
        }
        assert_eq!(self.position, self.end, "the stream ends where it was asked to");
        Ok(())
    }

    /// Evaluates, records, and leaves a checkpoint.
    fn finish_epoch(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Job { loaders, folder, stop, config, .. } = *self.job;
        let train_loss = self.tally.finish()?;
        let Lap { seconds, data_wait_seconds, images } = self.clock.lap();
        // Before the evaluation: if that fails for want of loaders, the epoch is not lost.
        self.save()?;
        let start = Instant::now();
        let score = evaluate(&*self.model, &self.stager, loaders, &self.info, stop)?;
        let epoch = Epoch {
            epoch: self.position as f64 / self.info.batches_per_epoch as f64,
            steps: self.position,
            images,
            train_loss,
            test_accuracy: score.accuracy(),
            seconds,
            data_wait_seconds,
            evaluation_seconds: start.elapsed().as_secs_f64(),
            learning_rate: config.training.learning_rate,
        };
        self.history.push(epoch);
        folder.record(&epoch)?;
        if self.position == self.end {
            curves::draw_run(&folder.curves(), &self.history, config)?;
        }
        observer.finished_epoch(&epoch);
        self.clock.restart();
        Ok(())
    }

    /// Keeps what there is when training ends before its time.
    fn save_interrupted(&mut self) -> Result<(), TrainError> {
        self.save()?;
        if !self.history.is_empty() {
            curves::draw_run(&self.job.folder.curves(), &self.history, self.job.config)?;
        }
        let checkpoint = self.job.folder.checkpoint();
        tracing::info!(step = self.position, checkpoint = %checkpoint.display(), "wrote a checkpoint");
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let (config, info) = (self.job.config, &self.info);
        let (loss_sum, loss_rows) = self.tally.sums()?;
        let header = Header {
            format: checkpoint::FORMAT,
            release: mixfeed_ops::build::RELEASE.to_owned(),
            model: config.training.model,
            problem: problem(info),
            normalisation: config.training.normalisation,
            dataset: info.dataset.name.clone(),
            dataset_digest: hex(info.dataset.digest),
            classes: info.dataset.classes.clone(),
            algorithm_fingerprint: hex(info.algorithm_fingerprint),
            spec_digest: hex(config.training.stream.digest()),
            next_batch: self.position,
            loss_sum,
            loss_rows,
            device: device::name(self.job.device),
            threads: config.threads,
            cpu: device::cpu_model(),
            weights_digest: String::new(),
            tensors_digest: String::new(),
        };
        let path = self.job.folder.checkpoint();
        self.weights_digest =
            checkpoint::write(&path, header, &*self.model, &*self.optimizer)?.weights_digest;
        Ok(())
    }

    fn start(&self) -> Start {
        Start {
            stream: self.info.clone(),
            model: self.job.config.training.model.name(),
            parameters: self.model.parameters().count(),
            device: device::name(self.job.device),
            threads: self.job.config.threads,
            epochs: self.job.config.training.epochs,
            steps: self.end,
        }
    }

    fn outcome(&self, feed: &Feed) -> Outcome {
        let (config, info, history) = (self.job.config, &self.info, &self.history);
        let sum = |part: fn(&Epoch) -> f64| history.iter().map(part).sum::<f64>();
        let images = history.iter().map(|epoch| epoch.images).sum::<u64>();
        let seconds = sum(|epoch| epoch.seconds);
        let last = history.last();
        Outcome {
            preset: config.training.preset.name().to_owned(),
            model: config.training.model.name().to_owned(),
            epochs: self.position.div_ceil(info.batches_per_epoch),
            steps: self.position,
            seed: config.training.stream.seed,
            device: device::name(self.job.device),
            threads: config.threads,
            replicas_seen: feed.stats().replicas_seen,
            images,
            seconds,
            evaluation_seconds: sum(|epoch| epoch.evaluation_seconds),
            images_per_second: images as f64 / seconds,
            data_wait_ratio: sum(|epoch| epoch.data_wait_seconds) / seconds,
            train_loss: last.map_or(f64::NAN, |epoch| epoch.train_loss),
            test_accuracy: last.map_or(f64::NAN, |epoch| epoch.test_accuracy),
            dataset: info.dataset.name.clone(),
            dataset_digest: hex(info.dataset.digest),
            weights_digest: self.weights_digest.clone(),
            checkpoint: self.job.folder.checkpoint().display().to_string(),
            curves: self.job.folder.curves().display().to_string(),
        }
    }
}

/// The size of the problem that a stream poses.
fn problem(info: &StreamInfo) -> Problem {
    Problem {
        height: info.image.height.into(),
        width: info.image.width.into(),
        channels: info.image.channels.into(),
        classes: info.dataset.classes.len() as i64,
    }
}

fn hex(digest: [u8; 32]) -> String {
    blake3::Hash::from(digest).to_string()
}
