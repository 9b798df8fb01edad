//! The promise of the whole project: the trained weights do not depend on who made the batches.

// A test may start threads and look at its environment.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use mixfeed_loader::config::AugmentationArgs;
use mixfeed_ops::signals::Signal;
use mixfeed_trainer::config::Settings;
use mixfeed_trainer::error::TrainError;
use mixfeed_trainer::learn::model::ModelKind;
use mixfeed_trainer::machine::stop::{Stop, StopCause};
use mixfeed_trainer::run::observer::{Epoch, Observer, Step};
use mixfeed_trainer::train::Trained;
use mixfeed_trainer::train::outcome::Outcome;
use std::path::Path;
use support::{LoaderProcess, StopAt, Unwatched, run, run_in, small};

/// Kills a loader when so many steps are done.
struct KillAt {
    step: u64,
    victim: Option<LoaderProcess>,
}

impl Observer for KillAt {
    fn stepped(&mut self, step: &Step) {
        if step.done == self.step {
            self.victim.take().unwrap().kill();
        }
    }
}

const DATA: &str = "synthetic:300";

/// With wrong labels, and mixed in the first of its two epochs only.
fn noisy() -> Settings {
    let augmentation = AugmentationArgs {
        label_noise: Some(0.3),
        mixup_prob: Some(0.5),
        mixup_until: Some(1),
        ..AugmentationArgs::default()
    };
    Settings { augmentation, ..small() }
}

fn embedded(settings: Settings, data: &str, workers: usize) -> Outcome {
    let settings = Settings { data: Some(data.to_owned()), workers: Some(workers), ..settings };
    run(settings, &mut Unwatched).outcome
}

fn from(loaders: &[LoaderProcess], settings: Settings, observer: &mut dyn Observer) -> Outcome {
    let addresses = loaders.iter().map(|loader| loader.address.clone()).collect();
    run(Settings { loaders: Some(addresses), ..settings }, observer).outcome
}

#[test]
fn weights_do_not_depend_on_replicas_or_workers() {
    let golden = embedded(small(), DATA, 1);
    assert_eq!((golden.steps, golden.images), (16, 512));

    let four_workers = embedded(small(), DATA, 4);
    assert_eq!(four_workers.weights_digest, golden.weights_digest, "four workers");

    let preloaded = embedded(Settings { preload: Some(true), ..small() }, DATA, 1);
    assert_eq!(preloaded.weights_digest, golden.weights_digest, "all batches read before the first step");
    assert!(preloaded.data_wait_ratio < 1e-9 && golden.data_wait_ratio > 0.0);

    let one = [LoaderProcess::start(DATA, 1)];
    let one = from(&one, small(), &mut Unwatched);
    assert_eq!((one.replicas_seen, &one.weights_digest), (1, &golden.weights_digest), "one replica");

    let fleet: Vec<_> = [1, 4, 2].map(|workers| LoaderProcess::start(DATA, workers)).into();
    let three = from(&fleet, small(), &mut Unwatched);
    assert_eq!((three.replicas_seen, &three.weights_digest), (3, &golden.weights_digest), "three replicas");

    let audited = from(&fleet, Settings { audit: Some(2), ..small() }, &mut Unwatched);
    assert_eq!(audited.weights_digest, golden.weights_digest, "every other batch made twice");

    // And the digest says something: another seed gives other weights.
    let other = embedded(Settings { seed: Some(1), ..small() }, DATA, 1);
    assert_ne!(other.weights_digest, golden.weights_digest);
}

#[test]
fn weights_survive_the_loss_of_a_replica() {
    let golden = embedded(noisy(), DATA, 2);
    let mut replicas: Vec<_> = (0..3).map(|_| LoaderProcess::start(DATA, 1)).collect();
    // The first is asked first; the addresses of all three are given all the same.
    let addresses = replicas.iter().map(|loader| loader.address.clone()).collect();
    let mut killer = KillAt { step: 5, victim: Some(replicas.remove(0)) };
    let outcome = run(Settings { loaders: Some(addresses), ..noisy() }, &mut killer).outcome;
    assert!(killer.victim.is_none(), "a loader was killed");
    assert_eq!(outcome.weights_digest, golden.weights_digest);
}

/// A small network would be so slow that every batch is there before the loader is gone; this one is
/// as fast as its loaders.
#[test]
fn weights_survive_the_loss_of_a_replica_that_owes_batches() {
    let data = "synthetic:4096";
    let settings = || Settings {
        model: Some(ModelKind::Linear),
        limit: None,
        epochs: Some(8),
        batch_size: Some(64),
        ..small()
    };
    let golden = embedded(settings(), data, 2);
    let mut replicas: Vec<_> = (0..2).map(|_| LoaderProcess::start(data, 1)).collect();
    let addresses = replicas.iter().map(|loader| loader.address.clone()).collect();
    let mut killer = KillAt { step: 60, victim: Some(replicas.remove(0)) };
    let outcome = run(Settings { loaders: Some(addresses), ..settings() }, &mut killer).outcome;
    assert!(killer.victim.is_none(), "a loader was killed");
    assert_eq!(outcome.steps, 512);
    assert_eq!(outcome.weights_digest, golden.weights_digest);
}

