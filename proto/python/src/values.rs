//! Values of Python's on their way in: keywords as flags, tables as TOML.

use crate::errors;
use crate::settings::Settings;
use clap::error::ErrorKind;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::{Table, Value};

/// Reads the keywords of a stream.
pub(crate) fn settings(py: Python<'_>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Settings> {
    let mut flags = Vec::new();
    for (name, value) in keywords.into_iter().flatten() {
        let name = name.extract::<String>()?.replace('_', "-");
        flags.extend(flag(&name, &value)?);
    }
    Settings::read(&flags).map_err(|error| {
        let text = said(&error);
        match error.kind() {
            ErrorKind::UnknownArgument => PyTypeError::new_err(errors::in_python(&text)),
            _ => errors::settings(py, &text),
        }
    })
}

/// A keyword as a flag; none where it is None.
fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_none() {
        return Ok(None);
    }
    // True switches on what has a value of its own when none is given.
    let takes_bool = |flag: clap::Arg| flag.get_value_parser().type_id() == std::any::TypeId::of::<bool>();
    if value.is_exact_instance_of::<PyBool>()
        && value.is_truthy()?
        && !Settings::flag(name).is_some_and(takes_bool)
    {
        return Ok(Some(format!("--{name}")));
    }
    Ok(Some(format!("--{name}={}", text(value)?)))
}

/// A value as the command line has it.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if value.is_instance_of::<PyBool>() {
        return Ok(value.is_truthy()?.to_string());
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let parts: Vec<_> = value.try_iter()?.map(|part| text(&part?)).collect::<PyResult<_>>()?;
        return Ok(parts.join(","));
    }
    if let Ok(path) = value.call_method0("__fspath__") {
        return path.extract();
    }
    Ok(value.str()?.to_string())
}

/// What clap says, on one line, without its advice how to call a program.
fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let kept: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let mut said = kept.join("; ").trim_start_matches("error: ").replace("argument", "keyword");
    // The name that clap gives to a flag's value.
    while let Some((start, end)) =
        said.find(" <").and_then(|start| Some((start, start + said[start..].find('>')?)))
    {
        said.replace_range(start..=end, "");
    }
    said
}

/// A dict as a table, with the names that files have.
pub(crate) fn table(dict: &Bound<'_, PyDict>) -> PyResult<Table> {
    dict.iter()
        .map(|(name, value)| Ok((name.extract::<String>()?.replace('_', "-"), toml_value(&value)?)))
        .collect()
}

fn toml_value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    // A bool is an int to Python.
    if value.is_instance_of::<PyBool>() {
        Ok(Value::Boolean(value.is_truthy()?))
    } else if value.is_instance_of::<PyInt>() {
        Ok(Value::Integer(value.extract()?))
    } else if value.is_instance_of::<PyFloat>() {
        Ok(Value::Float(value.extract()?))
    } else if value.is_instance_of::<PyString>() {
        Ok(Value::String(value.extract()?))
    } else {
        let kind = value.get_type().name()?;
        Err(PyTypeError::new_err(format!("a value of type {kind} is none that a setting has")))
    }
}
