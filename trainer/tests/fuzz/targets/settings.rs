//! What people and runs write: settings files, `run.toml`, and each line in the forms that flags and keys take. What is
//! taken is written again and read again, and comes to the same.

use mixfeed_client::StreamSpec;
use mixfeed_ops::config::to_toml;
use mixfeed_proto::digest_of;
use mixfeed_trainer::compare::{Grid, GridAxis};
use mixfeed_trainer::config::{CheckpointEvery, Preset, RunConfig, Settings};
use mixfeed_trainer::learn::model::ModelKind;
use mixfeed_trainer::machine::device::DeviceChoice;
use mixfeed_trainer::run::run_folder::{
    AlgorithmRecord, DatasetRecord, FORMAT, MachineRecord, RunFile, RunFolder,
};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

const LINES: &str = "\
mixup-alpha=0.2,1
mixup-prob=0,0.5,1
0:mixup-alpha=0.2,mixup-prob=1;20:off
cuda:1
auto
article-cnn
net.pt
200
1m 30s
";

/// Every setting of a preset, of a loader in this process and of others elsewhere.
fn settings() -> [Settings; 3] {
    let settings = Settings { data: Some("synthetic:40".to_owned()), ..Settings::default() };
    let paper = Settings { preset: Some(Preset::Paper), ..settings.clone() };
    let loaders = vec!["127.0.0.1:50051".to_owned(), "dns:///loader:50051".to_owned()];
    let fast = Settings {
        preset: Some(Preset::Fast),
        data: None,
        loaders: Some(loaders),
        checkpoint_every: Some("5m".parse().unwrap()),
        output: Some("runs/a".into()),
        audit: Some(10),
        ..settings.clone()
    };
    [settings, paper, fast].map(Settings::complete)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let written = settings().map(|settings| {
        check(&settings).expect("it can be run");
        to_toml(&settings).unwrap().into_bytes()
    });
    written.into_iter().chain([LINES.into()]).collect()
}

pub(super) fn run(input: &[u8], folder: &Path) {
    let file = folder.join("trainer.toml");
    std::fs::write(&file, input).unwrap();
    if let Ok(settings) = Settings::default().over(Some(&file)) {
        let written = to_toml(&settings).unwrap();
        let again: Settings = toml::from_str(&written).unwrap();
        assert_eq!(to_toml(&again).unwrap(), written);
        drop(check(&settings));
    }
    let text = String::from_utf8_lossy(input);
    let base = check(&settings()[0]).unwrap();
    for line in text.lines() {
        same::<DeviceChoice>(line);
        same::<ModelKind>(line);
        same::<CheckpointEvery>(line);
        same::<GridAxis>(line);
        if let Ok(axis) = line.parse() {
            let grid = Grid::of(&[axis], &base).unwrap();
            assert!(grid.arms().count() <= line.len());
        }
    }
}

/// Settings as they are run. What is taken is within its documented range.
fn check(settings: &Settings) -> Option<RunConfig> {
    let config = settings.clone().check().ok()?;
    let stream = &config.training.stream;
    assert!((1..=65_536).contains(&stream.batch_size) && config.training.epochs >= 1);
    for mixing in stream.mixing_phases().filter_map(|(_, mixing)| mixing) {
        assert!((0.0..=1000.0).contains(&mixing.alpha) && (0.0..=1.0).contains(&mixing.probability));
    }
    assert!((0.0..=1.0).contains(&stream.augmentation.flip_probability));
    assert!(config.training.recipe.schedule.learning_rate.is_finite());
    // What is run can be written down, and is the same when it is read back.
    let written = to_toml(&config.settings).unwrap();
    let again = toml::from_str::<Settings>(&written).unwrap().check().unwrap();
    assert_eq!(to_toml(&again.settings).unwrap(), written);
    assert_eq!(digest_of(&again.training.stream), digest_of(stream));
    Some(config)
}

/// A text that is taken, written, and read again.
fn same<T: FromStr + Display + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert!(written.parse::<T>().is_ok_and(|again| again == value), "{text:?} is written as {written:?}");
}

pub(super) fn run_files() -> Vec<Vec<u8>> {
    let hex = |byte: &str| byte.repeat(32);
    let [settings, ..] = settings();
    let stream = check(&settings).unwrap().training.stream;
    let run = RunFile {
        format: FORMAT,
        release: "0.1.0".to_owned(),
        commit: "0123456".to_owned(),
        spec_digest: hex_of(&stream),
        batches_per_epoch: 4,
        dataset: DatasetRecord {
            name: "synthetic".to_owned(),
            digest: hex("1a"),
            train_samples: 40,
            test_samples: 8,
            classes: vec!["a".to_owned(), "b".to_owned()],
            earlier: Vec::new(),
            left_out: None,
        },
        algorithm: AlgorithmRecord { version: 1, fingerprint: hex("2b") },
        machine: MachineRecord {
            device: "cpu".to_owned(),
            threads: 2,
            cpu: "a processor".to_owned(),
            instructions: "AVX2".to_owned(),
        },
        stream,
        settings,
    };
    vec![toml::to_string(&run).unwrap().into_bytes()]
}

fn hex_of(stream: &StreamSpec) -> String {
    blake3::Hash::from(digest_of(stream)).to_string()
}

/// As it is, and again with the digest that its stream has.
pub(super) fn run_file(input: &[u8], folder: &Path) {
    open(input, folder);
    let Some(mut run) = std::str::from_utf8(input).ok().and_then(|text| toml::from_str::<RunFile>(text).ok())
    else {
        return;
    };
    run.spec_digest = hex_of(&run.stream);
    open(toml::to_string(&run).unwrap().as_bytes(), folder);
}

fn open(input: &[u8], folder: &Path) {
    let folder = folder.join("run");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("run.toml"), input).unwrap();
    let Ok(Some((_folder, run))) = RunFolder::open(&folder) else { return };
    assert!(run.format <= FORMAT && run.batches_per_epoch > 0 && run.expected().is_some());
    assert_eq!(run.spec_digest, hex_of(&run.stream));
    let written = toml::to_string(&run).unwrap();
    assert_eq!(toml::to_string(&toml::from_str::<RunFile>(&written).unwrap()).unwrap(), written);
    drop(check(&run.settings));
}
