//! What people are told: progress and the time left, tables, pictures, and metrics for Prometheus.

pub mod canvas;
pub mod curves;
pub(crate) mod eta;
pub(crate) mod heat_map;
pub mod metrics;
pub(crate) mod pace;
pub(crate) mod progress;
pub(crate) mod table;
