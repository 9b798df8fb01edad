//! `doctor`: what this machine can do, and whether loaders answer.

// stdout is where results go.
#![allow(clippy::print_stdout)]

use super::setup;
use crate::cli::DoctorArgs;
use crate::device;
use crate::error::TrainError;
use crate::evaluate::test_spec;
use crate::loaders::{Loaders, StreamRequest};
use crate::table::Table;
use mixfeed_client::{StreamEnd, StreamInfo};
use mixfeed_ops::config::Duration;
use mixfeed_ops::logging::LogFormat;

/// A loader that answers does so at once.
const LOADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) fn run(args: DoctorArgs) -> Result<(), TrainError> {
    setup::start_logs(LogFormat::default(), "warn")?;
    let gpus = match device::gpus() {
        Ok(count) => format!("{count} GPUs"),
        Err(reason) => format!("none: {reason}"),
    };
    let mkldnn = if tch::utils::has_mkldnn() { "with oneDNN" } else { "without oneDNN, so slowly" };
    print!(
        "{}",
        Table::of_pairs([
            ("libtorch", format!("{} loaded, {mkldnn}", device::LIBTORCH)),
            ("processor", device::cpu_model()),
            ("CPU threads", device::default_threads().to_string()),
            ("CUDA", gpus),
        ])
    );
    let mut settings = args.from.settings();
    if settings.loaders.is_none() && settings.data.is_none() {
        println!("\nno loader asked: give --loaders ADDR,… or --data WHERE to have them tried, too");
        return Ok(());
    }
    settings.loader_timeout = settings.loader_timeout.or(Some(Duration(LOADER_TIMEOUT)));
    let config = settings.check()?;
    let loaders = Loaders::of(&config)?;
    let spec = test_spec();
    let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Batch(0), expected: None };
    let StreamInfo { dataset, algorithm_version, algorithm_fingerprint, .. } =
        loaders.open(request, &setup::stop_on_signals()?)?.info().clone();
    let fingerprint = blake3::Hash::from(algorithm_fingerprint).to_string();
    print!(
        "\n{}",
        Table::of_pairs([
            ("data set", dataset.name),
            (
                "samples",
                format!("{} to train on, {} to test on", dataset.train_samples, dataset.test_samples)
            ),
            ("classes", dataset.classes.join(", ")),
            ("algorithm", format!("version {algorithm_version}, fingerprint {}", &fingerprint[..16])),
        ])
    );
    Ok(())
}
