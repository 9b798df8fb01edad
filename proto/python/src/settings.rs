//! The keywords of a stream: what it contains, and from where to where it is read.
//!
//! They are the flags of `mixfeed-trainer train` wherever it has the same setting, down to the spelling of values: clap
//! reads both. A table of TOML takes the names of the first half, as a settings file does.

use clap::{Args, Parser};
use merge::Merge;
use mixfeed_client::{AuditPolicy, AugmentationArgs, Remainder, RowShard, Split, StreamEnd, StreamSpec};
use mixfeed_ops::config::Duration;
use mixfeed_ops::grpc::{CredentialFiles, Credentials, TlsCredentials};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as Malformed, StrDeserializer};
use std::path::PathBuf;

/// Everything that a stream is told by keywords.
#[derive(Clone, Debug, Default, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) recipe: Recipe,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What the batches of a stream contain. What is not given is off.
#[derive(Args, Clone, Debug, Default, Deserialize, Merge, PartialEq)]
#[merge(strategy = merge::option::overwrite_none)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Recipe {
    /// Which part of the dataset: train or test [default: train]
    #[arg(long, value_parser = word::<Split>)]
    pub(crate) split: Option<Split>,
    /// Use only the first N samples, before shuffling
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// Batch size, in samples of all ranks together [default: 128]
    #[arg(long)]
    pub(crate) batch_size: Option<u32>,
    /// Random seed, of order, augmentation and mixing [default: 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Give each epoch its own order [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) shuffle: Option<bool>,
    /// The smaller last batch of an epoch: keep or drop it [default: keep]
    #[arg(long, value_parser = word::<Remainder>)]
    pub(crate) remainder: Option<Remainder>,
    /// Name the samples that each row is made of, as batch.samples [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) sample_ids: Option<bool>,
    #[command(flatten)]
    #[serde(flatten)]
    #[merge(strategy = Merge::merge)]
    pub(crate) augmentation: AugmentationArgs,
}

/// Which of the batches are read, and how the loaders are met.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Index of the first batch, counted from the start of training [default: 0]
    #[arg(long)]
    pub(crate) start: Option<u64>,
    /// End before the first batch of this epoch, counted from the start of training [default: no end]
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// End before the batch of this index, if that is earlier [default: no end]
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Rank of this process, which gets its rows of each batch, 0 to world - 1 [default: all rows]
    #[arg(long)]
    pub(crate) rank: Option<u32>,
    /// How many processes share each batch
    #[arg(long)]
    pub(crate) world: Option<u32>,
    /// How long to wait when no loader is available, with its unit, as in 90s [default: 10m]
    #[arg(long)]
    pub(crate) loader_timeout: Option<Duration>,
    /// Use TLS; trust loaders whose certificates are signed by a CA in this file (PEM)
    #[arg(long)]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Client certificate, for loaders that ask for one (PEM)
    #[arg(long)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long)]
    pub(crate) tls_key: Option<PathBuf>,
    /// File with the bearer token that loaders ask for
    #[arg(long)]
    pub(crate) auth_token_file: Option<PathBuf>,
    /// Audit: fetch one in N batches, drawn at random, from two loaders and compare them [default: 0, none]
    #[arg(long)]
    pub(crate) audit: Option<u64>,
    /// When loaders contradict each other: continue without the one that a third shows to be wrong, or stop [default: continue]
    #[arg(long, value_name = "continue|stop")]
    pub(crate) audit_policy: Option<AuditPolicy>,
}

/// A word as a settings file spells it.
fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Malformed> {
    let text: StrDeserializer<'_, Malformed> = text.into_deserializer();
    T::deserialize(text)
}

impl Settings {
    /// Reads keywords that were put as flags.
    pub(crate) fn read(flags: &[String]) -> Result<Self, clap::Error> {
        Self::try_parse_from(flags)
    }

    /// The flags that there are.
    pub(crate) fn command() -> clap::Command {
        <Self as clap::CommandFactory>::command()
    }

    /// The flag of this name, without its dashes.
    pub(crate) fn flag(name: &str) -> Option<clap::Arg> {
        Self::command().get_arguments().find(|flag| flag.get_long() == Some(name)).cloned()
    }
}

impl Recipe {
    /// The spec, with all rows.
    pub(crate) fn spec(self) -> Result<StreamSpec, String> {
        let plain = StreamSpec::default();
        let plain = StreamSpec {
            split: self.split.unwrap_or(plain.split),
            limit: self.limit.unwrap_or(plain.limit),
            batch_size: self.batch_size.unwrap_or(plain.batch_size),
            seed: self.seed.unwrap_or(plain.seed),
            shuffle: self.shuffle.unwrap_or(plain.shuffle),
            remainder: self.remainder.unwrap_or(plain.remainder),
            sample_ids: self.sample_ids.unwrap_or(plain.sample_ids),
            ..plain
        };
        // A keyword that does nothing is a mistake, as a flag is.
        let mut completed = self.augmentation.clone();
        completed.merge(AugmentationArgs::defaults());
        if let Some(idle) = self.augmentation.without_effect(&completed).into_iter().next() {
            return Err(idle);
        }
        let mixes = |alpha: Option<f64>| alpha.is_some_and(|alpha| alpha > 0.0);
        let flags = &self.augmentation;
        let is_said = flags.mixup_prob.is_some() || flags.mixup_schedule.is_some();
        if !is_said && (mixes(flags.mixup_alpha) || mixes(flags.cutmix_alpha)) {
            return Err(
                "--mixup-prob is missing: the probability that a sample is mixed, 1 for all".to_owned()
            );
        }
        self.augmentation.spec(plain)
    }
}

impl Reading {
    /// The rows of each batch that are read; none said is all.
    pub(crate) fn shard(&self) -> Result<Option<RowShard>, String> {
        match (self.rank, self.world) {
            (None, None) => Ok(None),
            (Some(rank), Some(world)) if rank < world => {
                // One stream has one digest.
                Ok((world > 1).then_some(RowShard { rank, world }))
            }
            (Some(rank), Some(world)) => Err(format!(
                "--rank is {rank}, it must be 0 to {}, less than --world",
                world.saturating_sub(1)
            )),
            _ => Err("--rank and --world go together".to_owned()),
        }
    }

    /// Where the client ends. That steps end earlier is known once the length of an epoch is.
    pub(crate) fn end(&self) -> StreamEnd {
        match (self.epochs, self.steps) {
            (Some(epochs), _) => StreamEnd::Epoch(epochs),
            (None, Some(steps)) => StreamEnd::Batch(steps),
            (None, None) => StreamEnd::Never,
        }
    }

    /// Reads the files of certificates and tokens.
    pub(crate) fn security(&self) -> Result<mixfeed_client::Security, String> {
        let files = CredentialFiles {
            tls_ca: self.tls_ca.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            auth_token: self.auth_token_file.clone(),
        };
        let Credentials { tls, token } = files.read().map_err(|error| error.to_string())?;
        let mut security = mixfeed_client::Security::default();
        if let Some(TlsCredentials { ca, identity }) = &tls {
            security = security.with_tls(ca, identity.as_ref().map(|(own, key)| (&**own, &**key)));
        }
        match token {
            Some(token) => security.with_token(token.expose()).map_err(|error| error.to_string()),
            None => Ok(security),
        }
    }
}
