//! Loaders killed, stopped, restarted and added while a model is trained: its weights never tell.
//!
//! What comes out of the stream meanwhile is judged in `loader/tests/it/chaos.rs`, batch by batch.

use crate::support::{Unwatched, loader_binary, run, small};
use mixfeed_loader::config::AugmentationArgs;
use mixfeed_testing::Replicas;
use mixfeed_trainer::config::Settings;
use mixfeed_trainer::learn::model::ModelKind;
use mixfeed_trainer::run::observer::{Observer, Step};
use std::time::{Duration, Instant};

const DATA: &str = "synthetic:4800";

/// What a step takes: time for loaders to come and go.
const STEP: Duration = Duration::from_millis(4);

/// Silence after which the trainer's client takes a loader for lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// What one loss may cost beyond the time in which it is noticed.
const RECOVERY: Duration = Duration::from_secs(2);

/// Seeds of the normal suite; `cargo xtask chaos` asks for more.
const SEEDS: u64 = 20;

/// Three hundred steps of a network that is as fast as its loaders.
fn settings() -> Settings {
    Settings {
        model: Some(ModelKind::Linear),
        limit: None,
        epochs: Some(1),
        batch_size: Some(16),
        augmentation: AugmentationArgs { mixup_prob: Some(0.5), ..AugmentationArgs::default() },
        // Threads that wait for each other would make time lost to a busy machine look lost to loaders.
        threads: Some(1),
        ..small()
    }
}

/// Strikes at seeded steps.
struct Fate {
    replicas: Replicas,
    /// State of splitmix64, all that is random here.
    state: u64,
    next: u64,
}

impl Fate {
    fn new(seed: u64) -> Self {
        let mut fate = Self { replicas: Replicas::start(&loader_binary(), DATA), state: seed, next: 0 };
        fate.next = 10 + fate.draw() % 40;
        fate
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Observer for Fate {
    fn stepped(&mut self, step: &Step) {
        if step.done == self.next {
            let (which, word) = (self.draw() % 4, self.draw());
            self.replicas.disturb(which as usize, word);
            self.next += 20 + self.draw() % 40;
        }
        std::thread::sleep(STEP);
    }
}

/// Sleeps through each step as [`Fate`] does.
struct Calm;

impl Observer for Calm {
    fn stepped(&mut self, _: &Step) {
        std::thread::sleep(STEP);
    }
}

#[test]
fn whatever_happens_to_loaders_the_weights_are_the_same() {
    let seeds = std::env::var("MIXFEED_CHAOS_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let embedded = Settings { data: Some(DATA.to_owned()), workers: Some(1), ..settings() };
    let golden = run(embedded, &mut Unwatched).outcome;
    assert_eq!(golden.steps, 300);
    let from = |addresses: &[String]| Settings { loaders: Some(addresses.to_vec()), ..settings() };
    let calm = {
        let replicas = Replicas::start(&loader_binary(), DATA);
        let started = Instant::now();
        run(from(&replicas.addresses), &mut Calm);
        started.elapsed()
    };
    let (mut kills, mut stops, mut worst) = (0, 0, Duration::ZERO);
    for seed in 0..seeds {
        let mut fate = Fate::new(seed);
        let addresses = fate.replicas.addresses.clone();
        let started = Instant::now();
        let outcome = run(from(&addresses), &mut fate).outcome;
        let lost = started.elapsed().saturating_sub(calm + fate.replicas.acting);
        assert_eq!(outcome.weights_digest, golden.weights_digest, "seed {seed}");
        assert!(
            (outcome.test_accuracy - golden.test_accuracy).abs() < f64::EPSILON
                && (outcome.train_loss - golden.train_loss).abs() < f64::EPSILON,
            "seed {seed}: {outcome:?}"
        );
        let Replicas { kills: killed, stops: stopped, .. } = fate.replicas;
        let allowed = RECOVERY * killed + (IDLE_TIMEOUT + RECOVERY) * stopped;
        assert!(lost <= allowed, "seed {seed}: lost {lost:?} to {killed} kills, {stopped} stops");
        (kills, stops, worst) = (kills + killed, stops + stopped, worst.max(lost));
    }
    assert!(kills > 0 && stops > 0, "{seeds} seeds killed {kills} and stopped {stops}");
    eprintln!("{seeds} seeds: {kills} kills, {stops} stops, at most {worst:?} lost against {calm:?} in calm");
}
