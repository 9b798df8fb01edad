//! A loader that takes long for each batch is slow and not lost: it says that it is at work.

use mixfeed_client::{BatchStream, BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_loader::extensions::{CustomSource, Extensions};
use mixfeed_pipeline::dataset::InMemory;
use mixfeed_pipeline::{Dataset, ImageShape, SampleError, Samples};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an image takes to be read.
const READ: Duration = Duration::from_millis(900);

/// Rows of a batch.
const ROWS: u32 = 4;

/// Silence after which the client takes a loader for lost: less than half of what a batch takes.
const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Images of which one takes a while to be read, and one hangs, if there is one.
#[derive(Debug)]
struct Slow {
    hangs: Option<u64>,
}

static SLOW: Slow = Slow { hangs: None };
static HANGING: Slow = Slow { hangs: Some(6) };

impl Samples for Slow {
    fn count(&self) -> u64 {
        8
    }

    fn label(&self, _sample: u64) -> u32 {
        0
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        std::thread::sleep(if self.hangs == Some(sample) { Duration::from_secs(60) } else { READ });
        scratch.clear();
        scratch.resize(12, sample as u8);
        Ok(scratch)
    }
}

impl CustomSource for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn version(&self) -> u32 {
        1
    }

    fn open(&self, _rest: &str) -> Result<Dataset, Box<dyn Error + Send + Sync>> {
        let image = ImageShape { height: 2, width: 2, channels: 3 };
        let test = Arc::new(InMemory::new(image, Vec::new(), Vec::new()));
        let empty = Dataset::new("slow", vec!["one".into()], image, test.clone(), test)?;
        Ok(Dataset { train: Arc::new(Self { hangs: self.hangs }), digest: [7; 32], ..empty })
    }
}

fn loader_of(source: &'static Slow) -> EmbeddedLoader {
    let extensions = Extensions::default().with_source(source);
    EmbeddedLoader::start_with(&"slow:".parse().unwrap(), Some(1), &extensions).unwrap()
}

/// A stream of both batches.
fn both_batches(loader: &EmbeddedLoader) -> StreamConfig {
    let addresses = vec![loader.address().to_string().parse().unwrap()];
    let spec = StreamSpec { shuffle: false, ..StreamSpec::train(1, ROWS) };
    let mut config = StreamConfig::new(addresses, spec);
    config.end = StreamEnd::Epoch(1);
    config.tuning.idle_timeout = IDLE_TIMEOUT;
    config
}

#[test]
fn batches_that_take_several_times_the_silence_a_client_allows_come_once_from_a_loader_that_is_not_lost() {
    let loader = loader_of(&SLOW);
    let started = Instant::now();
    let config = StreamConfig { loader_timeout: IDLE_TIMEOUT, ..both_batches(&loader) };
    let mut stream = BlockingStream::open(config).unwrap();
    let indices: Vec<_> = stream.by_ref().map(|batch| batch.unwrap().index).collect();
    assert_eq!(indices, [0, 1]);
    assert!(started.elapsed() >= 2 * ROWS * READ);
    let stats = stream.stats();
    assert_eq!((stats.reassigned, stats.duplicate, stats.hedged), (0, 0, 0));
}

#[test]
fn a_stream_that_waits_for_the_batches_of_another_is_not_lost() {
    let loader = loader_of(&SLOW);
    // One worker, and one place in its queue: both are the first one's for most of the time.
    let streams = [(); 3].map(|()| {
        let config = StreamConfig { loader_timeout: IDLE_TIMEOUT, ..both_batches(&loader) };
        let mut stream = BlockingStream::open(config).unwrap();
        std::thread::spawn(move || {
            (stream.by_ref().map(|batch| batch.unwrap().index).collect::<Vec<_>>(), stream.stats())
        })
    });
    for stream in streams {
        let (indices, stats) = stream.join().unwrap();
        assert_eq!(indices, [0, 1]);
        assert_eq!((stats.reassigned, stats.duplicate, stats.hedged), (0, 0, 0));
    }
}

/// It says that it is at work for half a minute.
#[tokio::test]
async fn a_loader_whose_worker_hangs_falls_silent_and_is_lost() {
    let loader = loader_of(&HANGING);
    let mut stream = BatchStream::open(both_batches(&loader)).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().index, 0);
    let started = Instant::now();
    while stream.stats().reassigned == 0 {
        let next = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
    let silent_after = started.elapsed();
    // The worker still sleeps, and ending the loader would wait for it.
    std::mem::forget(loader);
    assert!((Duration::from_secs(30)..Duration::from_secs(45)).contains(&silent_after), "{silent_after:?}");
}
