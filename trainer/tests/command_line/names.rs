//! A name whose addresses change while a trainer trains, as those of a service that is scaled.
//!
//! The trainer runs in a mount namespace of its own, in which `/etc/hosts` is a file of the test.

use super::support::loader_binary;
use super::{namespaces, trainer};
use mixfeed_ops::testing;
use mixfeed_testing::{Serving, signal};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DATA: &str = "synthetic:1600";

/// By which time a loader that joins has work.
const JOINED: Duration = Duration::from_secs(10);

/// Batches that tell the stream of the training from those of its evaluations, which have one each.
const ENOUGH: u64 = 20;

/// By which time a loader has noticed that its client is gone.
const GONE: Duration = Duration::from_secs(30);

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Batches that the loader with these metrics has built, those of evaluations too.
fn built(metrics: &str) -> f64 {
    let mut stream = TcpStream::connect(metrics).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix("mixfeed_loader_batches_total "));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// A port that is free on both addresses.
fn free_port() -> u16 {
    let both_free = |port: u16| TcpListener::bind(("127.0.0.22", port)).is_ok();
    let ports = std::iter::from_fn(|| {
        TcpListener::bind("127.0.0.21:0")
            .and_then(|free| free.local_addr())
            .ok()
            .map(|address| address.port())
    });
    ports.take(100).find(|port| both_free(*port)).expect("one of a hundred ports is free on both")
}

#[test]
fn a_loader_that_joins_a_name_has_work_within_ten_seconds() {
    if testing::require("namespaces", namespaces()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let port = free_port();
    let list = |addresses: &[&str]| {
        let lines = addresses.iter().map(|address| format!("{address} loaders.test\n"));
        // In place: the file is mounted.
        fs::write(&hosts, lines.collect::<String>()).unwrap();
    };
    let metrics = format!("127.0.0.22:{}", free_port());
    let start = |address: &str, more: &[&str]| {
        let listen = format!("{address}:{port}");
        let flags = ["--data", DATA, "--workers", "1", "--listen", &listen];
        Serving::start(&loader_binary(), &[&flags[..], more].concat())
    };
    list(&["127.0.0.21"]);
    let _first = start("127.0.0.21", &[]);

    let plain = trainer(folder.path());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    command.arg(&hosts).arg(plain.get_program());
    command.args(["train", "--loaders", &format!("dns:///loaders.test:{port}"), "--model", "linear"]);
    command.args(["--batch-size", "16", "--epochs", "100000", "--threads", "1", "--output", "run"]);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut training = Running(command.spawn().unwrap());

    let mut second = start("127.0.0.22", &["--metrics", &metrics]);
    let log = second.lines();
    list(&["127.0.0.21", "127.0.0.22"]);
    assert!(log.find("stream opened", JOINED).is_some(), "no stream within {JOINED:?}");
    // Its share of the work comes a moment after the stream, and later on a busy machine.
    let deadline = Instant::now() + JOINED;
    while built(&metrics) < 5.0 * ENOUGH as f64 {
        assert!(Instant::now() < deadline, "hardly a batch within {JOINED:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    signal(&training.0, "-TERM");
    assert_eq!(training.0.wait().unwrap().code(), Some(143));
    let is_trained_on = |closed: String| {
        let batches = closed.split_whitespace().find_map(|word| word.strip_prefix("batches="));
        batches.unwrap().parse::<u64>().unwrap() >= ENOUGH
    };
    let mut closed = std::iter::from_fn(|| log.find("stream closed", GONE));
    assert!(closed.any(is_trained_on), "the stream of the training ends with its client");
}
