//! How a command fails: a line for a person, and the exit code, which is decided here.

use crate::embedded::LoaderError;
use crate::source::SourceError;
use mixfeed_ops::exit;
use mixfeed_pipeline::{SampleError, SpecError};
use std::fmt::Display;

/// Why a command failed: a line for a person, a code for a program.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }

    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(exit::USAGE, message)
    }

    pub(super) fn other(message: impl Display) -> Self {
        Self::new(exit::FAILURE, message)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::new(error.exit_code(), error)
    }
}

impl From<LoaderError> for Failure {
    fn from(error: LoaderError) -> Self {
        Self::new(error.exit_code(), error)
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::usage(error)
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        Self::new(exit::DATA, error)
    }
}
