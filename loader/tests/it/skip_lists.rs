//! Skip lists, from file to fleet: who may use one, and who may not work together.

use crate::commands::{refused, run, serving};
use crate::write;
use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_pipeline::Split;
use std::collections::BTreeSet;
use std::path::Path;

/// A set whose third training image is not an image, and a list that leaves it out.
fn set_and_list(place: &Path) -> [String; 2] {
    let data = place.join("set");
    write::folder(&data, &write::drawings(Split::Train, 20), &write::drawings(Split::Test, 5));
    let mut files: Vec<_> =
        std::fs::read_dir(data.join("train/class-000")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    std::fs::write(&files[0], "no image").unwrap();
    let [data, list] = [data, place.join("skip.toml")].map(|path| path.to_str().unwrap().to_string());
    let table = run(&["inspect", "--data", &data, "--index", &list]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("bad records   1\n"), "{table}");
    assert!(table.contains("  files         24  png 32×32\n"), "{table}");
    assert!(table.contains("train sample 0: train/class-000/") && table.contains(&list), "{table}");
    [data, list]
}

#[test]
fn every_command_that_reads_data_leaves_out_what_the_list_names() {
    let place = tempfile::tempdir().unwrap();
    let [data, list] = set_and_list(place.path());
    let page = place.path().join("page.png");
    let spec = place.path().join("stream.toml");
    std::fs::write(&spec, "seed = 1\nbatch-size = 32\n").unwrap();
    let commands: [&[&str]; 4] = [
        &["inspect"],
        &["preview", "--output", page.to_str().unwrap(), "--rows", "4"],
        &["replay", "--spec", spec.to_str().unwrap(), "--index", "0", "--json"],
        &["bench", "--time", "100ms", "--rounds", "1", "--batch-size", "8"],
    ];
    for command in commands {
        let output = run(&[command, &["--data", &data, "--skip-list", &list]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
        if command[0] == "inspect" {
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(told.contains("records of the skip list: 1 ("), "{told}");
        }
        if command[0] == "replay" {
            let batch: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let rows = batch["rows"].as_array().unwrap();
            let mut numbers: Vec<_> = rows.iter().filter_map(|row| row["sample"].as_u64()).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (1..20).collect::<Vec<_>>(), "numbers among all, so that a list moves none");
            assert!(
                rows.iter()
                    .all(|row| row["record"].as_str().is_some_and(|at| at.starts_with("train/class-")))
            );
        }
    }
    let without = run(&["replay", "--spec", spec.to_str().unwrap(), "--index", "0", "--data", &data]);
    assert_eq!(without.status.code(), Some(3), "the whole set's only batch has the bad record");
}

#[test]
fn a_replica_with_another_list_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let [data, list] = set_and_list(place.path());
    let serve = |flags: &[&str]| serving(&[&["--data", &data, "--listen", "127.0.0.1:0"], flags].concat());
    let [with, also, without] = [serve(&["--skip-list", &list]), serve(&["--skip-list", &list]), serve(&[])];
    let read = |loaders: [&str; 2]| -> Result<usize, String> {
        let spec = StreamSpec { batch_size: 4, sample_ids: true, ..StreamSpec::default() };
        let loaders = loaders.iter().map(|address| address.parse().unwrap()).collect();
        let mut stream = StreamConfig::new(loaders, spec);
        stream.end = StreamEnd::Batch(5);
        let mut stream = BlockingStream::open(stream).map_err(|e| e.to_string())?;
        let (mut digests, mut samples) = (BTreeSet::new(), BTreeSet::new());
        while let Some(batch) = stream.next().transpose().map_err(|e| e.to_string())? {
            digests.insert(batch.digest());
            samples.extend(batch.samples.iter().map(|[sample, _]| *sample));
        }
        assert_eq!(samples, (1..20).collect());
        Ok(digests.len())
    };
    assert_eq!(read([&with.address, &also.address]), Ok(5), "19 samples are five batches of 4");
    // The first decides what is served, and the one that differs is not asked.
    assert_eq!(read([&with.address, &without.address]), Ok(5));
    let outcome = read([&without.address, &with.address]);
    assert!(outcome.as_ref().is_err_and(|e| e.contains("cannot decode image")), "{outcome:?}");
    let describe = |flags: &[&str]| -> String {
        let output = run(&[&["inspect", "--json", "--data", &data], flags].concat());
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        found["digest"].as_str().unwrap().to_string()
    };
    assert_ne!(describe(&[]), describe(&["--skip-list", &list]));
    // The policy makes the same list, and so the same set.
    for policy in ["skip", "skip=1"] {
        assert_eq!(describe(&["--bad-records", policy]), describe(&["--skip-list", &list]));
    }
    assert_eq!(describe(&["--bad-records", "fail"]), describe(&[]));
}

#[test]
fn more_bad_records_than_may_be_skipped_are_refused_and_so_is_another_policy() {
    let place = tempfile::tempdir().unwrap();
    let [data, list] = set_and_list(place.path());
    let line = refused(3, &["inspect", "--data", &data, "--bad-records", "skip=0"]);
    assert!(
        line.contains("1 bad records are more than --bad-records skip=0 allows, first train/class-000/"),
        "{line}"
    );
    let both = ["inspect", "--data", &data, "--bad-records", "skip=0", "--skip-list", &list];
    assert!(run(&both).status.success(), "the list has it already");
    let wrong = run(&["inspect", "--data", &data, "--bad-records", "warn"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_list_that_does_not_fit_is_named_and_exits_with_3() {
    let place = tempfile::tempdir().unwrap();
    let [data, list] = set_and_list(place.path());
    let text = std::fs::read_to_string(&list).unwrap();
    let serve = |flags: &[&str]| {
        let all = [&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--skip-list", &list], flags];
        refused(3, &all.concat())
    };
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        std::fs::write(&list, text.replace(from, to)).unwrap();
        serve(&[])
    };
    let line = with("sample = 0", "sample = 1");
    assert!(line.contains("skip.toml: it names train sample 1 as train/class-000/"), "{line}");
    assert!(line.contains(", but that is train/class-"), "{line}");
    let line = with("sample = 0", "sample = 20");
    assert!(line.ends_with(", which is not there"), "{line}");
    assert!(with("format = 1", "format = 9").contains("not a skip list: format 9 is not known"));
    std::fs::write(&list, "bad").unwrap();
    assert!(serve(&[]).contains("skip.toml: not a skip list: "));
    std::fs::remove_file(&list).unwrap();
    assert!(serve(&[]).ends_with("skip.toml: no such file or folder"));

    std::fs::write(&list, &text).unwrap();
    let line = serve(&["--order", "name"]);
    assert!(
        line.contains("the skip list was made for dataset ") && line.contains("but this one is"),
        "{line}"
    );
    std::fs::remove_file(place.path().join("set/test/class-001/00001.png")).unwrap();
    assert!(serve(&[]).contains("the skip list was made for dataset "));

    let line = refused(2, &["inspect", "--data", "synthetic:10", "--skip-list", &list]);
    assert!(line.contains("--skip-list: only for image files"), "{line}");
}
