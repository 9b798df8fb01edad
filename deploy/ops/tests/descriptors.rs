//! A process without file descriptors: connections wait, and are taken once there are some.
//! One test: the limit is the process's.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use mixfeed_ops::grpc::{Limits, Listener, RefusedConnections, incoming};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The lowest number that a new descriptor would get. The limit is one of numbers, and numbers have gaps.
fn next_descriptor() -> u64 {
    u64::try_from(File::open("/dev/null").unwrap().as_raw_fd()).unwrap()
}

/// CPU time of this process so far, in clock ticks, from a file that is open already.
fn ticks(stat: &mut File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let fields: Vec<_> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn without_descriptors_connections_wait_without_spinning_and_are_taken_later() {
    assert!(Limits::default().connections >= 8, "places for half of the descriptors");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // In the listener's queue, where they need no descriptor of the server.
    let mut dialers = Vec::new();
    for _ in 0..12 {
        let mut dialer = TcpStream::connect(address).await.unwrap();
        dialer.write_all(PREFACE).await.unwrap();
        dialers.push(dialer);
    }
    let mut stat = File::open("/proc/self/stat").unwrap();
    let all = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(next_descriptor() + 4), maximum: all.maximum };
    setrlimit(Resource::Nofile, few).unwrap();
    let limits = Limits { connections: 1024, greeting: Duration::from_secs(60) };
    let mut incoming = incoming(Listener::Tcp(listener), None, limits, RefusedConnections::default());
    let mut taken = Vec::new();
    let second = Duration::from_secs(1);
    while let Ok(next) = tokio::time::timeout(second, incoming.next()).await {
        taken.push(next.unwrap().unwrap());
    }
    let max = taken.len();
    assert!((1..=4).contains(&max), "{max} were taken");
    let before = ticks(&mut stat);
    assert!(
        tokio::time::timeout(second, incoming.next()).await.is_err(),
        "there is no descriptor for another"
    );
    // A tick is 10 ms; spinning would use a hundred a second.
    let used = ticks(&mut stat) - before;
    assert!(used < 30, "{used} ticks in a second");
    // As one goes, another one comes, and with descriptors all do.
    drop(taken.pop());
    taken.push(incoming.next().await.unwrap().unwrap());
    setrlimit(Resource::Nofile, all).unwrap();
    while taken.len() < 11 {
        taken.push(incoming.next().await.unwrap().unwrap());
    }
}
