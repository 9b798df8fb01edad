//! The settings of one stream, with the reason of each default.

use crate::audit::AuditPolicy;
use crate::endpoint::Endpoint;
use crate::error::StreamError;
use crate::history::LoaderHistory;
use crate::interrupt::Interrupt;
use crate::security::Security;
use mixfeed_proto::limits;
use mixfeed_streamspec::StreamSpec;
use std::time::Duration;

/// What to read, from where, and how patiently.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Where the loaders are. The first one that can be had decides which data is read.
    pub loaders: Vec<Endpoint>,
    /// What is read.
    pub spec: StreamSpec,
    /// Index of the first batch.
    pub start: u64,
    /// Where the stream ends.
    pub end: StreamEnd,
    /// How long to wait while no loader delivers anything or gets on with a batch.
    pub loader_timeout: Duration,
    /// Random id of the run, for the logs of both sides; printable ASCII, may be empty.
    pub run_id: String,
    /// What the loaders must serve, as an earlier part of the same run saw it.
    pub expected: Option<Expected>,
    /// How loaders are spoken to, and how this side proves itself.
    pub security: Security,
    /// Ends the stream from outside, as on a signal.
    pub interrupt: Interrupt,
    /// What is known of the loaders; shared by all streams of one run.
    pub history: LoaderHistory,
    /// A loader of this machine that is trusted, and spoken to in plain text: where others contradict each other, its answer
    /// decides. It is asked for nothing else but a second opinion where no other loader can give one.
    pub arbiter: Option<Endpoint>,
    /// Bounds and periods that rarely need a change.
    pub tuning: Tuning,
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamEnd {
    /// Before the first batch of this epoch.
    Epoch(u64),
    /// Before this batch.
    Batch(u64),
    /// Nowhere.
    Never,
}

/// What the loaders must serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expected {
    /// Digest of the dataset.
    pub dataset_digest: [u8; 32],
    /// Fingerprint of the algorithm that makes batches.
    pub algorithm_fingerprint: [u8; 32],
    /// [`DatasetInfo::classes_digest`](crate::DatasetInfo::classes_digest), where it is known.
    pub classes_digest: Option<[u8; 32]>,
}

/// Bounds and periods of a stream; as text, periods are in seconds.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tuning {
    /// How long a replica may owe batches and send none before its work is given to others. Building
    /// one batch takes milliseconds; three seconds of silence are a stopped process or a dead link.
    /// The time doubles, up to sixteenfold, for a replica that falls silent again and again.
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// How long connecting, `Describe` and opening a stream may take, each.
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    /// Longest pause between two attempts to connect. Half of it is how late a replica that is
    /// back is noticed, on average.
    #[serde(deserialize_with = "seconds")]
    pub retry_cap: Duration,
    /// Pause between two look-ups of a `dns:///` name.
    #[serde(deserialize_with = "seconds")]
    pub resolve_interval: Duration,
    /// How long the choice of the dataset waits for loaders that have not answered, so that it is
    /// made by the order in which they were given and not by a race.
    #[serde(deserialize_with = "seconds")]
    pub choose_within: Duration,
    /// Batches that may be asked for or wait for their turn, at most.
    pub window_batches: u64,
    /// Bytes of the batches that may be asked for or wait for their turn, at most. At least two
    /// batches are always allowed.
    pub window_bytes: u64,
    /// Bytes of the batches that one replica may owe, at most. At least one is always allowed.
    pub replica_bytes: u64,
    /// Batches that are ready for the consumer. They hide the hand-over between threads; the window
    /// behind them hides the loaders' latency.
    pub queue_batches: usize,
    /// Bytes that one replica may have on the way unread (HTTP/2 window). A cap on its throughput is
    /// this over the round trip: 1 MiB allows 1 GB/s at one millisecond. Twice as much was no faster on one
    /// host, and batches came in longer bursts.
    pub receive_window_bytes: u32,
    /// Replicas at most, however many a name resolves to.
    pub max_replicas: usize,
    /// Whether a late batch near the head of the line is asked of a second replica.
    pub hedge: bool,
    /// One in so many batches, drawn at random, is fetched from two replicas and compared; 0 for none.
    pub audit_every: u64,
    /// What follows when replicas contradict each other.
    pub audit_policy: AuditPolicy,
    /// How long a replica is left alone after its first bad batch; four times longer after each
    /// further one that sound batches have not paid off. When it is the only one, it is tried again after a second.
    #[serde(deserialize_with = "seconds")]
    pub quarantine: Duration,
    /// How long every replica must find a record changed or removed, at least, before the stream is given up: it may
    /// be put back. (Damage is given up at once, and what cannot be read now not before the loaders' timeout.)
    #[serde(deserialize_with = "seconds")]
    pub changed_for: Duration,
    /// Whether first connections and refusals are logged for debugging only, as suits a stream that is
    /// opened again and again beside one that said so.
    pub quiet: bool,
}

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let seconds = <f64 as serde::Deserialize>::deserialize(from)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(5),
            retry_cap: Duration::from_secs(4),
            resolve_interval: Duration::from_secs(3),
            choose_within: Duration::from_secs(1),
            window_batches: 4096,
            window_bytes: 256 << 20,
            replica_bytes: 64 << 20,
            queue_batches: 2,
            receive_window_bytes: 1 << 20,
            max_replicas: 4096,
            hedge: true,
            audit_every: 0,
            audit_policy: AuditPolicy::Continue,
            quarantine: Duration::from_secs(30),
            changed_for: Duration::from_secs(30),
            quiet: false,
        }
    }
}

