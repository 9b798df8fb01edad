//! Loaders that lie, dawdle and break down, beside an honest one and alone: real processes, but for the liar itself, which
//! stands in front of an honest process and changes what it answers.
//!
//! Beside an honest loader, weights, accuracy and exit code are those of the honest one alone. Alone, the documented exit
//! code comes with a line that names loader and reason.

use super::*;
use mixfeed_fake::{Liar, Lie};
use std::time::{Duration, Instant};

/// The images of the loaders, and what is trained on them: 80 steps, two evaluations.
const DATA: &str = "synthetic:640";
const TRAINING: [&str; 10] =
    ["train", "--model", "linear", "--batch-size", "16", "--epochs", "2", "--threads", "1", "--json"];

/// What a training may take longer than with the honest loader alone: the third part, a loader found silent, and a second opinion
/// that does not come.
const STATED_WAITS: Duration = Duration::from_secs(8);

struct Ended {
    output: Output,
    time: Duration,
}

impl Ended {
    /// What must not depend on other loaders.
    fn result(&self) -> (String, f64) {
        let result = json(&self.output);
        (result["weights_digest"].as_str().unwrap().to_owned(), result["test_accuracy"].as_f64().unwrap())
    }
}

fn train(loaders: &[&str], flags: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut command = trainer(folder.path());
    command.args(TRAINING).args(["--loaders", &loaders.join(",")]).args(flags);
    Ended { output: command.output().unwrap(), time: start.elapsed() }
}

/// Trains with a liar of each kind beside an honest loader, which the user has named first.
fn beside_an_honest_one(lies: &[Lie]) {
    let honest = LoaderProcess::start(DATA, 1);
    let alone = train(&[&honest.address], &[]);
    for lie in lies {
        let upstream = LoaderProcess::start(DATA, 1);
        let liar = Liar::start(&upstream.address, *lie).unwrap();
        let both = train(&[&honest.address, &liar.address()], &["--audit", "1"]);
        let text = stderr(&both.output);
        assert!(liar.told() > 0, "{lie:?}: it was not asked\n{text}");
        assert_eq!(both.result(), alone.result(), "{lie:?}:\n{text}");
        let most = alone.time.mul_f64(1.3) + STATED_WAITS;
        assert!(both.time < most, "{lie:?}: {:?}, {:?} alone\n{text}", both.time, alone.time);
        assert!(text.bytes().all(|byte| byte != 0x1b), "{lie:?}: what it says is printed as it is");
    }
}

#[test]
fn liars_beside_an_honest_loader_change_nothing() {
    beside_an_honest_one(&[Lie::Pixels, Lie::OddPixels, Lie::Labels, Lie::Lambdas, Lie::Sizes, Lie::Damaged]);
}

#[test]
fn loaders_that_break_the_protocol_beside_an_honest_one_change_nothing() {
    beside_an_honest_one(&[Lie::Stall, Lie::Flood, Lie::Twice, Lie::Flaps, Lie::DigestAfterOpening]);
}

#[test]
fn loaders_that_cannot_make_batches_beside_an_honest_one_change_nothing() {
    beside_an_honest_one(&[Lie::DataLoss, Lie::Unavailable, Lie::Internal]);
}

#[test]
fn slow_and_hung_loaders_beside_an_honest_one_change_nothing() {
    let seconds = Duration::from_secs_f64;
    beside_an_honest_one(&[
        Lie::Hung,
        Lie::Slow(seconds(0.4)),
        Lie::Slow(seconds(4.0)),
        Lie::Slow(seconds(70.0)),
    ]);
}

#[test]
fn a_loader_with_other_classes_and_a_second_name_of_the_same_one_are_not_used() {
    let (honest, upstream) = (LoaderProcess::start(DATA, 1), LoaderProcess::start(DATA, 1));
    let alone = train(&[&honest.address], &[]);
    let classes = Liar::start(&upstream.address, Lie::Classes).unwrap();
    let twin = Liar::start(&honest.address, Lie::Nothing).unwrap();
    for (other, said) in [(&classes, "other classes"), (&twin, "under another address")] {
        let both = train(&[&honest.address, &other.address()], &["--audit", "1"]);
        assert_eq!(both.result(), alone.result());
        let text = stderr(&both.output);
        assert!(text.contains(said), "{text}");
        let audit = &json(&both.output)["audit"];
        assert_eq!((audit["audited"].as_u64(), audit["undecided"].as_u64()), (Some(0), Some(0)), "{audit}");
    }
}

/// The lines of the log that say what audits came to are for people; scripts read the result.
#[test]
fn who_lies_is_found_by_a_third_loader_or_by_a_trusted_copy_of_the_data() {
    let (honest, also) = (LoaderProcess::start(DATA, 1), LoaderProcess::start(DATA, 1));
    let upstream = LoaderProcess::start(DATA, 1);
    let liar = Liar::start(&upstream.address, Lie::Pixels).unwrap();
    let alone = train(&[&honest.address], &[]);
    let third = train(&[&liar.address(), &honest.address, &also.address], &["--audit", "1"]);
    let copy = train(&[&liar.address(), &honest.address], &["--audit", "1", "--audit-data", DATA]);
    let chance = json(&third.output)["audit"]["chance_to_find_10_percent"].as_f64().unwrap();
    assert!(chance > 0.9, "{chance}");
    for ended in [third, copy] {
        assert_eq!(ended.result(), alone.result(), "{}", stderr(&ended.output));
        let audit = &json(&ended.output)["audit"];
        let convicted = audit["convicted"].as_array().unwrap();
        assert_eq!(convicted.len(), 1, "{audit}");
        assert_eq!(convicted[0]["loader"], liar.address());
        assert_eq!(convicted[0]["batches"], 0, "every batch was audited");
        assert!(
            audit["audited"].as_u64().unwrap() > 60,
            "the copy is a second opinion where there is no other: {audit}"
        );
    }
}

