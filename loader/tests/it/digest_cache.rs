//! The second start of a loader, from outside: what it reads, and what it serves.

use crate::commands::serving;
use crate::write;
use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_pipeline::Split;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Bytes that a process has read so far, from files and from everything else.
fn bytes_read(process: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// Starts a loader; returns what it had read when it was ready, and the batches of an epoch.
fn start(data: &Path, flags: &[&str]) -> (u64, Vec<[u8; 32]>) {
    let all = [&["--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--cache", "none"], flags];
    let loader = serving(&all.concat());
    let read = bytes_read(loader.child.id());
    let spec = StreamSpec { batch_size: 50, ..StreamSpec::default() };
    let mut stream = StreamConfig::new(vec![loader.address.parse().unwrap()], spec);
    stream.end = StreamEnd::Batch(6);
    let batches = BlockingStream::open(stream).unwrap().map(|batch| batch.unwrap().digest()).collect();
    (read, batches)
}

#[test]
fn the_second_start_reads_no_images_and_serves_the_same_batches() {
    let place = tempfile::tempdir().unwrap();
    write::shards(place.path(), &write::drawings(Split::Train, 300), &write::drawings(Split::Test, 20));
    let mut total = 0;
    for entry in std::fs::read_dir(place.path()).unwrap() {
        let file = std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        total += file.metadata().unwrap().len();
    }
    let (first, batches) = start(place.path(), &[]);
    let (second, again) = start(place.path(), &[]);
    let (without, third) = start(place.path(), &["--no-digest-cache"]);
    assert!(first > total && without > total && second < total / 2, "{first}, {second} of {total}");
    assert_eq!(batches.len(), 6);
    assert!(batches == again && batches == third);
}
