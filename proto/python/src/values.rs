//! Values of Python's on their way in: keywords as flags, tables as TOML.

use crate::settings::Settings;
use crate::{errors, keywords};
use clap::error::ErrorKind;
use mixfeed_ops::config::Duration;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::any::TypeId;
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
    let Some(flag) = Settings::flag(name) else { return Ok(Some(format!("--{name}={}", value.str()?))) };
    let kind = keywords::kind(&flag);
    // What has a value of its own when none is given is switched on by True, and stays off by False.
    if kind == "str | bool" && is_bool(value) {
        return Ok(value.is_truthy()?.then(|| format!("--{name}")));
    }
    if let Some(text) = text(kind, value)? {
        return Ok(Some(format!("--{name}={text}")));
    }
    let takes = match kind {
        "bool" => "True or False",
        "int" => "an int",
        "float" => "a float",
        "float | Sequence[float]" => "a float or a list of floats",
        "str | int" => "an int or a str",
        "str | bool" => "a str or True",
        "str | os.PathLike[str]" => "a path",
        _ if flag.get_value_parser().type_id() == TypeId::of::<Duration>() => {
            "a str: give a unit, as in \"3s\" or \"500ms\""
        }
        _ => "a str",
    };
    let said = format!("{} is {}, it takes {takes}", name.replace('-', "_"), value.repr()?);
    Err(errors::settings(value.py(), &said))
}

/// A value as the command line has it; none where it is not of the kind. Texts are spelled as on the command line.
fn text(kind: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_instance_of::<PyString>() {
        return value.extract().map(Some);
    }
    if kind.contains("PathLike") {
        return value
            .call_method0("__fspath__")
            .and_then(|path| path.extract())
            .map_or(Ok(None), |path| Ok(Some(path)));
    }
    if is_bool(value) {
        return Ok((kind == "bool").then_some(value.is_truthy()?.to_string()));
    }
    if kind.contains("Sequence") && (value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()) {
        let parts = value.try_iter()?.map(|part| text("float", &part?));
        return Ok(parts.collect::<PyResult<Option<Vec<_>>>>()?.map(|parts| parts.join(",")));
    }
    // NumPy's numbers have these, too.
    if kind.contains("int") {
        return value
            .call_method0("__index__")
            .map_or(Ok(None), |number| Ok(Some(number.str()?.to_string())));
    }
    if kind.contains("float") && value.hasattr("__float__")? {
        return Ok(Some(value.str()?.to_string()));
    }
    Ok(None)
}

/// Whether it is True or False, or NumPy's.
fn is_bool(value: &Bound<'_, PyAny>) -> bool {
    let of_numpy = || value.get_type().name().is_ok_and(|name| name == "bool_" || name == "bool");
    value.is_instance_of::<PyBool>() || of_numpy()
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
