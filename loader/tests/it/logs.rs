//! A loader whose log cannot be written serves as if it could, and ends with the right code.

use crate::commands::{loader, run};
use mixfeed_client::{BlockingStream, Endpoint, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_ops::testing::unwritable;
use mixfeed_testing::signal;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far more than a loader takes to start, or to end.
const LONG: Duration = Duration::from_secs(60);

/// A process that is not left behind.
struct Mute(Child);

impl Drop for Mute {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}/loader.sock", folder.display())
}

fn flags<'a>(listen: &'a str, format: &'a str) -> [&'a str; 9] {
    ["serve", "--data", "synthetic:64", "--workers", "1", "--listen", listen, "--log-format", format]
}

fn is_healthy(address: &str) -> bool {
    run(&["healthcheck", "--address", address]).status.success()
}

/// Reads all batches.
fn read(address: &str) {
    let endpoint: Endpoint = address.parse().unwrap();
    let mut config = StreamConfig::new(vec![endpoint], StreamSpec { batch_size: 8, ..StreamSpec::default() });
    config.end = StreamEnd::Epoch(1);
    let batches = BlockingStream::open(config).unwrap().map(Result::unwrap).count();
    assert_eq!(batches, 8);
}

/// Is ready, serves, and drains.
fn serves(mut process: Mute, address: &str, how: &str) {
    let deadline = Instant::now() + LONG;
    while !is_healthy(address) {
        assert!(process.0.try_wait().unwrap().is_none(), "{how}: it ended before it listened");
        assert!(Instant::now() < deadline, "{how}: it is not ready");
    }
    (0..3).for_each(|_| read(address));
    assert!(is_healthy(address), "{how}");
    signal(&process.0, "-TERM");
    assert_eq!(process.0.wait().unwrap().code(), Some(0), "{how}");
}

#[test]
fn a_loader_without_a_place_for_its_log_serves() {
    let folder = tempfile::tempdir().unwrap();
    let address = socket(folder.path());
    for format in ["text", "json"] {
        for broken in unwritable().unwrap() {
            let how = format!("{format} to {}", broken.name);
            let process = loader(&flags(&address, format)).stderr(broken.stderr).spawn().unwrap();
            serves(Mute(process), &address, &how);
        }
    }
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$@\" 2>&-", "sh", env!("CARGO_BIN_EXE_mixfeed-loader")]);
    let process = closed.args(flags(&address, "text")).spawn().unwrap();
    serves(Mute(process), &address, "to a closed descriptor");
}

/// As when the container's log driver or `| tee` ends.
#[test]
fn a_loader_whose_log_loses_its_reader_goes_on_serving() {
    let folder = tempfile::tempdir().unwrap();
    let address = socket(folder.path());
    for (format, filter) in [("text", "info"), ("text", "debug"), ("json", "debug")] {
        let mut command = loader(&flags(&address, format));
        let mut process = Mute(command.args(["--log", filter]).stderr(Stdio::piped()).spawn().unwrap());
        let mut log = BufReader::new(process.0.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("listening")));
        read(&address);
        drop(log);
        serves(process, &address, &format!("{format}, {filter}"));
    }
}

#[test]
fn exit_codes_are_right_though_nobody_can_read_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], i32); 6] = [
        (&["inspect", "--data", "/no/such/folder"], 3),
        (&["serve", "--data", "/no/such/folder", "--listen", "127.0.0.1:0"], 3),
        (&["serve", "--data", "synthetic:10", "--listen", &taken], 1),
        (&["serve", "--data", "synthetic:0"], 2),
        (&["serve", "--no-such-flag"], 2),
        (&["inspect", "--data", "synthetic:10"], 0),
    ];
    for (flags, code) in cases {
        for broken in unwritable().unwrap() {
            let mut command = loader(flags);
            let status = command.stdout(Stdio::null()).stderr(broken.stderr).status().unwrap();
            assert_eq!(status.code(), Some(code), "{flags:?} to {}", broken.name);
        }
    }
}
