//! Real loader processes, killed, stopped, restarted and added while a stream is read.
//!
//! What comes out is judged by a checker that never talks to a loader: it computes each batch with
//! the pipeline itself, and finds each sample by its content. Most streams are of drawings of one size, some of photographs
//! of many.

use crate::photographs::{photographs, training};
use image::ImageFormat;
use mixfeed_client::{
    Batch, BlockingStream, LambdaScope, Mixing, MixingKind, MixingSchedule, PartnerSource, StreamConfig,
    StreamEnd, StreamSpec,
};
use mixfeed_loader::source;
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
const STEPS: u64 = 300;

/// Of which every fifth stream is.
const PHOTOGRAPHS: u32 = 64;

/// What a training step takes: time for loaders to come and go.
const STEP: Duration = Duration::from_millis(4);

const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// What one loss may cost beyond the time in which it is noticed.
const RECOVERY: Duration = Duration::from_secs(2);

/// Seeds of the normal suite; `cargo xtask chaos` asks for more.
const SEEDS: u64 = 20;

/// What streams are of.
struct Set {
    /// As `--data` takes it.
    place: String,
    data: Dataset,
    spec: fn(u64) -> StreamSpec,
}

impl Set {
    fn drawings() -> Self {
        Self { place: format!("synthetic:{SAMPLES}"), data: synthetic::dataset(SAMPLES), spec: of_drawings }
    }

    /// Of the JPEG files in a folder.
    fn photographs(place: &Path) -> Self {
        let place = place.to_str().unwrap().to_owned();
        Self { data: source::open(&place.parse().unwrap()).unwrap(), place, spec: of_photographs }
    }

    fn replicas(&self) -> Replicas {
        Replicas::start(Path::new(env!("CARGO_BIN_EXE_mixfeed-loader")), &self.place)
    }

    fn epochs(&self) -> u64 {
        STEPS * u64::from(BATCH) / self.data.train.count()
    }
}

fn of_drawings(seed: u64) -> StreamSpec {
    // Every other seed goes without mixing, so that samples can be found by their content.
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha: 1.0,
        probability: 0.5,
        lambda_scope: LambdaScope::Sample,
        partner_source: PartnerSource::Dataset,
    };
    let (mixing, label_noise) = if seed % 2 == 1 { (Some(mixing), 0.3) } else { (None, 0.0) };
    // Of these, every other one stops mixing after an epoch.
    let mixing_schedule = if seed % 4 == 1 { MixingSchedule::once(1, None) } else { MixingSchedule::NONE };
    StreamSpec { seed, batch_size: BATCH, mixing, mixing_schedule, label_noise, ..StreamSpec::default() }
}

/// Of a size that the stream names; no two of the files have the same.
fn of_photographs(seed: u64) -> StreamSpec {
    StreamSpec { seed, batch_size: BATCH, ..training(48) }
}

/// Reads the whole stream; before each step, `act` may do something.
fn read(set: &Set, seed: u64, addresses: &[String], mut act: impl FnMut(u64)) -> (Vec<Batch>, Duration) {
    let loaders = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mut config = StreamConfig::new(loaders, (set.spec)(seed));
    config.end = StreamEnd::Epoch(set.epochs());
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

/// The digests of the first batches, computed without any loader.
pub(crate) fn golden(data: &Dataset, spec: &StreamSpec, batches: u64) -> Vec<[u8; 32]> {
    let checked = CheckedSpec::new(*spec, data).unwrap();
    let samples = data.samples(spec.split).as_ref();
    let mut buffer = BatchBuffer::default();
    (0..batches)
        .map(|index| {
            let plan = BatchPlan::new(&checked, index);
            collate(&checked, &plan, samples, &mut Scratch::default(), &mut buffer).unwrap();
            batch_digest(&BatchBytes {
                spec_digest: &mixfeed_proto::digest_of(spec),
                index,
                pixels: &buffer.pixels,
                labels: &buffer.labels,
                partner_labels: &buffer.partner_labels,
                lambdas: &buffer.lambdas,
                samples: &buffer.samples,
            })
        })
        .collect()
}

/// Finds each sample once in each epoch, by its pixels.
fn check_samples(set: &Set, batches: &[Batch]) {
    let data = &set.data;
    let mut scratch = Vec::new();
    let numbers: HashMap<Vec<u8>, u64> =
        (0..SAMPLES).map(|n| (data.train.image(n, &mut scratch).unwrap().to_vec(), n)).collect();
    assert_eq!(numbers.len() as u64, SAMPLES, "all drawings differ");
    for epoch in 0..set.epochs() {
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
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path(), "train", PHOTOGRAPHS, 60, &[ImageFormat::Jpeg]);
    let sets = [Set::drawings(), Set::photographs(folder.path())];
    let calm = sets.each_ref().map(|set| {
        let replicas = set.replicas();
        read(set, 0, &replicas.addresses, |_| ()).1
    });
    let (mut kills, mut stops, mut worst) = (0, 0, Duration::ZERO);
    for seed in 0..seeds {
        let (set, calm) = if seed % 5 == 4 { (&sets[1], calm[1]) } else { (&sets[0], calm[0]) };
        let mut replicas = set.replicas();
        let addresses = replicas.addresses.clone();
        let mut chaos = Key::new(Seed(seed), Purpose::DRAWING).generator();
        let mut next = 10 + chaos.next_u64() % 40;
        let (batches, took) = read(set, seed, &addresses, |step| {
            if step == next {
                let (which, word) = (chaos.next_u64() % 4, chaos.next_u64());
                replicas.disturb(which as usize, word);
                next += 20 + chaos.next_u64() % 40;
            }
        });
        let came: Vec<_> = batches.iter().map(|batch| batch.index).collect();
        assert!(came.into_iter().eq(0..STEPS), "seed {seed}: each index once, in order");
        let digests: Vec<_> = batches.iter().map(Batch::digest).collect();
        let spec = (set.spec)(seed);
        assert!(digests == golden(&set.data, &spec, STEPS), "seed {seed}: the same bytes");
        if spec.mixing.is_none() {
            check_samples(set, &batches);
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