impl StreamConfig {
    /// Returns the settings that read `spec` from `loaders` from the first batch on, without end.
    #[must_use]
    pub fn new(loaders: Vec<Endpoint>, spec: StreamSpec) -> Self {
        Self {
            loaders,
            spec,
            start: 0,
            end: StreamEnd::Never,
            loader_timeout: Duration::from_secs(600),
            run_id: String::new(),
            expected: None,
            security: Security::default(),
            interrupt: Interrupt::default(),
            history: LoaderHistory::default(),
            arbiter: None,
            tuning: Tuning::default(),
        }
    }

    /// Checks what can be checked without a loader.
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        let fault = if self.loaders.is_empty() {
            "no loader is given".to_owned()
        } else if self.spec.batch_size == 0 || self.spec.batch_size > limits::MAX_BATCH_SIZE {
            format!("batch size {} is not within 1 to {}", self.spec.batch_size, limits::MAX_BATCH_SIZE)
        } else if self.spec.shard.is_some_and(|shard| shard.rank >= shard.world) {
            "the rank of the row shard is not below its world".to_owned()
        } else if self.run_id.len() > limits::MAX_RUN_ID_CHARS
            || !self.run_id.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            format!("the run id is not printable ASCII of at most {} characters", limits::MAX_RUN_ID_CHARS)
        } else if self.arbiter.as_ref().is_some_and(Endpoint::is_name) {
            "the arbiter is one loader, not a name of several".to_owned()
        } else if matches!(self.end, StreamEnd::Batch(end) if end < self.start) {
            format!("the stream ends before its start, batch {}", self.start)
        } else {
            return Ok(());
        };
        Err(StreamError::Config(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_periods_are_read_from_text() {
        let tuning: Tuning = toml::from_str("hedge = false\nquarantine = 5\nidle-timeout = 0.25\n").unwrap();
        assert_eq!((tuning.hedge, tuning.quarantine), (false, Duration::from_secs(5)));
        assert_eq!(tuning.idle_timeout, Duration::from_millis(250));
        assert_eq!(tuning.queue_batches, Tuning::default().queue_batches, "the rest is as ever");
        for wrong in ["hedges = true", "quarantine = -1", "idle-timeout = \"3s\""] {
            assert!(toml::from_str::<Tuning>(wrong).is_err(), "{wrong}");
        }
    }
}
