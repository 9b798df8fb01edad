//! What was taken for what, and what was left out, as a user sees it: in `inspect`, in the log of `serve`, on stderr.

use crate::commands::{loader, refused, run};
use crate::write;
use mixfeed_pipeline::Split;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

/// A set with a test split that has no labels, a validation split that has, and a file that is not read.
fn set(place: &Path) {
    let image = write::drawings(Split::Train, 1)[0].png();
    for path in
        ["train/a/0.png", "train/b/0.png", "train/b/x.heic", "test/0.png", "test/1.png", "val/b/0.png"]
    {
        let path = place.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &image).unwrap();
    }
}

#[test]
fn every_command_says_what_was_taken_for_what() {
    let folder = tempfile::tempdir().unwrap();
    set(folder.path());
    let data = folder.path().to_str().unwrap();
    let output = run(&["inspect", "--data", data, "--json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["splits"], serde_json::json!({ "train": 2, "test": 1 }));
    assert_eq!(object["taken"]["train"], serde_json::json!({ "from": "train/", "images": 2, "classes": 2 }));
    assert_eq!(object["taken"]["test"], serde_json::json!({ "from": "val/", "images": 1, "classes": 1 }));
    let test =
        serde_json::json!({ "what": "test/", "count": 2, "why": "an evaluation split without labels" });
    assert_eq!(object["left_out"][0], test);
    assert_eq!(
        (&object["left_out"][1]["what"], &object["left_out"][1]["count"]),
        (&".heic".into(), &1.into())
    );

    let table = String::from_utf8(run(&["inspect", "--data", data]).stdout).unwrap();
    for line in [
        "  train         train/ (2 images, 2 classes)",
        "  left out      test/: 2 (an evaluation split without labels)",
    ] {
        assert!(table.lines().any(|found| found == line), "{table}");
    }

    let output = run(&["verify", "--data", data, "--batch-size", "2", "--epochs", "1", "--mixup-prob", "0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: left out: .heic: 1 (not read: images of another format)"), "{said}");

    let mut serve = loader(&["serve", "--data", data, "--listen", "127.0.0.1:0", "--test", "none"]);
    let mut serve = serve.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(serve.stderr.take().unwrap()).lines().map_while(Result::ok);
    let log: Vec<String> = lines.by_ref().take_while(|line| !line.contains("listening")).collect();
    serve.kill().unwrap();
    serve.wait().unwrap();
    let log = log.join("\n");
    let splits = log.lines().find(|line| line.contains("splits")).unwrap();
    assert!(splits.contains("train/ (2 images, 2 classes)") && splits.contains("none"), "{log}");
    assert!(log.contains("WARN") && log.contains("left out: .heic: 1"), "{log}");
    assert!(log.contains("left out: test/: "), "{log}");
}

#[test]
fn flags_that_choose_nothing_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    set(folder.path());
    let data = folder.path().to_str().unwrap();
    let line = refused(3, &["inspect", "--data", data, "--test", "dev"]);
    assert!(line.contains("--test dev matches none of test/, train/, val/; it takes names, "), "{line}");
    let line = refused(2, &["inspect", "--data", "synthetic:10", "--train", "x"]);
    assert!(line.contains("synthetic:10: --train: only for image files"), "{line}");
}