#[test]
fn a_copy_of_other_data_is_refused() {
    let honest = LoaderProcess::start(DATA, 1);
    let ended = train(&[&honest.address], &["--audit", "1", "--audit-data", "synthetic:100"]);
    assert_eq!(ended.output.status.code(), Some(2), "{}", stderr(&ended.output));
    let line = error_line(&ended.output);
    assert!(line.contains("--audit-data is not what the loaders serve"), "{line}");
}

#[test]
fn a_run_that_stops_at_a_lie_goes_back_before_it_and_ends_with_the_honest_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (honest, also) = (LoaderProcess::start(DATA, 1), LoaderProcess::start(DATA, 1));
    let upstream = LoaderProcess::start(DATA, 1);
    let liar = Liar::start(&upstream.address, Lie::Pixels).unwrap();
    let alone = train(&[&honest.address], &[]);
    let loaders = [&*liar.address(), &honest.address, &also.address].join(",");
    let run = |flags: &[&str]| {
        let mut command = trainer(folder.path());
        command.args(["train", "--output", "run", "--json"]).args(flags).output().unwrap()
    };
    let first = [
        &TRAINING[1..9],
        &["--loaders", &loaders, "--audit", "4", "--audit-policy", "stop", "--checkpoint-every", "1"],
    ];
    let stopped = run(&first.concat());
    assert_eq!(stopped.status.code(), Some(8), "{}", stderr(&stopped));
    let line = error_line(&stopped);
    assert!(line.contains(&liar.address()) && line.contains("differs"), "{line}");
    let told = liar.told();
    let resumed = run(&["--resume", "--loaders", &loaders]);
    let result = json(&resumed);
    assert_eq!(result["weights_digest"].as_str().unwrap(), alone.result().0, "{}", stderr(&resumed));
    assert!(stderr(&resumed).contains("--forget-loaders"), "{}", stderr(&resumed));
    assert_eq!(liar.told(), told, "the liar is not asked again");
}

#[test]
fn loaders_that_contradict_each_other_end_a_run_that_is_to_stop() {
    let (honest, upstream) = (LoaderProcess::start(DATA, 1), LoaderProcess::start(DATA, 1));
    let liar = Liar::start(&upstream.address, Lie::Labels).unwrap();
    let ended = train(&[&honest.address, &liar.address()], &["--audit", "1", "--audit-policy", "stop"]);
    assert_eq!(ended.output.status.code(), Some(8), "{}", stderr(&ended.output));
    let line = error_line(&ended.output);
    assert!(line.contains(&honest.address) && line.contains(&liar.address()), "{line}");
    assert!(line.contains("--audit-data"), "{line}");
}

/// How long a liar that is alone is waited for: longer where the machine was too busy for an answer to come in that time.
const PATIENCE: [u64; 3] = [3, 12, 48];

#[test]
fn each_kind_alone_ends_a_training_with_its_code_and_a_line_that_names_loader_and_reason() {
    // With what each may take beyond the time for which loaders are waited for.
    for (lie, code, beyond, said) in [
        (Lie::DataLoss, 3, 10, "forged"),
        (Lie::Sizes, 4, 20, "labels"),
        (Lie::Damaged, 4, 20, "checksum"),
        (Lie::Stall, 4, 20, "neither a batch nor a failure"),
        (Lie::DigestAfterOpening, 2, 20, "dataset"),
        // More than a dataset may have, and more than is read.
        (Lie::Nameless(2 << 20), 4, 20, "classes"),
        (Lie::Nameless(9 << 20), 4, 20, "too large"),
        (Lie::Flaps, 0, 20, ""),
    ] {
        let upstream = LoaderProcess::start(DATA, 1);
        for patience in PATIENCE {
            let liar = Liar::start(&upstream.address, lie).unwrap();
            let ended = train(&[&liar.address()], &["--loader-timeout", &format!("{patience}s")]);
            let text = stderr(&ended.output);
            if text.ends_with(": connecting\n") && patience < PATIENCE[2] {
                continue;
            }
            assert_eq!(ended.output.status.code(), Some(code), "{lie:?}: {text}");
            assert!(ended.time < Duration::from_secs(patience + beyond), "{lie:?}: {:?}", ended.time);
            if code > 0 {
                let line = error_line(&ended.output);
                assert!(line.contains(said), "{lie:?}: {line}");
                assert!(line.contains(&liar.address()), "{lie:?}: {line}");
                assert!(!line.contains('\u{1b}'), "{lie:?}: {line:?}");
            }
            break;
        }
    }
}
