//! Settings that have no effect: said, once.

use super::{stderr, trainer};
use std::path::Path;

/// Epochs of four steps.
const SMALL: [&str; 6] = ["--model", "linear", "--batch-size", "16", "--threads", "1"];

/// The warnings of a training of a moment that are of settings; a machine may give reason for others.
fn warnings(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let output = trainer(folder).arg("train").args(SMALL).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let is_of_settings = |line: &&str| line.contains("WARN") && line.contains("--");
    stderr(&output).lines().filter(is_of_settings).map(str::to_owned).collect()
}

#[test]
fn a_settings_file_is_warned_of_what_has_no_effect_and_of_nothing_that_print_config_writes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "data = \"synthetic:64\"\ndecay-norm-bias = false\nswitch-prob = 0.3\n").unwrap();
    let warnings =
        |flags: &[&str]| warnings(folder.path(), &[&["--config", "settings.toml"], flags].concat());
    let said = warnings(&["--epochs", "1"]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("--decay-norm-bias has no effect") && said[0].contains("settings.toml"),
        "{said:?}"
    );
    assert!(said[1].contains("--switch-prob chooses between mixup and CutMix"), "{said:?}");
    assert!(warnings(&["--epochs", "1", "--weight-decay", "0.1", "--cutmix-alpha", "1"]).is_empty());
    let mut print = trainer(folder.path());
    let printed = print.args(["train", "--data", "synthetic:64", "--print-config"]).output().unwrap();
    std::fs::write(&file, printed.stdout).unwrap();
    assert_eq!(warnings(&["--epochs", "1"]), Vec::<String>::new());
}

#[test]
fn a_schedule_that_ends_before_its_warm_up_and_milestones_is_warned_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let schedule = [
        "--data",
        "synthetic:64",
        "--schedule",
        "step",
        "--milestones",
        "1,2",
        "--warmup",
        "2",
        "--epochs",
        "3",
    ];
    assert_eq!(warnings(folder.path(), &schedule), Vec::<String>::new());
    let short = [&schedule[..], &["--steps", "7"]].concat();
    let said = warnings(folder.path(), &short);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("the warm-up takes 8 steps, and training ends at step 7"), "{said:?}");
    assert!(said[1].contains("--milestones 2 is never reached: epoch 2 ends at step 8"), "{said:?}");
    let mut compare = trainer(folder.path());
    let output = compare.args(["compare", "--trials", "1"]).args(SMALL).args(&short).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("is never reached").count(), 1, "{}", stderr(&output));
}

#[test]
fn a_limit_that_leaves_out_classes_is_warned_of_once() {
    let folder = tempfile::tempdir().unwrap();
    // CIFAR in the binary version, class after class.
    let file = |name: &str, label: u8| {
        let record = [vec![label], vec![7; 3072]].concat();
        std::fs::write(folder.path().join(name), record.repeat(16)).unwrap();
    };
    (1..=5).for_each(|number| file(&format!("data_batch_{number}.bin"), number));
    file("test_batch.bin", 1);
    let with = |limit| warnings(folder.path(), &["--data", ".", "--epochs", "2", "--limit", limit]);
    let said = with("20");
    let said: Vec<_> = said.iter().filter(|line| line.contains("classes: raise --limit")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("the first 20 training samples have 2 of 5 classes"), "{said:?}");
    assert!(!with("80").iter().any(|line| line.contains("raise --limit")));
}
