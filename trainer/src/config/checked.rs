//! The settings of a run, complete and checked: what is here cannot be wrong.

use super::ranges::{filled, integer};
use super::recipe::{self, Recipe};
use super::{CheckpointEvery, Preset, Settings, access};
use crate::learn::model::ModelKind;
use crate::learn::staging::Normalisation;
use crate::machine::device::{self, DeviceChoice, Switches};
use crate::usage::UsageError;
use merge::Merge as _;
use mixfeed_client::{AuditPolicy, Endpoint, Split, StreamSpec};
use mixfeed_loader::config::AugmentationArgs;
use mixfeed_loader::source::Options;
use mixfeed_ops::config::Duration;
use mixfeed_ops::grpc::{Access, CredentialFiles};
use mixfeed_ops::logging::LogFormat;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Long enough to restart a whole fleet of loaders by hand.
const LOADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(600);

/// As PyTorch Lightning does: seldom enough to cost nothing, often enough to draw an epoch.
const LOG_EVERY: u64 = 50;

/// The largest batch in pieces of 64 rows: below that, more pieces only cost time.
const MAX_VIRTUAL_SHARDS: u32 = 1024;

/// Virtual shards of a run that a group begins: enough for eight trainers, and few enough that each is still a batch.
const GROUP_VIRTUAL_SHARDS: u32 = 8;

/// Of a loader inside this process, only troubles: the rest the client says already.
const LOG_FILTER: &str = "info,mixfeed_loader=warn";

/// How loaders are held against each other.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// One in so many batches is fetched from two loaders and compared; 0 for none.
    pub every: u64,
    /// What follows when loaders contradict each other.
    pub policy: AuditPolicy,
    /// A trusted copy of the data, if there is one.
    pub data: Option<String>,
}

/// A run, checked.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// What shapes the weights.
    pub training: Training,
    /// Where batches come from.
    pub source: Source,
    /// How long to wait while there is no loader at all.
    pub loader_timeout: std::time::Duration,
    /// Client credentials, and the trusted CA, for the loaders.
    pub credentials: CredentialFiles,
    /// How loaders are held against each other.
    pub audit: Audit,
    /// Whether what the run to resume has found out about its loaders is forgotten.
    pub forget_loaders: bool,
    /// Whether a run to resume must have computed as this process does.
    pub strict_machine: bool,
    /// Whether all batches are read before the first step.
    pub preload: bool,
    /// Where to compute.
    pub device: DeviceChoice,
    /// CPU threads that compute, at least 1.
    pub threads: usize,
    /// How GPUs compute.
    pub switches: Switches,
    /// The run folder, if one was named.
    pub output: Option<PathBuf>,
    /// The first so many test images are scored; 0 for all.
    pub test_limit: u64,
    /// The model is evaluated every so many epochs, at least 1, and after the last.
    pub evaluate_every: u64,
    /// Steps are told to TensorBoard every so many, at least 1.
    pub log_every: u64,
    /// How often a checkpoint is written besides at the end of each epoch.
    pub checkpoint_every: Option<CheckpointEvery>,
    /// Where progress is served, and the wish to end heard.
    pub listen: Option<SocketAddr>,
    /// Who may watch and end it.
    pub access: Access,
    /// Address of the metrics endpoint.
    pub metrics: Option<SocketAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
    /// All settings in force, in the form of a settings file.
    pub settings: Settings,
}

/// What shapes the weights: of two runs with the same, both end with the same weights (on the same
/// device and number of threads).
#[derive(Clone, Debug)]
pub struct Training {
    /// The recipe it started from.
    pub preset: Preset,
    /// Network.
    pub model: ModelKind,
    /// The checkpoint, or run folder, whose weights it begins with, if not with fresh ones.
    pub init_from: Option<PathBuf>,
    /// How it learns.
    pub recipe: Recipe,
    /// Pieces of a batch whose gradients are summed, each computed by itself: a power of two, at least 1.
    pub virtual_shards: u32,
    /// Passes through the samples, at least 1.
    pub epochs: u64,
    /// Steps after which to stop, if that is earlier; at least 1.
    pub steps: Option<u64>,
    /// How pixels become numbers around zero.
    pub normalisation: Normalisation,
    /// The batches.
    pub stream: StreamSpec,
}

/// Where batches come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Loader processes; at least one.
    Loaders(Vec<Endpoint>),
    /// A loader inside this process.
    Embedded {
        /// Folder, or `synthetic[:N]`.
        data: String,
        /// How it is read.
        options: Options,
        /// Worker threads; one per core when not given.
        workers: Option<usize>,
    },
}

impl Settings {
    /// These settings with what they leave open filled in: first by the preset, then by defaults.
    #[must_use]
    pub fn complete(mut self) -> Settings {
        let preset = self.preset.unwrap_or_default();
        let published = preset.settings();
        let optimizer = self.optimizer.or(published.optimizer).unwrap_or_default();
        let schedule = self.schedule.or(published.schedule).unwrap_or_default();
        self.merge(recipe::applicable(published, optimizer, schedule));
        self.merge(recipe::defaults(optimizer, schedule));
        self.merge(Settings {
            preset: Some(preset),
            seed: Some(0),
            loader_timeout: Some(Duration(LOADER_TIMEOUT)),
            augmentation: AugmentationArgs::defaults(),
            device: Some(DeviceChoice::default()),
            threads: Some(device::default_threads()),
            deterministic: Some(false),
            virtual_shards: Some(1),
            eval_every: Some(1),
            log_every: Some(LOG_EVERY),
            tf32: Some(true),
            log_format: Some(LogFormat::default()),
            log: Some(LOG_FILTER.to_owned()),
            ..Settings::default()
        });
        self
    }

