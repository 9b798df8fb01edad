//! A stream as text: `run.toml` of a run folder, or the tables of it that say which stream of which data it read.
//!
//! What a stream says of itself is such a text, too, so that a later one can be made by it.

use crate::errors;
use crate::settings::{Recipe, Settings};
use crate::values;
use mixfeed_client::{Expected, StreamInfo, StreamSpec};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use toml::{Table, Value};

/// What a stream contains, and what it has to be read from.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) spec: StreamSpec,
    pub(crate) expected: Option<Expected>,
}

#[derive(Deserialize, Serialize)]
struct Text {
    stream: StreamSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<Dataset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<Algorithm>,
}

#[derive(Deserialize, Serialize)]
struct Dataset {
    name: String,
    digest: String,
}

#[derive(Deserialize, Serialize)]
struct Algorithm {
    version: u32,
    fingerprint: String,
}

impl Recorded {
    /// Puts a stream together from a text, which may be none, and the keywords beside it.
    pub(crate) fn of(text: Option<&str>, recipe: Recipe) -> Result<Self, String> {
        let table: Table = text.unwrap_or_default().parse().map_err(|error| malformed(&error))?;
        if !table.contains_key("stream") {
            let mut recipe = recipe;
            merge::Merge::merge(
                &mut recipe,
                Value::Table(table).try_into().map_err(|error| malformed(&error))?,
            );
            return Ok(Self { spec: recipe.spec()?, expected: None });
        }
        if recipe != Recipe::default() {
            return Err("the stream is said by a run: give no keyword that says what it contains".to_owned());
        }
        let Text { stream, dataset, algorithm } =
            Value::Table(table).try_into().map_err(|error| malformed(&error))?;
        if (stream.pixel_type, stream.pixel_layout) != Default::default() {
            return Err(
                "the run reads pixels otherwise than as u8 in NHWC, which is what is read here".to_owned()
            );
        }
        let expected = match (dataset, algorithm) {
            (Some(dataset), Some(algorithm)) => Some(Expected {
                dataset_digest: digest("dataset.digest", &dataset.digest)?,
                algorithm_fingerprint: digest("algorithm.fingerprint", &algorithm.fingerprint)?,
                classes_digest: None,
            }),
            _ => None,
        };
        Ok(Self { spec: StreamSpec { shard: None, ..stream }, expected })
    }

    /// The text of a stream; of all its rows, for which of them are read is no matter of what it contains.
    pub(crate) fn text(spec: &StreamSpec, info: Option<&StreamInfo>) -> Result<String, String> {
        let dataset = info.map(|info| Dataset {
            name: info.dataset.name.clone(),
            digest: hex::encode(info.dataset.digest),
        });
        let algorithm = info.map(|info| Algorithm {
            version: info.algorithm_version,
            fingerprint: hex::encode(info.algorithm_fingerprint),
        });
        let text = Text { stream: StreamSpec { shard: None, ..*spec }, dataset, algorithm };
        toml::to_string(&text).map_err(|error| error.to_string())
    }
}

fn malformed(error: &toml::de::Error) -> String {
    error.message().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn digest(name: &str, text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| format!("{name}: {error}"))?;
    Ok(bytes)
}

/// The text that says a stream: given, or in a run folder.
pub(crate) fn said(py: Python<'_>, spec: Option<&str>, run: Option<PathBuf>) -> PyResult<Option<String>> {
    let file = match (spec, run) {
        (Some(_), Some(_)) => return Err(errors::settings(py, "give either spec or run, not both")),
        (spec, None) => return Ok(spec.map(str::to_owned)),
        (None, Some(run)) if run.is_dir() => run.join("run.toml"),
        (None, Some(run)) => run,
    };
    let read = std::fs::read_to_string(&file);
    read.map(Some).map_err(|error| PyOSError::new_err(format!("{}: {error}", file.display())))
}

/// The text of the stream that these keywords make, without asking a loader.
#[pyfunction]
#[pyo3(signature = (spec=None, *, run=None, **settings))]
pub(crate) fn spec(
    py: Python<'_>,
    spec: Option<&str>,
    run: Option<PathBuf>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<String> {
    let Settings { recipe, reading } = values::settings(py, settings)?;
    let text = said(py, spec, run)?;
    let made = || {
        // What is wrong with the rest shows here, too.
        reading.shard()?;
        Recorded::text(&Recorded::of(text.as_deref(), recipe)?.spec, None)
    };
    made().map_err(|text| errors::settings(py, &text))
}

/// In what two texts of streams differ, each with its name and both values; which data they were read from is no part.
#[pyfunction]
pub(crate) fn differences(py: Python<'_>, own: &str, other: &str) -> PyResult<Vec<String>> {
    let settings = |text: &str| {
        let table: Table = text.parse().map_err(|error| malformed(&error))?;
        let mut settings = BTreeMap::new();
        flatten("", table.get("stream").unwrap_or(&Value::Boolean(false)), &mut settings);
        Ok::<_, String>(settings)
    };
    let both = || Ok::<_, String>((settings(own)?, settings(other)?));
    let (own, other) = both().map_err(|text| errors::settings(py, &text))?;
    let names: BTreeSet<_> = own.keys().chain(other.keys()).collect();
    let value = |of: &BTreeMap<String, String>, name| of.get(name).map_or("not set".to_owned(), Clone::clone);
    let differs = names.into_iter().filter(|name| own.get(*name) != other.get(*name));
    Ok(differs
        .map(|name| format!("{name} is {} here, {} there", value(&own, name), value(&other, name)))
        .collect())
}

/// The values of a table and those within it, by names with dots.
fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let Value::Table(table) = value else {
        into.insert(name.to_owned(), value.to_string());
        return;
    };
    for (key, value) in table {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        flatten(&name, value, into);
    }
}
