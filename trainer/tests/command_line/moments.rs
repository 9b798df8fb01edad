//! Bad moments of sound loaders and of the trainer itself: processes that are stopped, data that is away, another loader in the
//! place of the right one. Each passes, and weights, accuracy and exit code are those of a training in calm.

use super::*;
use mixfeed_testing::{Serving, free_addresses, signal};
use std::process::Child;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Shorter than each moment lasts, where time counts.
const TIMEOUT: &str = "3s";

/// 640 steps of two images: some seconds, so that moments fall into the middle.
const TRAINING: [&str; 12] = [
    "train",
    "--model",
    "linear",
    "--batch-size",
    "2",
    "--epochs",
    "5",
    "--threads",
    "1",
    "--checkpoint-every",
    "50",
    "--json",
];

fn serve(data: &str, address: &str) -> Serving {
    let flags = ["--data", data, "--workers", "1", "--cache", "none", "--listen", address];
    let mut serving = Serving::start(&support::loader_binary(), &flags);
    drop(serving.lines());
    serving
}

fn result(output: &Output) -> (String, f64) {
    let result = json(output);
    (result["weights_digest"].as_str().unwrap().to_owned(), result["test_accuracy"].as_f64().unwrap())
}

fn start(folder: &Path, loaders: &str, timeout: &str) -> Child {
    let mut command = trainer(folder);
    command.args(TRAINING).args(["--output", "run", "--loaders", loaders, "--loader-timeout", timeout]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run has trained on something.
fn under_way(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.join("run/checkpoint-last.safetensors").exists() {
        assert!(Instant::now() < deadline, "nothing is trained");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder of class folders.
fn images(folder: &Path) -> PathBuf {
    let data = folder.join("images");
    for (split, each) in [("train", 160), ("test", 20)] {
        for class in ["a", "b"] {
            let files = data.join(split).join(class);
            std::fs::create_dir_all(&files).unwrap();
            for number in 0..each {
                let pixel = |x, y| image::Rgb([(x * 30 + number) as u8, (y * 20) as u8, class.as_bytes()[0]]);
                image::RgbImage::from_fn(8, 8, pixel).save(files.join(format!("{number:03}.png"))).unwrap();
            }
        }
    }
    data
}

/// What is learnt from it in calm.
fn calm() -> &'static (String, f64) {
    static CALM: OnceLock<(String, f64)> = OnceLock::new();
    CALM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let loader = serve(images(folder.path()).to_str().unwrap(), "127.0.0.1:0");
        result(&start(folder.path(), &loader.address, TIMEOUT).wait_with_output().unwrap())
    })
}

/// A run under way from two loaders of the data.
fn by_two(data: &Path) -> (tempfile::TempDir, [Serving; 2], Child) {
    let loaders = [0, 1].map(|_| serve(data.to_str().unwrap(), "127.0.0.1:0"));
    let run = tempfile::tempdir().unwrap();
    let addresses = [&*loaders[0].address, &loaders[1].address].join(",");
    let training = start(run.path(), &addresses, TIMEOUT);
    under_way(run.path());
    (run, loaders, training)
}

#[test]
fn a_folder_that_is_away_for_a_moment_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(folder.path());
    let loader = serve(data.to_str().unwrap(), "127.0.0.1:0");
    for (away, timeout) in [(Duration::from_millis(300), TIMEOUT), (Duration::from_secs(5), "30s")] {
        let run = tempfile::tempdir().unwrap();
        let training = start(run.path(), &loader.address, timeout);
        under_way(run.path());
        std::fs::rename(&data, folder.path().join("away")).unwrap();
        std::thread::sleep(away);
        std::fs::rename(folder.path().join("away"), &data).unwrap();
        let output = training.wait_with_output().unwrap();
        assert_eq!(result(&output), *calm(), "{away:?}: {}", stderr(&output));
    }
}

/// Sets how many files the process may have open; those that are open stay open.
#[cfg(target_os = "linux")]
fn limit_open_files(process: &Child, most: u32) {
    let limits = [format!("--pid={}", process.id()), format!("--nofile={most}:")];
    assert!(Command::new("prlimit").args(limits).status().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_loader_that_can_open_no_file_for_a_moment_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let loader = serve(images(folder.path()).to_str().unwrap(), "127.0.0.1:0");
    let run = tempfile::tempdir().unwrap();
    let training = start(run.path(), &loader.address, "30s");
    under_way(run.path());
    limit_open_files(&loader.child, 3);
    std::thread::sleep(Duration::from_secs(2));
    limit_open_files(&loader.child, 256);
    let output = training.wait_with_output().unwrap();
    assert_eq!(result(&output), *calm(), "{}", stderr(&output));
    assert!(stderr(&output).contains("Too many open files"), "{}", stderr(&output));
}

#[test]
fn a_trainer_that_was_stopped_longer_than_any_loader_is_waited_for_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(folder.path());
    let (_run, _loaders, training) = by_two(&data);
    signal(&training, "-STOP");
    std::thread::sleep(Duration::from_secs(8));
    signal(&training, "-CONT");
    let output = training.wait_with_output().unwrap();
    assert_eq!(result(&output), *calm(), "{}", stderr(&output));
}

#[test]
fn another_loader_in_the_place_of_the_right_one_is_waited_out_in_training_and_in_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(folder.path());
    let address = free_addresses(1).remove(0);
    let run = tempfile::tempdir().unwrap();
    let mut right = serve(data.to_str().unwrap(), &address);
    // An evaluation after each of four epochs: whichever comes next meets the wrong one.
    let training = start(run.path(), &address, "60s");
    under_way(run.path());
    right.kill();
    let mut wrong = serve("synthetic:100", &address);
    std::thread::sleep(Duration::from_secs(3));
    wrong.kill();
    let _right = serve(data.to_str().unwrap(), &address);
    let output = training.wait_with_output().unwrap();
    assert_eq!(result(&output), *calm(), "{}", stderr(&output));
    assert!(stderr(&output).contains("loader refused"), "{}", stderr(&output));
}

#[test]
fn a_loader_that_is_stopped_beside_another_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(folder.path());
    let (_run, loaders, training) = by_two(&data);
    signal(&loaders[1].child, "-STOP");
    let output = training.wait_with_output().unwrap();
    signal(&loaders[1].child, "-CONT");
    assert_eq!(result(&output), *calm(), "{}", stderr(&output));
}
