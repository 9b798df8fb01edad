//! An update of a whole fleet, one loader after the other, while a stream is read.

use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_testing::{Serving, free_addresses, signal};
use std::path::Path;
use std::time::{Duration, Instant};

const DATA: &str = "synthetic:480";
const BATCHES: u64 = 600;

/// What a training step takes: the update is over before the stream is.
const STEP: Duration = Duration::from_millis(3);

/// Far above what a batch takes, far below what a lost loader would cost before it is noticed.
const UNDISTURBED: Duration = Duration::from_millis(900);

fn start(address: &str) -> Serving {
    let flags = ["--data", DATA, "--workers", "1", "--listen", address];
    Serving::start(Path::new(env!("CARGO_BIN_EXE_mixfeed-loader")), &flags)
}

#[test]
fn replacing_every_loader_in_turn_disturbs_nothing() {
    let addresses = free_addresses(3);
    let mut fleet: Vec<_> = addresses.iter().map(|address| start(address)).collect();
    let loaders = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let spec = StreamSpec { batch_size: 16, seed: 3, ..StreamSpec::default() };
    let mut config = StreamConfig::new(loaders, spec);
    config.end = StreamEnd::Batch(BATCHES);
    config.tuning.window_batches = 32;
    // A loader that is killed rather than drained would be noticed by its silence only.
    config.tuning.idle_timeout = Duration::from_secs(10);
    let mut stream = BlockingStream::open(config).unwrap();

    let (mut digests, mut longest) = (Vec::new(), Duration::ZERO);
    for index in 0..BATCHES {
        if index % 150 == 50
            && let Some(old) = fleet.get_mut((index / 150) as usize)
        {
            // A graceful end with all that it owed delivered or left to others, then its successor.
            signal(&old.child, "-TERM");
            assert_eq!(old.child.wait().unwrap().code(), Some(0));
            *old = start(&addresses[(index / 150) as usize]);
        }
        let asked = Instant::now();
        let batch = stream.next().expect("no end yet").unwrap();
        longest = longest.max(asked.elapsed());
        assert_eq!(batch.index, index);
        digests.push(batch.digest());
        std::thread::sleep(STEP);
    }
    assert!(longest < UNDISTURBED, "a batch took {longest:?}");
    let stats = stream.stats();
    assert_eq!((stats.corrupt, stats.replicas_seen), (0, 3), "{stats:?}");

    // The same from a loader that nobody disturbed.
    let calm = start(&free_addresses(1)[0]);
    let spec = StreamSpec { batch_size: 16, seed: 3, ..StreamSpec::default() };
    let mut config = StreamConfig::new(vec![calm.address.parse().unwrap()], spec);
    config.end = StreamEnd::Batch(BATCHES);
    let golden: Vec<_> = BlockingStream::open(config).unwrap().map(|batch| batch.unwrap().digest()).collect();
    assert!(digests == golden, "the same bytes");
}
