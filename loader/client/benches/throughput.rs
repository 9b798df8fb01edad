//! Images a second through the client: connection, gate, order and hand-over to a thread.
//!
//! The loaders are fakes that send one prepared batch again and again under the right index, so that
//! they cost as little as a loader can. They run in the same process: what the client's own thread needs is
//! measured apart, as its processor time.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use mixfeed_client::{BlockingStream, ImageShape, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_fake::{FakeData, FakeLoader, Script};
use std::time::Instant;

fn main() {
    for (replicas, batch_size) in [(1, 128), (2, 128), (1, 1024)] {
        let script = Script {
            data: FakeData {
                train_samples: 1 << 20,
                image: ImageShape { height: 32, width: 32, channels: 3 },
                ..FakeData::default()
            },
            window_batches: 8,
            prepared: true,
            ..Script::default()
        };
        let loaders: Vec<_> = (0..replicas).map(|_| FakeLoader::start(script.clone()).unwrap()).collect();
        let spec = StreamSpec { batch_size, ..StreamSpec::default() };
        let mut config =
            StreamConfig::new(loaders.iter().map(|loader| loader.address().into()).collect(), spec);
        let batches = u64::from((1 << 21) / batch_size);
        config.end = StreamEnd::Batch(batches + 100);
        let mut stream = BlockingStream::open(config).unwrap();
        for _ in 0..100 {
            stream.next().unwrap().unwrap();
        }
        let (start, busy) = (Instant::now(), client_seconds());
        let mut images = 0;
        for batch in stream.by_ref() {
            images += batch.unwrap().rows;
        }
        let (seconds, busy) = (start.elapsed().as_secs_f64(), client_seconds() - busy);
        println!(
            "{replicas} loader(s), batches of {batch_size}: {:.0} images/s, client thread {busy:.2} s of {seconds:.2} s: \
             {:.0} images/s per core",
            images as f64 / seconds,
            images as f64 / busy
        );
    }
}

/// Processor seconds of the client's thread so far (Linux; 0 elsewhere).
fn client_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let ticks: u64 = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        .filter(|stat| stat.contains("(mixfeed-client)"))
        .filter_map(|stat| {
            let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
            Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
        })
        .sum();
    ticks as f64 / 100.0
}
