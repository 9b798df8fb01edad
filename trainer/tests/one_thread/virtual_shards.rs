//! Virtual shards in one process: one is none, several are a recipe of their own that resumes exactly, and what is left of
//! an epoch may leave some of them empty.

use crate::support::{StopAt, Unwatched, run_in, small};
use mixfeed_ops::signals::Signal;
use mixfeed_trainer::config::Settings;
use mixfeed_trainer::error::TrainError;
use mixfeed_trainer::learn::model::ModelKind;
use mixfeed_trainer::learn::precision::Precision;
use mixfeed_trainer::machine::stop::Stop;
use mixfeed_trainer::run::run_folder::RunFolder;
use mixfeed_trainer::train::Trained;
use std::path::Path;

/// Two epochs of three steps, the last of which has three rows.
fn settings(model: ModelKind, virtual_shards: Option<u32>) -> Settings {
    Settings {
        model: Some(model),
        virtual_shards,
        data: Some("synthetic:19".to_owned()),
        workers: Some(1),
        limit: None,
        batch_size: Some(8),
        threads: Some(1),
        ..small()
    }
}

fn train(folder: &Path, settings: &Settings) -> Trained {
    run_in(folder, settings.clone(), &mut Unwatched, &Stop::default()).unwrap()
}

fn script() -> ModelKind {
    ModelKind::TorchScript(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/network.pt").into())
}

#[test]
fn one_shard_is_none_and_several_come_to_almost_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let learnt = |name: &str, shards| {
        let trained = train(&folder.path().join(name), &settings(ModelKind::ArticleCnn, shards));
        (trained.outcome.weights_digest, trained.history[0].train_loss)
    };
    let whole = learnt("whole", None);
    assert_eq!(learnt("one", Some(1)), whole);
    let four = learnt("four", Some(4));
    assert_ne!(four.0, whole.0, "the order of the sum is another");
    assert!((four.1 - whole.1).abs() < 1e-3 * whole.1, "loss {} and {}", four.1, whole.1);
    assert_eq!(learnt("again", Some(4)), four);
}

#[test]
fn shards_resume_exactly_with_statistics_dropout_an_average_and_sixteen_bits() {
    let plain = |model, shards| settings(model, Some(shards));
    for settings in [
        plain(ModelKind::FastResNet, 4),
        plain(script(), 8),
        Settings { ema: Some(0.5), clip_norm: Some(1.0), ..plain(script(), 2) },
        Settings { precision: Some(Precision::Fp16), ..plain(ModelKind::Linear, 4) },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [whole, pieces] = ["whole", "pieces"].map(|name| folder.path().join(name));
        let golden = train(&whole, &settings);
        let mut stopper = StopAt { step: 4, stop: Stop::default(), asked: Signal::Terminate.into() };
        let stop = stopper.stop.clone();
        let error = run_in(&pieces, settings.clone(), &mut stopper, &stop).unwrap_err();
        assert!(matches!(error, TrainError::Stopped(_)), "{error}");
        let resumed = train(&pieces, &settings);
        assert_eq!(resumed.outcome.resumed_from_step, Some(4));
        assert_eq!(resumed.outcome.weights_digest, golden.outcome.weights_digest, "{settings:?}");
    }
}

#[test]
fn their_number_is_part_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let given = settings(ModelKind::Linear, Some(4));
    let _ = train(&run, &given);
    let (_, file) = RunFolder::open(&run).unwrap().unwrap();
    assert_eq!(file.settings.virtual_shards, Some(4));
    // A run of before there were any is one of a whole batch.
    let earlier = Settings { virtual_shards: None, ..file.settings };
    assert_eq!(earlier.check().unwrap().training.virtual_shards, 1);
}
