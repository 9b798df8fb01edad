//! What a checkpoint says about itself, as the JSON object in its file.

use crate::learn::model::{ModelKind, Problem};
use crate::learn::staging::Normalisation;
use crate::run::observer::Epoch;
use mixfeed_client::Output;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a checkpoint says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`](super::FORMAT) of the release that wrote it.
    pub format: u32,
    /// That release.
    pub release: String,
    /// Network.
    pub model: ModelKind,
    /// Size of the images, number of classes.
    pub problem: Problem,
    /// How pixels become numbers.
    pub normalisation: Normalisation,
    /// Rows of a batch that it was trained on, by which images are evaluated; 0 in files of releases that did not
    /// write it.
    #[serde(default)]
    pub batch_size: u32,
    /// Output size of the images and how they are resized to it; none where they were sent as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// Name of the dataset it learnt from.
    pub dataset: String,
    /// Digest of that dataset, hexadecimal.
    pub dataset_digest: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Fingerprint of the algorithm that made the batches, hexadecimal.
    pub algorithm_fingerprint: String,
    /// Digest of the stream of batches, hexadecimal.
    pub spec_digest: String,
    /// The settings that a run keeps, by name; none in files of releases that did not write them.
    #[serde(default)]
    pub recipe: BTreeMap<String, String>,
    /// Index of the next batch to train on: this, and nothing else, says where training stands.
    pub next_batch: u64,
    /// Sum of the losses of the samples of the unfinished epoch. An epoch is finished when its row
    /// is the last of `history`: after its evaluation, if it has one.
    pub loss_sum: f64,
    /// Number of these samples.
    pub loss_rows: u64,
    /// Time spent training in the unfinished epoch, by all processes that led here.
    pub epoch_seconds: f64,
    /// Part of it spent waiting for data.
    pub epoch_data_wait_seconds: f64,
    /// Loader replicas that delivered batches, at most to one process.
    pub replicas_seen: u64,
    /// The finished epochs, as in `metrics.csv`.
    pub history: Vec<Epoch>,
    /// Device, CPU threads and processor that computed: the same are needed for the same weights.
    pub device: String,
    /// See `device`.
    pub threads: usize,
    /// See `device`.
    pub cpu: String,
    /// Which of the processor's instructions libtorch computed with; empty in files of older releases.
    #[serde(default)]
    pub instructions: String,
    /// Digest of the parameters and buffers, as [`weights`](crate::learn::weights) defines it.
    pub weights_digest: String,
    /// The same over all tensors in the file, the optimiser's included: what finds damage.
    pub tensors_digest: String,
}
