//! The binary, as a user meets it: exit codes, one clear line for bad input, a graceful end.

use mixfeed_client::{BlockingStream, Endpoint, StreamConfig, StreamSpec};
use mixfeed_ops::testing;
use mixfeed_testing::{Serving, signal};
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn loader(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixfeed-loader"));
    command.args(flags);
    command
}

pub(crate) fn run(flags: &[&str]) -> Output {
    loader(flags).output().unwrap()
}

/// Runs a command that must fail with `code` and one line; returns the line.
pub(crate) fn refused(code: i32, flags: &[&str]) -> String {
    let output = run(flags);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty());
    // What it logged before it failed is not part of the message, nor what it says of data that it could read.
    let said = |line: &&str| !line.contains(" INFO ") && !line.starts_with("warning: ");
    let lines: Vec<_> = stderr.lines().filter(said).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("error: "), "{stderr}");
    lines[0].to_string()
}

/// A folder in CIFAR-10's layout, two records a file.
pub(crate) fn cifar(folder: &Path) {
    let files = (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".into()]);
    for (label, file) in files.enumerate() {
        let record: Vec<u8> =
            std::iter::once(label as u8).chain((0..3072).map(|i| (i % 251) as u8)).collect();
        std::fs::write(folder.join(file), record.repeat(2)).unwrap();
    }
}

pub(crate) fn serving(flags: &[&str]) -> Serving {
    Serving::start(Path::new(env!("CARGO_BIN_EXE_mixfeed-loader")), flags)
}

/// As in `… | head` and on a full disk.
#[test]
fn a_result_that_nobody_can_have_is_no_panic() {
    use std::os::fd::OwnedFd;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let cases = [
        (OwnedFd::from(writer), 141, ""),
        (full.into(), 1, "error: cannot write the result: No space left on device (os error 28)\n"),
    ];
    for (stdout, code, said) in cases {
        let mut command = loader(&["inspect", "--data", "synthetic:100"]);
        let output = command.stdout(stdout).stderr(std::process::Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    }
}

#[test]
fn data_that_is_missing_or_damaged_is_named_and_exits_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let serve = |data: &str| refused(3, &["serve", "--listen", "127.0.0.1:0", "--data", data]);
    assert!(serve("/no/such/folder").ends_with("/no/such/folder: no such file or folder"));
    assert!(serve(path).contains("no data of a known format"));

    cifar(folder.path());
    std::fs::write(folder.path().join("data_batch_3.bin"), vec![0; 3073 + 100]).unwrap();
    let line = serve(path);
    assert!(line.contains("data_batch_3.bin") && line.contains("100 are left over after record 1"), "{line}");

    std::fs::write(folder.path().join("data_batch_3.bin"), [vec![10], vec![0; 3072]].concat()).unwrap();
    let line = serve(path);
    assert!(line.contains("data_batch_3.bin") && line.contains("record 0 (offset 0) has label 10"), "{line}");
    assert_eq!(refused(3, &["inspect", "--data", path]), line);
}

#[test]
fn nonsense_on_the_command_line_exits_with_2() {
    for flags in [
        &["serve", "--data", "synthetic", "--workers", "0"][..],
        &["serve", "--data", "synthetic", "--workers", "100000000000"],
        &["serve", "--data", ""],
        &["serve", "--data", "synthetic:0"],
        &["serve", "--data", "synthetic", "--listen", "nowhere"],
        &["preview", "--data", "synthetic", "--output", "x.png", "--mixup-alpha", "-1"],
        &["preview", "--data", "synthetic", "--output", "x.png", "--mixup-alpha", "NaN"],
        &["preview", "--data", "synthetic", "--output", "x.png", "--mixup-prob", "2"],
        &["preview", "--data", "synthetic", "--output", "x.png", "--color-jitter", "1,2"],
        &["preview", "--data", "synthetic", "--output", "x.png", "--resized-crop", "-1"],
    ] {
        refused(2, flags);
    }
    for (flag, value, allowed) in
        [("--mixup-prob", "20", "0 to 1"), ("--cutmix-alpha", "-1", "0 to"), ("--flip-prob", "2", "0 to 1")]
    {
        for command in [&["preview", "--output", "x.png"][..], &["verify"]] {
            let line = refused(2, &[command, &["--data", "synthetic:50", flag, value]].concat());
            assert!(line.contains(&format!("{flag} is {value}, it must be {allowed}")), "{line}");
        }
    }
    for name in ["x.jpg", "x.jpeg", "x.webp"] {
        let line = refused(2, &["preview", "--data", "synthetic:50", "--output", name]);
        assert!(line.contains(name) && line.contains("a name that ends in .png"), "{line}");
        let replay = ["replay", "--spec", "stream.toml", "--data", "synthetic:50", "--index", "0"];
        assert_eq!(refused(2, &[&replay[..], &["--output", name]].concat()), line);
    }
    assert!(!Path::new("x.jpg").exists());
    // clap's own errors, which are of more than one line.
    assert_eq!(run(&["serve", "--no-such-flag"]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--data", "synthetic", "--grace", "5"]).status.code(), Some(2));
}

#[test]
fn an_address_that_is_none_is_refused_in_the_same_words_wherever_it_is_given() {
    for flag in ["--listen", "--metrics", "--health-listen"] {
        for wrong in ["9464", ":50051", "localhost"] {
            let output = run(&["serve", "--data", "synthetic:10", flag, wrong]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(
                said.contains(&format!("`{wrong}` is not an address to listen on: give HOST:PORT")),
                "{said}"
            );
        }
    }
    let printed = run(&["serve", "--data", "synthetic:5", "--metrics", "localhost:9464", "--print-config"]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains(":9464"), "names are resolved");
}

#[test]
fn a_wrong_value_names_the_environment_variable_it_came_from() {
    for (variable, value) in [
        ("MIXFEED_LOADER_WORKERS", "many"),
        ("MIXFEED_LOADER_METRICS", "9464"),
        ("MIXFEED_LOADER_GRACE", "5"),
    ] {
        let output = loader(&["serve", "--data", "synthetic:5"]).env(variable, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("the environment variable {variable}\n")), "{said}");
    }
    let said = run(&["serve", "CIFAR"]).stderr;
    assert!(String::from_utf8_lossy(&said).contains("did you mean `--data CIFAR`?"));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--health-listen", "--metrics"] {
        let free = if flag == "--listen" { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        let line = refused(1, &[&["serve", "--data", "synthetic:10", flag, &address], free].concat());
        assert!(line.contains(&format!("{flag}: cannot listen on {address}: ")), "{line}");
        assert!(
            line.ends_with("; give another address (port 0 picks a free one), or end what listens there")
        );
    }
}

#[test]
fn a_loader_says_where_it_listens_answers_the_healthcheck_and_drains_on_sigterm() {
    let metrics = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let mut serving = serving(&["--data", "synthetic:10", "--listen", "127.0.0.1:0", "--metrics", &metrics]);
    let health = run(&["healthcheck", "--address", &serving.address]);
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));
    signal(&serving.child, "-TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let rest: Vec<_> = serving.log.by_ref().lines().map_while(Result::ok).collect();
    assert!(rest.last().unwrap().contains("stopped"), "{rest:?}");
    let line = refused(1, &["healthcheck", "--address", &serving.address]);
    assert!(line.contains("cannot connect"), "{line}");
}

/// As when a supervisor starts the new one while the old one drains.
#[test]
fn a_loader_that_drains_leaves_its_successors_socket_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loader.sock");
    let address = format!("unix://{}", path.display());
    let flags = ["--data", "synthetic:100", "--workers", "1", "--listen", &address, "--grace", "4s"];
    let mut old = serving(&flags);
    // A client that reads one batch and holds the stream.
    let endpoint: Endpoint = address.parse().unwrap();
    let spec = StreamSpec { batch_size: 100, ..StreamSpec::default() };
    let mut stream = BlockingStream::open(StreamConfig::new(vec![endpoint], spec)).unwrap();
    stream.next().unwrap().unwrap();
    signal(&old.child, "-TERM");
    // Until it listens no more.
    while std::os::unix::net::UnixStream::connect(&path).is_ok() {}
    let mut new = serving(&flags);
    assert_eq!(old.child.wait().unwrap().code(), Some(0));
    assert!(run(&["healthcheck", "--address", &address]).status.success());
    drop(stream);
    signal(&new.child, "-TERM");
    assert_eq!(new.child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}

/// SIGHUP drains, and the signals of schedulers end nothing.
#[test]
fn a_loader_drains_when_its_terminal_is_gone() {
    if testing::require("hangup", testing::hangup()).is_none() {
        return;
    }
    let mut serving = serving(&["--data", "synthetic:10", "--listen", "127.0.0.1:0"]);
    ["-USR1", "-USR2"].into_iter().for_each(|name| signal(&serving.child, name));
    assert!(run(&["healthcheck", "--address", &serving.address]).status.success());
    signal(&serving.child, "-HUP");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let rest: Vec<_> = serving.log.by_ref().lines().map_while(Result::ok).collect();
    assert!(rest.iter().any(|line| line.contains("draining") && line.contains("Hangup")), "{rest:?}");
    assert!(rest.last().unwrap().contains("stopped"), "{rest:?}");
}

/// The settings file is a pipe, so that the process waits for it before it has so much as a log.
#[test]
fn the_signals_of_schedulers_end_nothing_before_a_loader_serves() {
    for name in ["-USR1", "-USR2"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("settings.toml");
        assert!(Command::new("mkfifo").arg(&settings).status().unwrap().success());
        let mut command = loader(&["serve", "--listen", "127.0.0.1:0", "--config"]);
        let mut child = command.arg(&settings).stderr(std::process::Stdio::piped()).spawn().unwrap();
        // Opened once the other side has opened it, too.
        let mut file = std::fs::OpenOptions::new().write(true).open(&settings).unwrap();
        signal(&child, name);
        file.write_all(b"data = \"synthetic:10\"\n").unwrap();
        drop(file);
        let mut log = std::io::BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(log.any(|line| line.contains("listening")), "{name}");
        signal(&child, "-TERM");
        log.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn a_unix_socket_serves_too() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/loader.sock", folder.path().display());
    let mut serving = serving(&["--data", "synthetic:10", "--listen", &address]);
    assert!(run(&["healthcheck", "--address", &address]).status.success());
    signal(&serving.child, "-INT");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(!folder.path().join("loader.sock").exists());
}

#[test]
fn a_batch_can_be_built_again_from_its_spec_and_index() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("stream.toml");
    std::fs::write(
        &spec,
        "seed = 7\nbatch-size = 16\n[mixing]\nkind = \"mixup\"\nalpha = 1.0\nprobability = 1.0\n\
         lambda-scope = \"sample\"\npartner-source = \"dataset\"\n",
    )
    .unwrap();
    let picture = folder.path().join("batch.png");
    let flags = [
        "replay",
        "--spec",
        spec.to_str().unwrap(),
        "--data",
        "synthetic:50",
        "--index",
        "7",
        "--output",
        picture.to_str().unwrap(),
        "--json",
    ];
    let output = run(&flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // 50 samples in batches of 16 are four batches an epoch, the last one of two.
    assert_eq!((object["epoch"].as_u64(), object["rows"].as_array().unwrap().len()), (Some(1), 2));
    assert!(object["rows"][0]["lambda"].as_f64().is_some(), "{object}");
    assert!(picture.exists());

    let mut stream = StreamConfig::new(
        vec![],
        StreamSpec {
            seed: 7,
            batch_size: 16,
            mixing: Some(mixfeed_client::Mixing {
                kind: mixfeed_client::MixingKind::Mixup,
                alpha: 1.0,
                probability: 1.0,
                lambda_scope: mixfeed_client::LambdaScope::Sample,
                partner_source: mixfeed_client::PartnerSource::Dataset,
            }),
            ..Default::default()
        },
    );
    let loader = mixfeed_loader::embedded::EmbeddedLoader::start("synthetic:50", Some(1)).unwrap();
    stream.loaders = vec![loader.address().to_string().parse().unwrap()];
    (stream.start, stream.end) = (7, mixfeed_client::StreamEnd::Batch(8));
    let batch = BlockingStream::open(stream).unwrap().next().unwrap().unwrap();
    assert_eq!(object["digest"], hex::encode(batch.digest()));

    let other = refused(2, &["replay", "--spec", "/no/such.toml", "--data", "synthetic:50", "--index", "0"]);
    assert!(other.contains("/no/such.toml"), "{other}");
}

#[test]
fn the_settings_in_force_can_be_printed() {
    let output = loader(&["serve", "--data", "synthetic:5", "--print-config"])
        .env("MIXFEED_LOADER_WORKERS", "3")
        .env("MIXFEED_LOADER_GRACE", "7s")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["data = \"synthetic:5\"", "workers = 3", "grace = \"7s\"", "listen = \"127.0.0.1:50051\""] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn the_version_names_release_algorithm_and_protocol() {
    let text = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert!(text.starts_with(concat!("mixfeed-loader ", env!("CARGO_PKG_VERSION"), " (")), "{text}");
    assert!(text.contains("algorithm 2 ") && text.contains("protocol mixfeed.v1"), "{text}");
}

#[test]
fn bench_measures_both_processes() {
    // CPU time is told in ticks of 10 ms, of which a busy machine may give none in a shorter time.
    let flags = [
        "bench",
        "--data",
        "synthetic:100",
        "--batch-size",
        "16",
        "--measure",
        "plan-collate,loopback,unix,float,transport,start",
        "--time",
        "1s",
        "--rounds",
        "1",
        "--json",
    ];
    let output = run(&flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in [
        "plan_collate_images_per_second",
        "loopback_images_per_second",
        "loader_cpu_seconds_per_million",
        "client_cpu_seconds_per_million",
        "cpu_seconds_per_million",
        "gap_p99_over_median",
        "unix_images_per_second",
        "float_images_per_second",
        "transport_images_per_second",
        "first_batch_seconds",
        "loader_pss_bytes",
        "client_pss_bytes",
    ] {
        assert!(object[key].as_f64().is_some_and(|value| value > 0.0), "{key} in {object}");
    }
}
