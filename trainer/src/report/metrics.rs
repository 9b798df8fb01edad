//! The trainer's metrics, all of them, for Prometheus.
//!
//! | name | type | meaning |
//! |---|---|---|
//! | `mixfeed_trainer_steps_total` | counter | steps done |
//! | `mixfeed_trainer_images_total` | counter | training images |
//! | `mixfeed_trainer_step_seconds` | histogram | time of a step, the wait for its batch included |
//! | `mixfeed_trainer_data_wait_seconds_total` | counter | time spent waiting for batches |
//! | `mixfeed_trainer_train_loss` | gauge | mean loss of the epoch so far |
//! | `mixfeed_trainer_test_accuracy` | gauge | share of the test images that was right, 0 to 1 |
//! | `mixfeed_trainer_test_loss` | gauge | mean loss over the test images |
//! | `mixfeed_trainer_epoch` | gauge | epochs finished |
//! | `mixfeed_trainer_loaders_wanted` | gauge | loader replicas that would remove the wait of the last seconds |
//! | `mixfeed_trainer_saved_timestamp_seconds` | gauge | when the last checkpoint was written, or training began |
//! | `mixfeed_trainer_diverged` | gauge | 1 once a loss was no finite number, which ends training |
//! | `mixfeed_trainer_tasks` | gauge | tasks that read from loaders: as many as before once a loader is gone |
//! | `mixfeed_trainer_refused_connections_total` | counter | connections that `--listen` did not take, by `reason` |
//!
//! Those of the stream (`mixfeed_client_…`) come from the client.

use crate::report::pace::{Pace, loaders_wanted};
use crate::run::observer::{Epoch, Observer, Start, Step};
use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{Unit, gauge, histogram};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a training that diverged waits for a scrape before its process ends: Prometheus' own interval, a minute, and a bit.
const LAST_SCRAPE: Duration = Duration::from_secs(65);

/// Handles to every metric of the trainer.
pub struct TrainerMetrics {
    steps: Counter,
    images: Counter,
    step_seconds: Histogram,
    /// Only ever grows; the type is a gauge because counters hold whole numbers only.
    data_wait_seconds: Gauge,
    train_loss: Gauge,
    test_accuracy: Gauge,
    test_loss: Gauge,
    epoch: Gauge,
    loaders_wanted: Gauge,
    pace: Pace,
}

impl TrainerMetrics {
    /// Registers them with whatever recorder is installed.
    #[must_use]
    pub fn register() -> Self {
        describe_counter!(STEPS, "Steps done.");
        describe_counter!(IMAGES, "Training images.");
        describe_histogram!(STEP_SECONDS, Unit::Seconds, "Time of a step, the wait for its batch included.");
        describe_gauge!(DATA_WAIT_SECONDS, Unit::Seconds, "Time spent waiting for batches.");
        describe_gauge!(TRAIN_LOSS, "Mean loss of the epoch so far.");
        describe_gauge!(TEST_ACCURACY, "Share of the test images that was right, 0 to 1.");
        describe_gauge!(TEST_LOSS, "Mean loss over the test images.");
        describe_gauge!(EPOCH, "Epochs finished.");
        describe_gauge!(SAVED, Unit::Seconds, "When the last checkpoint was written, or training began.");
        describe_gauge!(DIVERGED, "1 once a loss was no finite number.");
        // There from the start, so that a rule has something to look at.
        gauge!(DIVERGED).set(0.0);
        describe_gauge!(LOADERS_WANTED, "Loader replicas that would remove the wait of the last seconds.");
        TrainerMetrics {
            steps: counter!(STEPS),
            images: counter!(IMAGES),
            step_seconds: histogram!(STEP_SECONDS),
            data_wait_seconds: gauge!(DATA_WAIT_SECONDS),
            train_loss: gauge!(TRAIN_LOSS),
            test_accuracy: gauge!(TEST_ACCURACY),
            test_loss: gauge!(TEST_LOSS),
            epoch: gauge!(EPOCH),
            loaders_wanted: gauge!(LOADERS_WANTED),
            pace: Pace::new(),
        }
    }
}

const STEPS: &str = "mixfeed_trainer_steps_total";
const IMAGES: &str = "mixfeed_trainer_images_total";
const STEP_SECONDS: &str = "mixfeed_trainer_step_seconds";
const DATA_WAIT_SECONDS: &str = "mixfeed_trainer_data_wait_seconds_total";
const TRAIN_LOSS: &str = "mixfeed_trainer_train_loss";
const TEST_ACCURACY: &str = "mixfeed_trainer_test_accuracy";
const TEST_LOSS: &str = "mixfeed_trainer_test_loss";
const EPOCH: &str = "mixfeed_trainer_epoch";
const LOADERS_WANTED: &str = "mixfeed_trainer_loaders_wanted";
const SAVED: &str = "mixfeed_trainer_saved_timestamp_seconds";
const DIVERGED: &str = "mixfeed_trainer_diverged";
pub(crate) const TASKS: &str = "mixfeed_trainer_tasks";
pub(crate) const REFUSED_CONNECTIONS: &str = "mixfeed_trainer_refused_connections_total";

/// Takes note that all steps so far are kept.
pub(crate) fn saved() {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(SAVED).set(since_epoch.as_secs_f64());
}

/// Tells that training has diverged, and gives who scrapes the time to see it, as long as `go_on` says: the process
/// ends next, and with it what it tells.
pub(crate) fn diverged(go_on: impl Fn() -> bool) {
    gauge!(DIVERGED).set(1.0);
    tracing::info!(at_most_seconds = LAST_SCRAPE.as_secs(), "waiting until metrics were scraped once more");
    mixfeed_ops::metrics::wait_for_scrape(LAST_SCRAPE, go_on);
}

impl Observer for TrainerMetrics {
    fn started(&mut self, start: &Start) {
        let stream = &start.stream;
        mixfeed_ops::metrics::tell_build(&stream.algorithm_fingerprint);
        mixfeed_ops::metrics::tell_dataset(&stream.dataset.name, &stream.dataset.digest);
        mixfeed_ops::metrics::set_ready(true);
        saved();
    }

    fn stepped(&mut self, step: &Step) {
        self.steps.increment(1);
        self.images.increment(step.rows as u64);
        self.step_seconds.record(step.time.as_secs_f64());
        self.data_wait_seconds.increment(step.waited.as_secs_f64());
        let recent = self.pace.step(step);
        self.loaders_wanted.set(loaders_wanted(step.replicas, recent.data_wait_ratio));
        let loss = step.losses.mean();
        if loss.is_finite() {
            self.train_loss.set(loss);
        }
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.train_loss.set(epoch.train_loss);
        for (gauge, value) in [(&self.test_accuracy, epoch.test_accuracy), (&self.test_loss, epoch.test_loss)]
        {
            value.into_iter().for_each(|value| gauge.set(value));
        }
        self.epoch.set(epoch.epoch);
    }
}
