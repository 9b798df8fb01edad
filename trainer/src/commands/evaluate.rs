//! `evaluate`: the accuracy of a checkpoint on the clean test split.

// stdout is where results go.
#![allow(clippy::print_stdout)]

use super::setup;
use crate::cli::EvaluateArgs;
use crate::device;
use crate::error::TrainError;
use crate::evaluate::{evaluate, test_spec};
use crate::loaders::{Loaders, StreamRequest};
use crate::staging::Stager;
use crate::table::Table;
use crate::{checkpoint, run_folder};
use mixfeed_client::StreamEnd;
use serde_json::json;

pub(super) fn run(args: EvaluateArgs) -> Result<(), TrainError> {
    let EvaluateArgs { checkpoint: path, from, device, threads, json } = args;
    let threads = Some(threads.unwrap_or_else(device::default_threads));
    let settings = crate::config::Settings { threads, device: Some(device), ..from.settings() };
    let config = settings.check()?;
    setup::start_logs(config.log_format, &config.log)?;
    let stop = setup::stop_on_signals()?;
    let device = setup::select_device(config.device, config.threads)?;

    let path = run_folder::checkpoint_in(&path);
    let checkpoint = checkpoint::read(&path)?;
    let model = checkpoint.model(device)?;
    let loaders = Loaders::of(&config)?;
    let spec = test_spec();
    // Asked once for what the data is; the evaluation opens its own.
    let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Batch(0), expected: None };
    let info = loaders.open(request, &stop)?.info().clone();
    let dataset_digest = blake3::Hash::from(info.dataset.digest).to_string();
    let header = &checkpoint.header;
    if header.classes != info.dataset.classes {
        return Err(crate::config::UsageError::new(&format!(
            "the checkpoint knows the {} classes of {}, data set {} has {} others",
            header.classes.len(),
            header.dataset,
            info.dataset.name,
            info.dataset.classes.len()
        ))
        .into());
    }
    let stager = Stager::new(&info, header.normalisation, device);
    let score = evaluate(&*model, &stager, &loaders, &info, &stop)?;

    if json {
        let result = json!({
            "checkpoint": path.display().to_string(),
            "model": header.model.name(),
            "weights_digest": header.weights_digest,
            "dataset": info.dataset.name,
            "dataset_digest": dataset_digest,
            "device": device::name(device),
            "samples": score.samples,
            "correct": score.correct,
            "test_accuracy": score.accuracy(),
        });
        println!("{result}");
    } else {
        let table = Table::of_pairs([
            ("checkpoint", path.display().to_string()),
            ("model", header.model.name().to_owned()),
            ("data", info.dataset.name),
            ("test accuracy", format!("{:.2} %", 100.0 * score.accuracy())),
            ("right", format!("{} of {}", score.correct, score.samples)),
        ]);
        print!("{table}");
    }
    Ok(())
}
