//! Real loader processes, killed, stopped, restarted and added while a stream is read.
//!
//! What comes out is judged by a checker that never talks to a loader: it computes each batch with
//! the pipeline itself, and finds each sample by its content.

use mixfeed_client::{
    Batch, BlockingStream, LambdaScope, Mixing, MixingKind, PartnerSource, StreamConfig, StreamEnd,
    StreamSpec,
};
use mixfeed_pipeline::key::{Key, Purpose, Seed};
use mixfeed_pipeline::{BatchBuffer, BatchPlan, CheckedSpec, Dataset, Scratch, collate, synthetic};
use mixfeed_proto::{BatchBytes, batch_digest};
use mixfeed_testing::Replicas;
use rand::Rng as _;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

const SAMPLES: u64 = 480;
const BATCH: u32 = 16;
const EPOCHS: u64 = 10;
const STEPS: u64 = EPOCHS * SAMPLES / BATCH as u64;

/// What a training step takes: time for loaders to come and go.
const STEP: Duration = Duration::from_millis(4);

const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// What one loss may cost beyond the time in which it is noticed.
const RECOVERY: Duration = Duration::from_secs(2);

/// Seeds of the normal suite; `cargo xtask chaos` asks for more.
const SEEDS: u64 = 20;

fn spec(seed: u64) -> StreamSpec {
    // Every other seed goes without mixing, so that samples can be found by their content.
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha: 1.0,
        probability: 0.5,
        lambda_scope: LambdaScope::Sample,
        partner_source: PartnerSource::Dataset,
    };
    StreamSpec { seed, batch_size: BATCH, mixing: (seed % 2 == 1).then_some(mixing), ..StreamSpec::default() }
}

fn replicas() -> Replicas {
    Replicas::start(Path::new(env!("CARGO_BIN_EXE_mixfeed-loader")), &format!("synthetic:{SAMPLES}"))
}

/// Reads the whole stream; before each step, `act` may do something.
fn read(seed: u64, addresses: &[String], mut act: impl FnMut(u64)) -> (Vec<Batch>, Duration) {
    let loaders = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mut config = StreamConfig::new(loaders, spec(seed));
    config.end = StreamEnd::Epoch(EPOCHS);
    config.loader_timeout = Duration::from_secs(60);
    config.tuning.idle_timeout = IDLE_TIMEOUT;
    // Nothing may be fetched so far ahead that no loss is noticed.
    config.tuning.window_batches = 32;
    let mut stream = BlockingStream::open(config).unwrap();
    let started = Instant::now();
    let mut batches = Vec::new();
    for step in 0.. {
        act(step);
        let Some(batch) = stream.next() else { break };
        batches.push(batch.unwrap());
        // The step itself; nothing is waited for.
        std::thread::sleep(STEP);
    }
    (batches, started.elapsed())
}

/// The digests of all batches, computed without any loader.
fn golden(data: &Dataset, spec: &StreamSpec) -> Vec<[u8; 32]> {
    let checked = CheckedSpec::new(*spec, data).unwrap();
    let mut buffer = BatchBuffer::default();
    (0..STEPS)
        .map(|index| {
            let plan = BatchPlan::new(&checked, index);
            collate(&checked, &plan, data.train.as_ref(), &mut Scratch::default(), &mut buffer).unwrap();
            batch_digest(&BatchBytes {
                spec_digest: &mixfeed_proto::digest_of(spec),
                index,
                pixels: &buffer.pixels,
                labels: &buffer.labels,
                partner_labels: &buffer.partner_labels,
                lambdas: &buffer.lambdas,
            })
        })
        .collect()
}

/// Finds each sample once in each epoch, by its pixels.
fn check_samples(data: &Dataset, batches: &[Batch]) {
    let mut scratch = Vec::new();
    let numbers: HashMap<Vec<u8>, u64> =
        (0..SAMPLES).map(|n| (data.train.image(n, &mut scratch).unwrap().to_vec(), n)).collect();
    assert_eq!(numbers.len() as u64, SAMPLES, "all drawings differ");
    for epoch in 0..EPOCHS {
        let images =
            batches.iter().filter(|batch| batch.epoch == epoch).flat_map(|batch| batch.pixels.chunks(3072));
        let mut seen: Vec<_> = images.map(|image| numbers[image]).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..SAMPLES), "epoch {epoch}");
    }
}

#[test]
fn whatever_happens_to_loaders_each_batch_comes_once_in_order_with_the_same_bytes() {
    let seeds = std::env::var("MIXFEED_CHAOS_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let data = synthetic::dataset(SAMPLES);
    let calm = {
        let replicas = replicas();
        read(0, &replicas.addresses, |_| ()).1
    };
    let (mut kills, mut stops, mut worst) = (0, 0, Duration::ZERO);
    for seed in 0..seeds {
        let mut replicas = replicas();
        let addresses = replicas.addresses.clone();
        let mut chaos = Key::new(Seed(seed), Purpose::DRAWING).generator();
        let mut next = 10 + chaos.next_u64() % 40;
        let (batches, took) = read(seed, &addresses, |step| {
            if step == next {
                let (which, word) = (chaos.next_u64() % 4, chaos.next_u64());
                replicas.disturb(which as usize, word);
                next += 20 + chaos.next_u64() % 40;
            }
        });
        let came: Vec<_> = batches.iter().map(|batch| batch.index).collect();
        assert!(came.into_iter().eq(0..STEPS), "seed {seed}: each index once, in order");
        let digests: Vec<_> = batches.iter().map(Batch::digest).collect();
        assert!(digests == golden(&data, &spec(seed)), "seed {seed}: the same bytes");
        if spec(seed).mixing.is_none() {
            check_samples(&data, &batches);
        }
        // Starting a process is not the stream's time, though the stream goes on meanwhile.
        let lost = took.saturating_sub(calm + replicas.acting);
        let allowed = RECOVERY * replicas.kills + (IDLE_TIMEOUT + RECOVERY) * replicas.stops;
        assert!(
            lost <= allowed,
            "seed {seed}: lost {lost:?} to {} kills, {} stops",
            replicas.kills,
            replicas.stops
        );
        (kills, stops, worst) = (kills + replicas.kills, stops + replicas.stops, worst.max(lost));
    }
    assert!(kills > 0 && stops > 0, "{seeds} seeds killed {kills} and stopped {stops}");
    eprintln!("{seeds} seeds: {kills} kills, {stops} stops, at most {worst:?} lost against {calm:?} in calm");
}
