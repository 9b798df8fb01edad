//! A name whose addresses change while a trainer trains, as those of a service that is scaled.
//!
//! The trainer runs in a mount namespace of its own, in which `/etc/hosts` is a file of the test.

use super::fleet::{Serving, signal};
use super::support::loader_binary;
use super::{namespaces, trainer};
use mixfeed_ops::testing;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DATA: &str = "synthetic:1600";

/// By which time a loader that joins has work.
const JOINED: Duration = Duration::from_secs(10);

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
    let start = |address: &str| {
        let listen = format!("{address}:{port}");
        Serving::start(&loader_binary(), &["--data", DATA, "--workers", "1", "--listen", &listen])
    };
    list(&["127.0.0.21"]);
    let _first = start("127.0.0.21");

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

    let mut second = start("127.0.0.22");
    let log = second.lines();
    list(&["127.0.0.21", "127.0.0.22"]);
    assert!(log.find("stream opened", JOINED).is_some(), "no stream within {JOINED:?}");
    // Its share of the work comes a moment after the stream, and later on a busy machine.
    std::thread::sleep(Duration::from_secs(3));
    signal(&training.0, "-TERM");
    assert_eq!(training.0.wait().unwrap().code(), Some(143));
    let closed = log.find("stream closed", GONE).expect("the stream ends with its client");
    let batches = closed.split_whitespace().find_map(|word| word.strip_prefix("batches="));
    assert!(batches.unwrap().parse::<u64>().unwrap() > 0, "{closed}");
}
