//! A run's settings for TensorBoard's tab HPARAMS.
//!
//! Written by hand after `plugin_data.proto` of TensorBoard's plugin, as [`super::event`] is. Its curves the tab finds
//! by itself: they are those of the run.

use super::event::{Metadata, PluginData, Summary, Value};
use std::collections::BTreeMap;

const PLUGIN: &str = "hparams";
const BEGIN: &str = "_hparams_/session_start_info";
const END: &str = "_hparams_/session_end_info";

/// `Status.STATUS_SUCCESS`.
const SUCCESS: i32 = 1;

/// `HParamsPluginData`.
#[derive(Clone, PartialEq, prost::Message)]
struct Data {
    #[prost(message, optional, tag = "3")]
    begin: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    end: Option<SessionEnd>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    values: BTreeMap<String, Setting>,
    #[prost(double, tag = "5")]
    seconds: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SessionEnd {
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    seconds: f64,
}

/// `google.protobuf.Value`, as far as settings need it.
#[derive(Clone, PartialEq, prost::Message)]
struct Setting {
    #[prost(oneof = "Kind", tags = "2, 3, 4")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Truth(bool),
}

/// A run with these settings begins; `now` is in seconds since 1970.
pub(super) fn begin(settings: &[(String, toml::Value)], now: f64) -> Summary {
    let values = settings.iter().map(|(name, value)| (name.clone(), setting(value))).collect();
    summary(BEGIN, &Data { begin: Some(SessionStart { values, seconds: now }), end: None })
}

/// It has done all its steps.
pub(super) fn end(now: f64) -> Summary {
    summary(END, &Data { begin: None, end: Some(SessionEnd { status: SUCCESS, seconds: now }) })
}

fn setting(value: &toml::Value) -> Setting {
    let kind = match value {
        toml::Value::Integer(number) => Kind::Number(*number as f64),
        toml::Value::Float(number) => Kind::Number(*number),
        toml::Value::Boolean(truth) => Kind::Truth(*truth),
        toml::Value::String(text) => Kind::Text(text.clone()),
        other => Kind::Text(other.to_string()),
    };
    Setting { kind: Some(kind) }
}

fn summary(tag: &str, data: &Data) -> Summary {
    let content = prost::Message::encode_to_vec(data);
    let plugin_data = Some(PluginData { plugin_name: PLUGIN.to_owned(), content });
    let metadata = Some(Metadata { plugin_data });
    Summary { values: vec![Value { tag: tag.to_owned(), metadata, ..Value::default() }] }
}
