use super::*;
use crate::config::{RunConfig, Settings};
use mixfeed_client::{DatasetInfo, ImageShape, StreamInfo};
use tch::Device;

fn config() -> RunConfig {
    Settings { data: Some("synthetic".to_owned()), ..Settings::default() }.check().unwrap()
}

fn info() -> StreamInfo {
    StreamInfo {
        dataset: DatasetInfo {
            name: "synthetic".to_owned(),
            digest: [1; 32],
            classes: ["a", "b"].map(str::to_owned).to_vec(),
            train_samples: 10,
            test_samples: 2,
            ..DatasetInfo::default()
        },
        algorithm_version: 1,
        algorithm_fingerprint: [2; 32],
        image: ImageShape { height: 32, width: 32, channels: 3 },
        samples_per_epoch: 10,
        batches_per_epoch: 1,
    }
}

fn run_file() -> RunFile {
    RunFile::of(&config(), &info(), Device::Cpu)
}

/// Leaves a run in a folder.
fn begun(path: &Path) {
    let folder = RunFolder::create(path, false).unwrap();
    folder.begin(&run_file()).unwrap();
    folder.keep();
}

fn epoch() -> Epoch {
    Epoch {
        epoch: 1.0,
        steps: 8,
        images: 1000,
        train_loss: 1.5,
        test_accuracy: Some(0.25),
        test_loss: Some(1.75),
        seconds: 2.0,
        data_wait_seconds: 0.5,
        evaluation_seconds: 0.125,
        learning_rate: 0.001,
    }
}

#[test]
fn what_is_run_can_be_read_back() {
    let root = tempfile::tempdir().unwrap();
    begun(root.path());
    let (folder, run) = RunFolder::open(root.path()).unwrap().unwrap();
    assert_eq!((folder.path(), &run), (root.path(), &run_file()));
    assert_eq!(run.format, FORMAT);
    assert_eq!(run.stream, config().training.stream);
    assert_eq!(run.settings, config().settings);
    assert_eq!(run.settings.clone().check().unwrap().training.stream, run.stream);
    assert_eq!(run.dataset.digest, "01".repeat(32));
    assert_eq!(run.expected().unwrap().algorithm_fingerprint, [2; 32]);
}

#[test]
fn a_run_that_is_damaged_or_of_a_newer_release_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    assert!(RunFolder::open(root.path()).unwrap().is_none());
    let text = toml::to_string(&run_file()).unwrap();
    for (from, to, expected, is_data) in [
        ("format = 1", "format = 2", "has format 2", false),
        ("format = 1", "", "format number", true),
        ("batches-per-epoch = 1", "batches-per-epoch = 0", "number of batches", true),
        ("seed = 0", "seed = 1", "stream is not the one", true),
        ("[dataset]", "[data]", "dataset", true),
        (&"01".repeat(32), "01", "digests", true),
    ] {
        fs::write(root.path().join(RUN), text.replacen(from, to, 1)).unwrap();
        let error = RunFolder::open(root.path()).unwrap_err();
        assert_eq!(error.is_data(), is_data, "{error}");
        assert!(error.to_string().contains(expected) && error.to_string().contains(RUN), "{error}");
    }
}

#[test]
fn going_on_cuts_the_metrics_back_to_what_was_reached() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(root.path(), false).unwrap();
    folder.begin(&run_file()).unwrap();
    let rows = || fs::read_to_string(root.path().join(METRICS)).unwrap().lines().count() - 1;
    assert_eq!(rows(), 0);
    folder.record(&[epoch(), epoch()]).unwrap();
    assert_eq!(rows(), 2);
    folder.go_on(&run_file(), &[epoch()]).unwrap();
    assert_eq!(rows(), 1);
}

#[test]
fn a_row_has_a_field_for_each_column_and_nothing_where_an_epoch_was_not_evaluated() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(root.path(), false).unwrap();
    let unevaluated = Epoch { test_accuracy: None, test_loss: None, ..epoch() };
    folder.record(&[unevaluated, epoch()]).unwrap();
    let text = fs::read_to_string(root.path().join(METRICS)).unwrap();
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split(',').collect()).collect();
    let field =
        |row: usize, name: &str| rows[row][rows[0].iter().position(|column| *column == name).unwrap()];
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
    assert_eq!([field(1, "test_accuracy"), field(1, "test_loss"), field(1, "train_loss")], ["", "", "1.5"]);
    assert_eq!([field(2, "test_accuracy"), field(2, "test_loss")], ["0.25", "1.75"]);
}

