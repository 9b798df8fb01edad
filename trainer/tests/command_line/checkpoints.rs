//! Checkpoints whose digests are right, and which are not what they should be.

use super::{MOMENT, error_line, stderr, trainer};
use mixfeed_trainer::learn::model::Problem;
use mixfeed_trainer::learn::optimizer::{Adam, AdamConfig};
use mixfeed_trainer::run::checkpoint::{self, Contents, Header};
use std::fs;
use tch::Device;

#[test]
fn a_run_does_not_go_on_from_a_checkpoint_of_other_images() {
    let folder = tempfile::tempdir().unwrap();
    let trained = trainer(folder.path())
        .args(MOMENT)
        .args(["--model", "linear", "--data", "synthetic:100", "--output", "run"])
        .output()
        .unwrap();
    assert!(trained.status.success(), "{}", stderr(&trained));

    let path = folder.path().join("run/checkpoint-last.safetensors");
    let last = checkpoint::read(&path).unwrap();
    let model = last.trained_model(Device::Cpu).unwrap();
    let mut optimizer = Adam::new(AdamConfig::default(), model.parameters());
    last.restore(&mut optimizer).unwrap();
    // As many values an image, so that the tensors are those of such a network, too.
    let problem = Problem { height: 16, width: 64, ..last.header.problem };
    let contents = Contents { model: &*model, average: None, optimizer: &optimizer };
    for file in fs::read_dir(folder.path().join("run")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            fs::remove_file(file).unwrap();
        }
    }
    checkpoint::write(&path, None, Header { problem, ..last.header.clone() }, &contents).unwrap();

    let mut resume = trainer(folder.path());
    let resumed = resume.args(["train", "--output", "run", "--resume", "--epochs", "9"]).output().unwrap();
    assert_eq!(resumed.status.code(), Some(3), "{}", stderr(&resumed));
    let line = error_line(&resumed);
    assert!(line.contains("belongs to a different run: its size of images differs"), "{line}");
}

#[test]
fn a_run_file_that_was_edited_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut train = trainer(folder.path());
    train.args(MOMENT).args(["--model", "linear", "--data", "synthetic:100", "--output", "run"]);
    let trained = train.output().unwrap();
    assert!(trained.status.success(), "{}", stderr(&trained));
    let file = folder.path().join("run/run.toml");
    let text = fs::read_to_string(&file).unwrap();
    let edited = text.replace("weight-decay = 0.0\n", "weight-decay = 0.1\n");
    assert_ne!(edited, text);
    fs::write(&file, edited).unwrap();
    let resume =
        || trainer(folder.path()).args(["train", "--output", "run", "--resume", "--epochs", "2"]).output();
    let resumed = resume().unwrap();
    assert_eq!(resumed.status.code(), Some(3), "{}", stderr(&resumed));
    let line = error_line(&resumed);
    assert!(line.contains("belongs to a different run: its recipe differs"), "{line}");
    fs::write(&file, text).unwrap();
    let resumed = resume().unwrap();
    assert!(resumed.status.success(), "{}", stderr(&resumed));
}

/// Read as a tree of values, this header would take 32 bytes for each two of its own.
#[test]
#[cfg(target_os = "linux")]
fn a_header_with_more_in_it_than_belongs_there_takes_no_memory_for_it() {
    const NUMBERS: usize = 24 << 20;
    const KIBIBYTES: usize = 700 << 10;
    let folder = tempfile::tempdir().unwrap();
    let numbers = "0,".repeat(NUMBERS);
    let header = format!(r#"{{"format":1,"more":[{}0]}}"#, numbers);
    let digest = blake3::hash(header.as_bytes()).to_string();
    let metadata = [("mixfeed".to_owned(), header), ("mixfeed-blake3".to_owned(), digest)].into();
    let no_tensors = Vec::<(&str, safetensors::tensor::TensorView<'_>)>::new();
    fs::write(folder.path().join("large"), safetensors::serialize(no_tensors, Some(metadata)).unwrap())
        .unwrap();

    let bounded = format!("ulimit -d {KIBIBYTES}; exec \"$0\" \"$@\"");
    let output = std::process::Command::new("sh")
        .args(["-c", &bounded, env!("CARGO_BIN_EXE_mixfeed-trainer")])
        .args(["predict", "--checkpoint", "large", "--threads", "1", "image.png"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(error_line(&output).contains("missing field `release`"), "{}", stderr(&output));
}
