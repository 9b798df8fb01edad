//! What is fed.

mod checkpoints;
mod requests;
mod settings;

use crate::harness::{Target, nothing, target};

/// Many times what any of the seeds has.
const BYTES: usize = 16 << 20;

pub(crate) fn all() -> Vec<Target> {
    vec![
        target("checkpoints", BYTES, checkpoints::seeds(), checkpoints::mend, checkpoints::run),
        target("run-files", BYTES, settings::run_files(), nothing, settings::run_file),
        target("trainer-settings", BYTES, settings::seeds(), nothing, settings::run),
        target("trainer-requests", BYTES, requests::seeds(), nothing, requests::run),
    ]
}
