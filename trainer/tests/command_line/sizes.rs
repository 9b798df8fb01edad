//! Images of other sizes than CIFAR's, from training to the last figure.

use super::{error_line, json, stderr, trainer};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

/// Images of each split, and classes of the networks in `tests/reference`.
const TRAIN: u32 = 20;
const TEST: u32 = 23;
const CLASSES: u32 = 10;

fn path(split: &str, number: u32) -> String {
    format!("data/{split}/class-{}/{number:03}.png", number % CLASSES)
}

/// A folder `data` of images, each of one colour that tells its class.
fn images(folder: &Path, height: u32, width: u32) {
    for (split, count) in [("train", TRAIN), ("test", TEST)] {
        for number in 0..count {
            let path = folder.join(path(split, number));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let colour = [(25 * (number % CLASSES)) as u8, (11 * number) as u8, 90];
            image::RgbImage::from_pixel(width, height, image::Rgb(colour)).save(path).unwrap();
        }
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    trainer(folder).args(arguments).args(["--threads", "2", "--json"]).output().unwrap()
}

/// Trains for an epoch and evaluates at its end.
fn train(folder: &Path, model: &str) -> Output {
    let data = ["train", "--data", "data", "--output", "run", "--model", model];
    run(folder, &[&data[..], &["--epochs", "1", "--batch-size", "8", "--lr", "0.0001"]].concat())
}

/// What `evaluate` and `predict` say of what was trained agrees with the training.
fn agrees(folder: &Path, trained: &Value) {
    let evaluate = ["evaluate", "--checkpoint", "run", "--data", "data", "--fgsm", "0,4"];
    let result = json(&run(folder, &evaluate));
    assert_eq!(result["samples"], TEST);
    assert_eq!(result["weights_digest"], trained["weights_digest"]);
    assert_eq!(result["test_accuracy"], trained["test_accuracy"]);
    assert_eq!(
        result["fgsm"][0]["accuracy"], result["test_accuracy"],
        "an attack of nothing changes nothing"
    );

    let paths: Vec<_> = (0..TEST).map(|number| path("test", number)).collect();
    let mut predict = vec!["predict", "--checkpoint", "run"];
    predict.extend(paths.iter().map(String::as_str));
    let predicted = json(&run(folder, &predict));
    let right = |(number, image): (usize, &Value)| {
        image["class"] == format!("class-{}", number % CLASSES as usize).as_str()
    };
    let right = predicted["images"].as_array().unwrap().iter().enumerate().filter(|it| right(*it)).count();
    assert_eq!(result["correct"], right, "one by one as all together");
}

fn goes_all_the_way(height: u32, width: u32, model: &str) {
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/network.pt");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(network, folder.path().join("net.pt")).unwrap();
    images(folder.path(), height, width);
    let trained = json(&train(folder.path(), model));
    assert_eq!(trained["finished"], true, "{model} on {height} x {width}");
    agrees(folder.path(), &trained);
}

#[test]
fn large_images_are_trained_on_evaluated_attacked_and_predicted() {
    for (height, width, model) in [
        (212, 212, "linear"),
        (224, 224, "net.pt"),
        (240, 320, "net.pt"),
        (512, 512, "net.pt"),
        (512, 512, "linear"),
    ] {
        goes_all_the_way(height, width, model);
    }
}

#[test]
fn the_networks_of_this_crate_take_other_sizes_than_they_were_made_for() {
    for (height, width, model) in
        [(16, 16, "article-cnn"), (48, 70, "article-cnn"), (8, 8, "preact-resnet18"), (40, 24, "fast-resnet")]
    {
        goes_all_the_way(height, width, model);
    }
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 15, 40);
    let output = train(folder.path(), "article-cnn");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let line = error_line(&output);
    assert!(line.contains("takes images of 16 x 16 x 3 to 512 x 512 x 3, not of 15 x 40 x 3"), "{line}");
}
