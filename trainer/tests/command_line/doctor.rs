//! What is wrong with a set-up, as a newcomer reads it.

use super::authority::Authority;
use super::{stderr, trainer};
use crate::support::LoaderProcess;
use std::process::Output;

fn doctor(arguments: &[&str]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = trainer(folder.path()).arg("doctor").args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn a_machine_without_loaders_is_described() {
    let (output, text) = doctor(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in ["libtorch", "processor", "CPU threads", "GPU", "--loaders"] {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
    let (output, text) = doctor(&["--data", "synthetic:100"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(text.contains("loader in this process: ready, serves synthetic"), "{text}");
    assert!(text.contains("100 to train on, 20 to test on") && text.contains("ready to train"), "{text}");
}

#[test]
fn one_loader_that_does_not_answer_is_named_though_another_does() {
    let good = LoaderProcess::start("synthetic:100", 1);
    let loaders = format!("{},127.0.0.1:9", good.address);
    let (output, text) = doctor(&["--loaders", &loaders, "--loader-timeout", "500ms"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(text.contains(&format!("loader {}: ready", good.address)), "{text}");
    assert!(
        text.contains("loader 127.0.0.1:9: NO ANSWER") && text.contains("nothing listens there"),
        "{text}"
    );
    assert!(stderr(&output).contains("error: 1 of 2 loaders cannot be used"), "{}", stderr(&output));
    assert!(!text.contains("ready to train"), "{text}");

    let (output, _) = doctor(&["--loaders", &good.address]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// It runs, and its name and address are right.
#[test]
fn a_loader_whose_token_or_certificate_is_the_matter_is_told_with_that_remedy_alone() {
    let authority = Authority::new();
    authority.sign("elsewhere", &["elsewhere.example"], false);
    let token = authority.token("a-token-for-tests-0123456789");
    let guarded = LoaderProcess::start_with("synthetic:100", 1, &["--auth-token-file", &token]);
    let (certificate, key) = (authority.file("elsewhere.pem"), authority.file("elsewhere.key"));
    let encrypted =
        LoaderProcess::start_with("synthetic:100", 1, &["--tls-cert", &certificate, "--tls-key", &key]);
    let (ca, other) = (authority.file("ca.pem"), authority.path("other"));
    std::fs::write(&other, "another-token-0123456789").unwrap();
    for (loader, flags, remedy) in [
        (&guarded, &[][..], "give --auth-token-file with the loader's token\n"),
        (&guarded, &["--auth-token-file", other.to_str().unwrap()], "is not the loader's\n"),
        (&encrypted, &["--tls-ca", &ca], "as subjectAltName\n"),
    ] {
        let asked = ["--loaders", &loader.address, "--loader-timeout", "1s"];
        let (output, text) = doctor(&[&asked[..], flags].concat());
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        assert!(text.ends_with(remedy), "{text}");
        assert!(stderr(&output).ends_with("error: 1 of 1 loaders cannot be used\n"), "{}", stderr(&output));
    }
}

#[test]
fn loaders_that_serve_different_data_are_told_apart() {
    let loaders = [LoaderProcess::start("synthetic:100", 1), LoaderProcess::start("synthetic:200", 1)];
    let addresses = loaders.each_ref().map(|loader| loader.address.clone()).join(",");
    let (output, text) = doctor(&["--loaders", &addresses]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(text.matches(": ready, serves synthetic").count(), 2, "{text}");
    assert!(stderr(&output).contains("the loaders differ in data"), "{}", stderr(&output));
}

#[test]
fn a_setting_that_the_data_does_not_heed_is_warned_of() {
    let (output, _) = doctor(&["--data", "synthetic:100", "--cache", "encoded"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = "no effect on this dataset, which is in memory whole: --cache";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}
