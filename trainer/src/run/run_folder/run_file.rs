//! `run.toml`: everything a run depends on, written down.

use super::RunFolderError;
use crate::config::{RunConfig, Settings};
use crate::machine::device;
use mixfeed_client::{Expected, StreamInfo, StreamSpec, classes_digest};
use mixfeed_proto::digest_of;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::Device;

/// The format of `run.toml` that this release writes.
pub const FORMAT: u32 = 1;

/// The contents of `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunFile {
    /// [`FORMAT`] of the release that wrote it; newer ones are refused.
    pub format: u32,
    /// That release.
    pub release: String,
    /// The commit it was built from.
    pub commit: String,
    /// Digest of `stream`, hexadecimal: the name of the stream in logs.
    pub spec_digest: String,
    /// Batches of an epoch.
    pub batches_per_epoch: u64,
    /// What was learnt from.
    pub dataset: DatasetRecord,
    /// What made the batches.
    pub algorithm: AlgorithmRecord,
    /// What computed.
    pub machine: MachineRecord,
    /// The stream of batches: with this and an index, any loader makes the same batch again.
    pub stream: StreamSpec,
    /// All settings, in the form that `--config` reads.
    pub settings: Settings,
}

/// A dataset, as a run records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DatasetRecord {
    /// Short readable name.
    pub name: String,
    /// Digest of its records, hexadecimal.
    pub digest: String,
    /// Number of training samples.
    pub train_samples: u64,
    /// Number of test samples.
    pub test_samples: u64,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Digests of the sets, with more records, that the run learnt from before: the batches that it learnt from are the
    /// same without those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// The records that are left out, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOutRecord>,
}

/// Records that are left out of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeftOutRecord {
    /// Digest of the set with them, hexadecimal.
    pub whole_digest: String,
    /// Training samples, by their numbers among all.
    pub train: Vec<u64>,
    /// Test samples.
    pub test: Vec<u64>,
}

/// An algorithm, as a run records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlgorithmRecord {
    /// Readable version.
    pub version: u32,
    /// Fingerprint, hexadecimal: what counts.
    pub fingerprint: String,
}

/// A machine, as a run records it: the same is needed for the same weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineRecord {
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads that compute.
    pub threads: usize,
    /// Type of processor.
    pub cpu: String,
    /// Which of its instructions libtorch computes with; empty in files of older releases.
    #[serde(default)]
    pub instructions: String,
}

impl RunFile {
    /// Writes down what is about to be run.
    #[must_use]
    pub fn of(config: &RunConfig, info: &StreamInfo, device: Device) -> Self {
        let hex = |digest: [u8; 32]| blake3::Hash::from(digest).to_string();
        RunFile {
            format: FORMAT,
            release: mixfeed_ops::build::RELEASE.to_owned(),
            commit: mixfeed_ops::build::COMMIT.to_owned(),
            spec_digest: hex(digest_of(&config.training.stream)),
            batches_per_epoch: info.batches_per_epoch,
            dataset: DatasetRecord {
                name: info.dataset.name.clone(),
                digest: hex(info.dataset.digest),
                train_samples: info.dataset.train_samples,
                test_samples: info.dataset.test_samples,
                classes: info.dataset.classes.clone(),
                earlier: Vec::new(),
                left_out: info.dataset.left_out.whole_digest.map(|whole| LeftOutRecord {
                    whole_digest: hex(whole),
                    train: info.dataset.left_out.train.clone(),
                    test: info.dataset.left_out.test.clone(),
                }),
            },
            algorithm: AlgorithmRecord {
                version: info.algorithm_version,
                fingerprint: hex(info.algorithm_fingerprint),
            },
            machine: MachineRecord {
                device: device::name(device),
                threads: config.threads,
                cpu: device::cpu_model(),
                instructions: device::instructions(),
            },
            stream: config.training.stream,
            settings: config.settings.clone(),
        }
    }

    /// The same as what goes on with `earlier`, whose checkpoints count.
    #[must_use]
    pub fn after(mut self, earlier: &RunFile) -> Self {
        self.dataset.earlier.clone_from(&earlier.dataset.earlier);
        if self.dataset.digest != earlier.dataset.digest {
            self.dataset.earlier.push(earlier.dataset.digest.clone());
        }
        self
    }

    /// Whether a checkpoint of this dataset is one of the run.
    #[must_use]
    pub fn learnt_from(&self, dataset_digest: &str) -> bool {
        dataset_digest == self.dataset.digest
            || self.dataset.earlier.iter().any(|earlier| earlier == dataset_digest)
    }

    /// As it is written.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub(crate) fn text(&self) -> Result<String, RunFolderError> {
        Ok(toml::to_string(self)?)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When it is no such file, or a newer release wrote it.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, RunFolderError> {
        let unreadable = |problem: &dyn std::fmt::Display| RunFolderError::Unreadable {
            path: path.to_owned(),
            problem: problem.to_string(),
        };
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| unreadable(&error.message()))?;
        // The format first: of a newer one nothing else need be readable.
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format > i64::from(FORMAT) => {
                return Err(RunFolderError::Newer { path: path.to_owned(), format });
            }
            Some(_) => {}
            None => return Err(unreadable(&"its format number is missing")),
        }
        let run: RunFile = table.try_into().map_err(|error: toml::de::Error| unreadable(&error.message()))?;
        if run.batches_per_epoch == 0 || run.expected().is_none() {
            return Err(unreadable(&"its digests or its number of batches are none"));
        }
        if blake3::Hash::from(digest_of(&run.stream)).to_string() != run.spec_digest {
            return Err(unreadable(&"its stream is not the one of its digest"));
        }
        Ok(run)
    }

    /// What loaders have to serve when the run goes on; none when the digests are not digests.
    #[must_use]
    pub fn expected(&self) -> Option<Expected> {
        let digest = |text: &str| blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes());
        Some(Expected {
            dataset_digest: digest(&self.dataset.digest)?,
            algorithm_fingerprint: digest(&self.algorithm.fingerprint)?,
            classes_digest: Some(classes_digest(&self.dataset.classes)),
        })
    }
}