    /// The same for a group of trainers, which share the virtual shards among them: so many, where nothing is said of it, that
    /// 1, 2, 4 and 8 trainers come to the same weights.
    #[must_use]
    pub fn of_group(self) -> Self {
        Settings { virtual_shards: self.virtual_shards.or(Some(GROUP_VIRTUAL_SHARDS)), ..self }
    }

    /// Completes and checks these settings.
    ///
    /// # Errors
    /// When a value is out of its range, or not exactly one of loaders and data is given.
    pub fn check(self) -> Result<RunConfig, UsageError> {
        let settings = self.complete();
        let all = settings.clone();
        let source = source(&settings)?;

        for (name, limit) in [("limit", settings.limit), ("test-limit", settings.test_limit)] {
            limit.map(|limit| integer(name, Some(limit), 1..=u64::MAX)).transpose()?;
        }
        if let Some(steps) = settings.steps {
            integer("steps", Some(steps), 1..=u64::MAX)?;
        }
        let plain = StreamSpec {
            split: Split::Train,
            limit: settings.limit.unwrap_or(0),
            // TOML has no larger integers, and a run folder has to be able to say what was run.
            seed: integer("seed", settings.seed, 0..=i64::MAX.cast_unsigned())?,
            batch_size: integer("batch-size", settings.batch_size, 1..=65_536)?,
            ..StreamSpec::default()
        };
        let stream = settings.augmentation.spec(plain).map_err(UsageError)?;
        Ok(RunConfig {
            training: Training {
                preset: settings.preset.unwrap_or_default(),
                model: filled("model", settings.model.clone())?,
                virtual_shards: virtual_shards(&settings)?,
                epochs: integer("epochs", settings.epochs, 1..=1 << 32)?,
                recipe: recipe::check(&settings)?,
                init_from: settings.init_from.clone(),
                steps: settings.steps,
                normalisation: Normalisation::default(),
                stream,
            },
            source,
            loader_timeout: filled("loader-timeout", settings.loader_timeout)?.get(),
            access: access::check(&settings)?,
            credentials: CredentialFiles {
                tls_ca: settings.tls_ca,
                tls_cert: settings.tls_cert,
                tls_key: settings.tls_key,
                auth_token: settings.auth_token_file,
            },
            audit: Audit {
                every: settings.audit.unwrap_or(0),
                policy: settings.audit_policy.unwrap_or_default(),
                data: settings.audit_data,
            },
            forget_loaders: settings.forget_loaders.unwrap_or_default(),
            strict_machine: settings.strict_machine.unwrap_or_default(),
            preload: settings.preload.unwrap_or_default(),
            device: settings.device.unwrap_or_default(),
            threads: integer("threads", settings.threads, 1..=1024)?,
            switches: Switches {
                deterministic: filled("deterministic", settings.deterministic)?,
                tf32: filled("tf32", settings.tf32)?,
            },
            output: settings.output,
            test_limit: settings.test_limit.unwrap_or(0),
            evaluate_every: integer("eval-every", settings.eval_every, 1..=1 << 32)?,
            log_every: integer("log-every", settings.log_every, 1..=1 << 32)?,
            checkpoint_every: settings.checkpoint_every,
            listen: settings.listen,
            metrics: settings.metrics,
            log_format: settings.log_format.unwrap_or_default(),
            log: filled("log", settings.log)?,
            settings: all,
        })
    }
}

/// A power of two, as a binary tree over them needs, and no more than a batch has rows.
fn virtual_shards(settings: &Settings) -> Result<u32, UsageError> {
    let most = settings.batch_size.unwrap_or(1).clamp(1, MAX_VIRTUAL_SHARDS);
    let shards = integer("virtual-shards", settings.virtual_shards, 1..=most)?;
    if shards.is_power_of_two() {
        return Ok(shards);
    }
    Err(UsageError(format!("--virtual-shards is {shards}, it must be a power of two: 1, 2, 4, 8, …")))
}

fn source(settings: &Settings) -> Result<Source, UsageError> {
    match (&settings.loaders, &settings.data) {
        (Some(_), Some(_)) => Err(UsageError("give either --loaders or --data, not both".to_owned())),
        (None, None) => Err(UsageError(
            "no data: give --loaders ADDR,… or --data WHERE (a folder, or synthetic)".to_owned(),
        )),
        (Some(loaders), None) => {
            if settings.workers.is_some() {
                let text = "--workers is for a loader inside this process (--data), not for --loaders";
                return Err(UsageError(text.to_owned()));
            }
            if let Some(flag) = settings.source.first_flag() {
                return Err(UsageError(format!(
                    "{flag} is for a loader inside this process (--data): those of --loaders have their own"
                )));
            }
            let endpoints = loaders
                .iter()
                .filter(|text| !text.trim().is_empty())
                .map(|text| text.trim().parse().map_err(|error| UsageError(format!("--loaders: {error}"))));
            let endpoints: Vec<Endpoint> = endpoints.collect::<Result<_, _>>()?;
            if endpoints.is_empty() {
                return Err(UsageError("--loaders names no loader".to_owned()));
            }
            Ok(Source::Loaders(endpoints))
        }
        (None, Some(data)) => {
            if let Some(workers) = settings.workers {
                integer("workers", Some(workers), 1..=1024)?;
            }
            let audits = settings.audit.is_some_and(|every| every > 0);
            let decides = settings.audit_policy.is_some() || settings.audit_data.is_some();
            if audits || decides {
                return Err(UsageError("--audit compares loaders: it needs --loaders".to_owned()));
            }
            let options = settings.source.options().map_err(UsageError)?;
            Ok(Source::Embedded { data: data.clone(), options, workers: settings.workers })
        }
    }
}

#[cfg(test)]
mod tests;
