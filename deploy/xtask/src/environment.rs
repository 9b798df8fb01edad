//! The only place that reads the environment.

#![allow(clippy::disallowed_methods)] // Tasks are told by flags; these variables are cargo's, torch's and the tests'.

use std::ffi::OsString;

/// Returns a variable, also an empty one.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Whether the environment promises that something is there, so that going without is a failure.
pub(crate) fn requires(need: &str) -> bool {
    let promised = variable("MIXFEED_REQUIRE").unwrap_or_default();
    promised.to_string_lossy().split(',').any(|name| name.trim() == need)
}
