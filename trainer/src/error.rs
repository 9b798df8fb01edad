//! Everything that ends a command before it is done, and the exit code each of them means.

use crate::config::UsageError;
use crate::learn::model::ModelError;
use crate::learn::tally::Diverged;
use crate::machine::device::DeviceError;
use crate::machine::stop::StopCause;
use crate::peers::GroupError;
use crate::predict::image_error::ImageError;
use crate::remote::RemoteError;
use crate::report::canvas::PictureError;
use crate::run::checkpoint::CheckpointError;
use crate::run::run_folder::RunFolderError;
use mixfeed_client::StreamError;
use mixfeed_loader::config::AugmentationArgs;
use mixfeed_loader::embedded::LoaderError;
use mixfeed_ops::config::ConfigError;
use mixfeed_ops::exit;
use mixfeed_ops::grpc::SecurityError;
use mixfeed_ops::logging::LoggingError;
use mixfeed_ops::metrics::MetricsError;
use std::borrow::Cow;
use std::io;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The settings file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs cannot be set up.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The metrics endpoint cannot be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The device cannot be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The GPU failed, or its memory is short.
    #[error("the GPU failed: {0} (if memory is short, a smaller --batch-size helps)")]
    Gpu(String),
    /// A certificate, a key or a token cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The loader inside this process cannot start.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The same, of a run that goes on.
    #[error("{0}; --data beside --resume says where the data is now")]
    LoaderOfRun(LoaderError),
    /// Batches do not come.
    #[error("{error}{remedy}", error = .0, remedy = remedy(.0))]
    Stream(#[from] StreamError),
    /// Some of the loaders that should be there are not.
    #[error("{missing} of {all} loaders cannot be used{remedy}")]
    LoadersMissing {
        /// Those that are not there, or refuse.
        missing: usize,
        /// All that were asked.
        all: usize,
        /// What to do about it, where it is not said of each.
        remedy: &'static str,
    },
    /// Loaders that should serve the same do not.
    #[error(
        "the loaders differ in {0}: a training would use those that agree with the first, and refuse the others"
    )]
    LoadersDiffer(&'static str),
    /// Loaders serve other data than a run learnt from so far, or compute otherwise.
    #[error("the run to resume was trained on dataset {dataset}; {detail}")]
    OtherData {
        /// Name of the run's dataset.
        dataset: String,
        /// What differs, for each loader.
        detail: String,
    },
    /// The group of trainers does not come about, or is no more.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// There is nothing to measure accuracy on.
    #[error(
        "dataset {0} has no test samples to measure accuracy on: --test-fraction 0.1 sets some of the training samples \
         apart, --test NAME chooses a split"
    )]
    NoTestSamples(String),
    /// The network cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An image file cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The loss is no finite number.
    #[error("training diverged: {0}; a smaller --lr may help")]
    Diverged(#[from] Diverged),
    /// The run folder cannot be used.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The end was asked for.
    #[error("stopped {0}")]
    Stopped(StopCause),
    /// Progress cannot be served, or that of another trainer not be read.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The operating system gives no threads or signal handlers.
    #[error("cannot start: {source}")]
    Threads {
        /// What the operating system said.
        source: io::Error,
    },
    /// A picture cannot be written.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A result cannot be written.
    #[error("cannot write {what}: {source}")]
    Write {
        /// What was being written.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What to do about a batch that cannot be made.
fn remedy(error: &StreamError) -> Cow<'static, str> {
    Cow::Borrowed(match error {
        StreamError::Refused { message, .. } => {
            return flag_of(message).map_or(Cow::Borrowed(""), |flag| format!(" ({flag})").into());
        }
        StreamError::DataLoss { .. } => {
            "; leave out what is damaged and --resume: `mixfeed-loader inspect --write-skip-list FILE` lists it, \
             --skip-list FILE or --bad-records skip (of the loaders, where they are processes of their own) leaves it out"
        }
        StreamError::DataChanged { .. } => {
            "; put back what the loaders started with and --resume, or restart them and begin anew"
        }
        StreamError::Convicted { .. } => {
            "; --resume goes on without that loader, from before the first batch that came from it alone"
        }
        StreamError::Undecided { .. } => {
            "; a third loader, or --audit-data with a copy of the data that you trust, decides who is wrong; \
             --audit-policy continue believes the one that --loaders names first"
        }
        _ => "",
    })
}

/// The flag behind a field of the stream spec that a loader refuses, as in "spec.limit: 9 is not allowed, …".
fn flag_of(refusal: &str) -> Option<&'static str> {
    match refusal.strip_prefix("spec.")?.split_once(": ")?.0 {
        "limit" => Some("--limit, or --test-limit for the test split"),
        "batch_size" => Some("--batch-size"),
        "shard.world" => {
            Some("fewer trainers, or another --batch-size, so that each has a row of an epoch's last batch")
        }
        field => AugmentationArgs::flag_of(field),
    }
}

impl TrainError {
    /// The exit code that this error means.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            TrainError::Usage(_) | TrainError::Config(_) | TrainError::Logging(_) => exit::USAGE,
            TrainError::Security(_) => exit::USAGE,
            TrainError::Metrics(_) => exit::FAILURE,
            TrainError::Device(_) | TrainError::Gpu(_) => exit::DEVICE,
            TrainError::Loader(error) | TrainError::LoaderOfRun(error) => error.exit_code(),
            TrainError::Stream(StreamError::NoLoader { .. }) => exit::NO_LOADER,
            TrainError::Stream(StreamError::Convicted { .. } | StreamError::Undecided { .. }) => {
                exit::CONTRADICTION
            }
            TrainError::Stream(StreamError::DataLoss { .. } | StreamError::DataChanged { .. }) => exit::DATA,
            TrainError::Stream(
                StreamError::Refused { .. } | StreamError::Mismatch { .. } | StreamError::Config(_),
            ) => exit::USAGE,
            TrainError::LoadersMissing { .. } => exit::NO_LOADER,
            TrainError::OtherData { .. } | TrainError::LoadersDiffer(_) => exit::USAGE,
            TrainError::Stream(_) => exit::FAILURE,
            TrainError::NoTestSamples(_) => exit::DATA,
            TrainError::Group(error) => error.exit_code(),
            TrainError::Model(_) | TrainError::Image(ImageError::Channels(_)) => exit::USAGE,
            TrainError::Image(_) => exit::DATA,
            TrainError::Diverged(_) => exit::DIVERGED,
            TrainError::RunFolder(error) if error.is_usage() => exit::USAGE,
            TrainError::RunFolder(error) if error.is_data() => exit::DATA,
            TrainError::Checkpoint(error) if error.is_usage() => exit::USAGE,
            TrainError::Checkpoint(error) if error.is_data() => exit::DATA,
            TrainError::RunFolder(_) | TrainError::Checkpoint(_) => exit::FAILURE,
            TrainError::Threads { .. } | TrainError::Picture(_) | TrainError::Write { .. } => exit::FAILURE,
            TrainError::Remote(error) if error.is_usage() => exit::USAGE,
            TrainError::Remote(_) => exit::FAILURE,
            TrainError::Stopped(StopCause::Signal(signal)) => signal.exit_code(),
            TrainError::Stopped(StopCause::Call) => exit::DONE,
        }
    }
}