#[test]
fn a_folder_that_holds_a_run_is_taken_unless_it_is_to_be_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("runs/a");
    begun(&path);
    fs::write(path.join("notes.txt"), "old").unwrap();
    let error = RunFolder::create(&path, false).unwrap_err();
    assert!(matches!(error, RunFolderError::Taken(_)) && error.is_usage());
    assert!(error.to_string().contains("--overwrite"), "{error}");

    fs::write(path.join(LAST), "old").unwrap();
    drop(RunFolder::create(&path, true).unwrap());
    assert!(path.join(LAST).exists(), "nothing is removed before there is a new run");
    let folder = RunFolder::create(&path, true).unwrap();
    folder.begin(&run_file()).unwrap();
    assert!(!path.join(LAST).exists());
    assert!(path.join("notes.txt").exists(), "only a run's own files are removed");
}

#[test]
fn what_no_run_wrote_is_neither_removed_nor_replaced() {
    for (name, overwrite) in [
        ("metrics.csv", false),
        ("metrics.csv", true),
        ("curves.png", true),
        ("run.toml", true),
        ("compare.json", true),
        ("checkpoint-best.safetensors", true),
    ] {
        let root = tempfile::tempdir().unwrap();
        let (foreign, events) = (root.path().join(name), root.path().join("events.out.tfevents.1.host.2.0"));
        [&foreign, &events].into_iter().for_each(|path| fs::write(path, "weeks of work").unwrap());
        let error = RunFolder::create(root.path(), overwrite).unwrap_err();
        assert!(matches!(&error, RunFolderError::Foreign(path) if *path == foreign), "{error}");
        assert!(error.is_usage() && error.to_string().contains(name), "{error}");
        fs::remove_file(&foreign).unwrap();
        let folder = RunFolder::create(root.path(), overwrite).unwrap();
        folder.begin(&run_file()).unwrap();
        // It comes to nothing.
        drop(folder);
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [events]);
    }
}

#[test]
fn a_start_that_comes_to_nothing_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let is_empty = || fs::read_dir(root.path()).unwrap().next().is_none();
    let path = root.path().join("a/b/c");
    let folder = RunFolder::create(&path, false).unwrap();
    let copy = folder.clone();
    drop(folder);
    assert!(path.exists());
    drop(copy);
    assert!(is_empty());

    let folder = RunFolder::create(&path, false).unwrap();
    folder.begin(&run_file()).unwrap();
    fs::write(path.join("events.out.tfevents.000001.mixfeed"), "").unwrap();
    drop(folder);
    assert!(is_empty());

    drop(RunFolder::create_next(&root.path().join("runs"), "article").unwrap());
    assert!(is_empty());

    // What was there before stays, and so does whatever somebody puts there.
    fs::create_dir_all(&path).unwrap();
    drop(RunFolder::create(&path, false).unwrap());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    let folder = RunFolder::create(&path.join("d"), false).unwrap();
    fs::write(path.join("d/notes.txt"), "").unwrap();
    drop(folder);
    assert_eq!(fs::read_dir(path.join("d")).unwrap().count(), 1);
    // Taken by another, it is that one's.
    let first = RunFolder::create(&path.join("e"), false).unwrap();
    assert!(matches!(RunFolder::create(&path.join("e"), false), Err(RunFolderError::InUse(_))));
    assert!(path.join("e").exists());
    drop(first);
    assert!(!path.join("e").exists());
}

#[test]
fn runs_without_a_name_are_numbered() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("runs");
    let next = || RunFolder::create_next(&runs, "article").unwrap();
    let (first, second) = (next(), next());
    assert_eq!((first.path(), second.path()), (&*runs.join("article-1"), &*runs.join("article-2")));
}

#[test]
fn a_path_below_a_file_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RunFolder::create(&file.join("run"), false).unwrap_err().to_string();
    assert!(error.contains("file/run"), "{error}");
}

#[test]
fn each_epoch_is_a_row_of_as_many_values_as_there_are_columns() {
    assert_eq!(row(&epoch()), "1,8,1000,1.5,0.25,500.0,2.000,0.500,0.125,0.001,1.75\n");
    assert_eq!(COLUMNS.split(',').count(), row(&epoch()).split(',').count());
}

#[test]
fn a_folder_is_of_one_process_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let first = RunFolder::create(root.path(), false).unwrap();
    first.begin(&run_file()).unwrap();
    first.keep();
    let second = RunFolder::open(root.path()).unwrap_err();
    assert!(second.to_string().contains("another process is training in"), "{second}");
    assert!(second.is_usage());
    assert!(matches!(RunFolder::create(root.path(), true), Err(RunFolderError::InUse(_))));
    drop(first);
    assert!(RunFolder::open(root.path()).unwrap().is_some());
}
