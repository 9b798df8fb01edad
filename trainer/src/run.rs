//! A run on disk: the run folder with its record, checkpoints and event files, and whoever is told while it grows.

pub mod checkpoint;
pub(crate) mod left_out;
pub mod observer;
pub mod run_folder;
pub(crate) mod tensorboard;