/// Upright, flat and square, of two classes.
fn photographs(place: &Path) {
    for (split, count) in [("train", 48_u32), ("val", 12)] {
        for number in 0..count {
            let (height, width) = (30 + number * 37 % 90, 30 + number * 53 % 90);
            let pixel = |x: u32, y: u32| [(x * 2) as u8, (y * 2) as u8, (number * 11 + x * y % 7) as u8];
            let photo = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(pixel(x, y)));
            let class = place.join(split).join(if number % 2 == 0 { "even" } else { "odd" });
            std::fs::create_dir_all(&class).unwrap();
            photo.save(class.join(format!("{number}.png"))).unwrap();
        }
    }
}

#[test]
fn weights_of_photographs_of_many_sizes_do_not_depend_on_replicas_either() {
    let place = tempfile::tempdir().unwrap();
    photographs(place.path());
    let data = place.path().to_str().unwrap();
    let augmentation = AugmentationArgs {
        image_size: Some("24x20".parse().unwrap()),
        resize: Some("center-crop:28".parse().unwrap()),
        resized_crop: Some(0.08),
        flip_prob: Some(0.5),
        mixup_prob: Some(0.5),
        ..AugmentationArgs::default()
    };
    let settings = || Settings {
        model: Some(ModelKind::Linear),
        limit: None,
        epochs: Some(6),
        batch_size: Some(8),
        augmentation: augmentation.clone(),
        ..small()
    };
    let golden = embedded(settings(), data, 2);
    let mut replicas: Vec<_> = (0..2).map(|_| LoaderProcess::start(data, 1)).collect();
    let addresses = replicas.iter().map(|loader| loader.address.clone()).collect();
    let mut killer = KillAt { step: 7, victim: Some(replicas.remove(0)) };
    let outcome = run(Settings { loaders: Some(addresses), ..settings() }, &mut killer).outcome;
    assert!(killer.victim.is_none(), "a loader was killed");
    assert_eq!((outcome.steps, &outcome.weights_digest), (36, &golden.weights_digest));
    assert_eq!(outcome.test_accuracy.to_bits(), golden.test_accuracy.to_bits());
}

/// In the middle of the first epoch, after the last step of the first epoch and before its evaluation,
/// in the second, and after the last step of all.
#[test]
fn weights_and_accuracies_do_not_depend_on_being_stopped_and_resumed() {
    let settings = || Settings { data: Some(DATA.to_owned()), workers: Some(2), ..noisy() };
    let golden = run(settings(), &mut Unwatched);
    let output = tempfile::tempdir().unwrap();
    for step in [3, 8, 13, 16] {
        let mut stopper = StopAt { step, stop: Stop::default(), asked: Signal::Terminate.into() };
        let stop = stopper.stop.clone();
        let error = run_in(output.path(), settings(), &mut stopper, &stop).unwrap_err();
        assert!(matches!(error, TrainError::Stopped(_)), "step {step}: {error}");
    }
    let resumed = run_in(output.path(), settings(), &mut Unwatched, &Stop::default()).unwrap();
    assert_eq!(resumed.outcome.resumed_from_step, Some(16));
    assert_same(&resumed, &golden);
}

/// A call leaves time for an evaluation, of which the epoch's own must not know anything.
#[test]
fn weights_and_accuracies_do_not_depend_on_being_ended_by_a_call_and_resumed() {
    let settings = || Settings { data: Some(DATA.to_owned()), workers: Some(2), ..small() };
    let golden = run(settings(), &mut Unwatched);
    let output = tempfile::tempdir().unwrap();
    for step in [3, 8, 13] {
        let mut stopper = StopAt { step, stop: Stop::default(), asked: StopCause::Call };
        let stop = stopper.stop.clone();
        let ended = run_in(output.path(), settings(), &mut stopper, &stop).unwrap();
        assert_eq!((ended.outcome.steps, ended.outcome.finished), (step, false));
        assert_eq!(ended.history.last().unwrap().steps, step, "what there is was evaluated");
    }
    let resumed = run_in(output.path(), settings(), &mut Unwatched, &Stop::default()).unwrap();
    assert_eq!((resumed.outcome.resumed_from_step, resumed.outcome.finished), (Some(13), true));
    assert_same(&resumed, &golden);
}

fn assert_same(resumed: &Trained, golden: &Trained) {
    assert_eq!(resumed.outcome.weights_digest, golden.outcome.weights_digest);
    let learnt = |history: &[Epoch]| -> Vec<_> {
        let values = |row: &Epoch| {
            (row.steps, row.images, row.train_loss.to_bits(), row.test_accuracy.map(f64::to_bits))
        };
        history.iter().map(values).collect()
    };
    assert_eq!(learnt(&resumed.history), learnt(&golden.history));
    assert_eq!(resumed.outcome.images, golden.outcome.images);
}
