//! The only place that reads the environment.

#![allow(clippy::disallowed_methods)] // Tasks are told by flags; these variables are cargo's, torch's and the tests'.

use std::ffi::OsString;

/// Returns a variable, also an empty one.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
