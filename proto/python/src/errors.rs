//! Errors of the client as the exceptions that `mixfeed/errors.py` defines.

use mixfeed_client::StreamError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The exception of this name with this text.
pub(crate) fn named(py: Python<'_>, name: &str, text: &str) -> PyErr {
    let made = || py.import("mixfeed.errors")?.getattr(name)?.call1((text,));
    // Without its own package there is nothing better to raise.
    made().map_or_else(|_missing| PyRuntimeError::new_err(text.to_owned()), PyErr::from_value)
}

/// Settings that make no sense.
pub(crate) fn settings(py: Python<'_>, text: &str) -> PyErr {
    named(py, "SettingsError", &in_python(text))
}

/// What ended a stream.
pub(crate) fn stream(py: Python<'_>, error: &StreamError) -> PyErr {
    let (name, index) = match error {
        StreamError::NoLoader { .. } => ("NoLoaderError", None),
        StreamError::Refused { .. } => ("RefusedError", None),
        StreamError::Mismatch { .. } => ("MismatchError", None),
        StreamError::DataLoss { index, .. } => ("DataLossError", Some(*index)),
        StreamError::DataChanged { index, .. } => ("DataChangedError", Some(*index)),
        StreamError::Convicted { .. } => ("ContradictionError", None),
        StreamError::Undecided { index, .. } => ("ContradictionError", Some(*index)),
        StreamError::Interrupted => ("ClosedError", None),
        StreamError::Config(text) => return settings(py, text),
        _ => ("Error", None),
    };
    let raised = named(py, name, &in_python(&error.to_string()));
    if let Some(index) = index {
        // An exception that takes no attribute says the index in its text.
        let _ = raised.value(py).setattr("index", index);
    }
    raised
}

/// Names flags as the keywords that they are here: `--batch-size` as `batch_size`.
pub(crate) fn in_python(text: &str) -> String {
    let mut parts = text.split("--");
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        // Two dashes in front of anything else are two dashes.
        if name.is_empty() {
            said.push_str("--");
        }
        said.push_str(&name.replace('-', "_"));
        said.push_str(rest);
    }
    said
}
