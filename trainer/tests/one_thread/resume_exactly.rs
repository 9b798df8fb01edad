//! A training that is stopped in the middle of an epoch and resumed ends as one that nobody stopped,
//! bit for bit, whatever it remembers: velocities, moments, averages, running statistics, rates.

use crate::support::{StopAt, Unwatched, run_in, small};
use clap::ValueEnum as _;
use mixfeed_client::{LambdaScope, PartnerSource};
use mixfeed_loader::config::AugmentationArgs;
use mixfeed_ops::signals::Signal;
use mixfeed_trainer::config::Settings;
use mixfeed_trainer::error::TrainError;
use mixfeed_trainer::learn::model::ModelKind;
use mixfeed_trainer::learn::optimizer::OptimizerKind;
use mixfeed_trainer::learn::precision::Precision;
use mixfeed_trainer::learn::schedule::ScheduleKind;
use mixfeed_trainer::machine::stop::Stop;
use mixfeed_trainer::run::checkpoint;
use mixfeed_trainer::train::Trained;
use tch::{Device, Tensor};

/// Three epochs of four steps. All trainings of this file compute with one thread: their number is one
/// for the whole process, in which tests run side by side.
fn settings() -> Settings {
    Settings {
        model: Some(ModelKind::Linear),
        data: Some("synthetic:64".to_owned()),
        workers: Some(1),
        limit: None,
        batch_size: Some(16),
        epochs: Some(3),
        threads: Some(1),
        lr: Some(0.01),
        weight_decay: Some(0.01),
        ..small()
    }
}

/// All that a run leaves: its result and every tensor of its checkpoint.
fn learnt(folder: &std::path::Path, trained: &Trained) -> (String, Vec<[u64; 5]>, String) {
    let rows = trained.history.iter().map(|row| {
        let [accuracy, loss] = [row.test_accuracy, row.test_loss].map(|value| value.unwrap().to_bits());
        [row.steps, row.train_loss.to_bits(), accuracy, loss, row.learning_rate.to_bits()]
    });
    // The optimiser's tensors, and the weights behind an average, count here as well.
    let header = checkpoint::read(&folder.join("checkpoint-last.safetensors")).unwrap().header;
    (trained.outcome.weights_digest.clone(), rows.collect(), header.tensors_digest)
}

/// Runs `settings` whole, and again with stops after these steps; both have to come to the same.
fn assert_resumes_exactly(settings: &Settings, stops: &[u64]) {
    let whole = tempfile::tempdir().unwrap();
    let golden = run_in(whole.path(), settings.clone(), &mut Unwatched, &Stop::default()).unwrap();
    let pieces = tempfile::tempdir().unwrap();
    for step in stops {
        let mut stopper = StopAt { step: *step, stop: Stop::default(), asked: Signal::Terminate.into() };
        let stop = stopper.stop.clone();
        let error = run_in(pieces.path(), settings.clone(), &mut stopper, &stop).unwrap_err();
        assert!(matches!(error, TrainError::Stopped(_)), "step {step}: {error}");
    }
    let resumed = run_in(pieces.path(), settings.clone(), &mut Unwatched, &Stop::default()).unwrap();
    assert_eq!(resumed.outcome.resumed_from_step, stops.last().copied());
    let [golden, resumed] =
        [(&whole, &golden), (&pieces, &resumed)].map(|(folder, run)| learnt(folder.path(), run));
    assert_eq!(golden, resumed, "{settings:?}");
}

#[test]
fn every_optimizer_and_schedule_with_and_without_an_average_resumes_exactly() {
    for optimizer in OptimizerKind::value_variants() {
        for schedule in ScheduleKind::value_variants() {
            for ema in [0.0, 0.9] {
                let settings = Settings {
                    optimizer: Some(*optimizer),
                    nesterov: (*optimizer == OptimizerKind::Sgd).then_some(true),
                    schedule: Some(*schedule),
                    milestones: (*schedule == ScheduleKind::Step).then(|| vec![1, 2]),
                    warmup: Some(0.5),
                    clip_norm: Some(1.0),
                    label_smoothing: Some(0.1),
                    ema: Some(ema),
                    ..settings()
                };
                assert_resumes_exactly(&settings, &[6]);
            }
        }
    }
}

#[test]
fn running_statistics_resume_exactly() {
    for ema in [0.0, 0.5] {
        let settings = Settings {
            model: Some(ModelKind::FastResNet),
            data: Some("synthetic:24".to_owned()),
            batch_size: Some(8),
            epochs: Some(2),
            optimizer: Some(OptimizerKind::Sgd),
            ema: Some(ema),
            ..settings()
        };
        assert_resumes_exactly(&settings, &[2, 4]);
    }
}

#[test]
fn mixing_and_augmentation_of_every_kind_resume_exactly() {
    let augmentation = AugmentationArgs {
        mixup_alpha: Some(0.4),
        mixup_prob: Some(0.8),
        cutmix_alpha: Some(1.0),
        crop_padding: Some(4),
        flip_prob: Some(0.5),
        resized_crop: Some(0.3),
        trivial_augment: Some(true),
        color_jitter: Some(vec![0.2, 0.2, 0.2, 0.1]),
        rand_augment: "2,9".parse().ok(),
        grayscale_prob: Some(0.2),
        erase_prob: Some(0.2),
        cutout: Some(8),
        ..AugmentationArgs::default()
    };
    for (lambda_per, partner) in
        [(LambdaScope::Sample, PartnerSource::Dataset), (LambdaScope::Batch, PartnerSource::Batch)]
    {
        let augmentation =
            AugmentationArgs { lambda_per: Some(lambda_per), partner: Some(partner), ..augmentation.clone() };
        let settings = Settings { augmentation, ..settings() };
        assert_resumes_exactly(&settings, &[6]);
    }
}

#[test]
fn sixteen_bits_resume_exactly() {
    for precision in [Precision::Bf16, Precision::Fp16] {
        let settings = Settings {
            precision: Some(precision),
            optimizer: Some(OptimizerKind::Sgd),
            // Half precision leaves the first steps out, until the scale of the losses fits.
            lr: Some(0.001),
            ..settings()
        };
        assert_resumes_exactly(&settings, &[1, 6]);
    }
}

/// And the average is not the weights: it lags behind them, and is what was judged.
#[test]
fn the_average_is_what_is_evaluated_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { ema: Some(0.5), ..settings() };
    let trained = run_in(folder.path(), settings, &mut Unwatched, &Stop::default()).unwrap();
    let checkpoint = checkpoint::read(&folder.path().join("checkpoint-last.safetensors")).unwrap();
    let weight = |model: &dyn mixfeed_trainer::learn::model::Model| -> Tensor {
        model.parameters().iter().next().unwrap().1.shallow_clone()
    };
    let [kept, behind] = [checkpoint.model(Device::Cpu), checkpoint.trained_model(Device::Cpu)]
        .map(|model| weight(&*model.unwrap()));
    assert!(!kept.equal(&behind));
    assert!(f64::try_from((kept - behind).abs().max()).unwrap() < 0.01);
    assert_eq!(trained.outcome.weights_digest, checkpoint.header.weights_digest);
}
