//! The messages in an event file, as far as curves need them.
//!
//! Written by hand after `event.proto` and `summary.proto` of TensorFlow: a handful of fields that have not
//! changed in years is less than those files and what they import.

/// What the first record says; readers look at the number behind the colon.
const VERSION: &str = "brain.Event:2";

/// `SessionLog.SessionStatus.START`.
const SESSION_START: i32 = 1;

/// A record.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(string, optional, tag = "3")]
    pub(super) file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(super) summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    pub(super) session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    /// In TensorFlow it is one of several kinds of value, so that a zero, too, has to be written out: without
    /// it there would be no value.
    #[prost(float, optional, tag = "2")]
    pub(super) simple_value: Option<f32>,
    /// What a plugin, and not a curve, is to make of it.
    #[prost(message, optional, tag = "9")]
    pub(super) metadata: Option<Metadata>,
}

/// `SummaryMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub(super) plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PluginData {
    #[prost(string, tag = "1")]
    pub(super) plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) content: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl Event {
    /// An empty one.
    pub(super) fn at(wall_time: f64) -> Self {
        Event { wall_time, ..Event::default() }
    }

    /// The first of a file.
    pub(super) fn version(wall_time: f64) -> Self {
        Event { file_version: Some(VERSION.to_owned()), ..Event::at(wall_time) }
    }
}

impl SessionLog {
    /// A process begins here.
    pub(super) fn start() -> Self {
        SessionLog { status: SESSION_START }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn a_value_of_zero_is_written_out() {
        let value = Value { tag: "t".to_owned(), simple_value: Some(0.0), ..Value::default() };
        assert_eq!(value.encode_to_vec(), [0x0A, 1, b't', 0x15, 0, 0, 0, 0]);
    }
}
