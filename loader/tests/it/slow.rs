//! A loader that takes long for each batch is slow and not lost: it says that it is at work.

use mixfeed_client::{BlockingStream, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_loader::extensions::{CustomSource, Extensions};
use mixfeed_pipeline::dataset::InMemory;
use mixfeed_pipeline::{Dataset, ImageShape, SampleError, Samples};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an image takes to be read. (Batches of four rows are built by one worker.)
const READ: Duration = Duration::from_millis(900);

/// Silence after which the client takes a loader for lost: a third of what a batch takes.
const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);

#[derive(Debug)]
struct Slow;

impl Samples for Slow {
    fn count(&self) -> u64 {
        8
    }

    fn label(&self, _sample: u64) -> u32 {
        0
    }

    fn image<'a>(&'a self, sample: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SampleError> {
        std::thread::sleep(READ);
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
        Ok(Dataset { train: Arc::new(Slow), digest: [7; 32], ..empty })
    }
}

#[test]
fn batches_that_take_several_times_the_silence_a_client_allows_come_once_from_a_loader_that_is_not_lost() {
    let extensions = Extensions::default().with_source(&Slow);
    let loader = EmbeddedLoader::start_with(&"slow:".parse().unwrap(), Some(1), &extensions).unwrap();
    let address = loader.address().to_string().parse().unwrap();
    let mut config = StreamConfig::new(vec![address], StreamSpec::train(1, 4));
    config.end = StreamEnd::Epoch(1);
    config.tuning.idle_timeout = IDLE_TIMEOUT;
    let started = Instant::now();
    let mut stream = BlockingStream::open(config).unwrap();
    let indices: Vec<_> = stream.by_ref().map(|batch| batch.unwrap().index).collect();
    assert_eq!(indices, [0, 1]);
    assert!(started.elapsed() >= 8 * READ);
    let stats = stream.stats();
    assert_eq!((stats.reassigned, stats.duplicate, stats.hedged), (0, 0, 0));
}
