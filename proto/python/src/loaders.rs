//! Loaders as they may be given: a text with commas, a sequence of texts, or whoever has `addresses`.

use crate::{errors, logs};
use mixfeed_client::{Endpoint, EndpointError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::path::Path;

/// The addresses.
pub(crate) fn endpoints(loaders: &Bound<'_, PyAny>) -> PyResult<Vec<Endpoint>> {
    let py = loaders.py();
    let parsed = texts(loaders)?.into_iter().map(|text| {
        if is_data(&text) {
            return Err(data(py, &text));
        }
        text.parse().map_err(|error: EndpointError| errors::settings(py, &error.to_string()))
    });
    parsed.collect()
}

/// The addresses as texts, each of which is one.
#[pyfunction]
pub(crate) fn addresses(loaders: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    Ok(endpoints(loaders)?.iter().map(ToString::to_string).collect())
}

/// Says of loaders of this machine that they have a transform, which a stream does not ask for.
pub(crate) fn warn_of_transform(loaders: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(transform) = loaders.getattr_opt("custom_augmentation")?.filter(|it| !it.is_none()) else {
        return Ok(());
    };
    let text = format!(
        "the loaders have the transform {transform}, and this stream does not ask for it: custom_augmentation=\"{transform}\" does"
    );
    logs::client(loaders.py())?.call_method1("warning", ("%s", text))?;
    Ok(())
}

/// The error of who reads from loaders of this machine that were closed.
pub(crate) fn closed(py: Python<'_>) -> PyErr {
    errors::named(py, "ClosedError", "the loaders of this machine were closed")
}

fn texts(loaders: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let py = loaders.py();
    if let Some(closed) = loaders.getattr_opt("closed")?
        && closed.is_truthy()?
    {
        return Err(self::closed(py));
    }
    if let Some(path) = loaders.getattr_opt("__fspath__")? {
        return Err(data(py, &path.call0()?.extract::<String>()?));
    }
    let given = loaders.getattr_opt("addresses")?.unwrap_or_else(|| loaders.clone());
    let texts: Vec<String> = if given.is_instance_of::<PyString>() {
        given.extract::<String>()?.split(',').map(str::to_owned).collect()
    } else {
        let texts = given.try_iter().and_then(|each| each.map(|text| text?.extract()).collect());
        texts.map_err(|_not_texts: PyErr| {
            let given = given.repr().map_or_else(|_| String::new(), |text| text.to_string());
            PyTypeError::new_err(format!(
                "loaders is {given}, it takes addresses (\"10.0.0.7:50051\", or a list of them) or what mixfeed.local gives"
            ))
        })?
    };
    let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    Ok(texts.map(str::to_owned).collect())
}

/// Whether a text names data rather than who serves it.
fn is_data(text: &str) -> bool {
    let is_path = text.contains('/') && !text.contains("://") && !text.starts_with("unix:");
    is_path || text.starts_with("synthetic:") || Path::new(text).exists()
}

fn data(py: Python<'_>, text: &str) -> PyErr {
    errors::settings(
        py,
        &format!("`{text}` is data and no address of a loader: mixfeed.local({text:?}) starts loaders of it"),
    )
}
