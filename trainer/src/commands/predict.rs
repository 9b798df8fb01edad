//! `predict`: what a checkpoint says of image files.

use super::setup;
use crate::cli::PredictArgs;
use crate::config::UsageError;
use crate::error::TrainError;
use crate::machine::device;
use crate::predict;
use crate::predict::image_error::ImageError;
use crate::report::table::Table;
use crate::run::checkpoint;
use mixfeed_ops::logging::LogFormat;
use mixfeed_ops::{print, println};
use serde::Serialize;
use std::path::PathBuf;

pub(super) fn run(args: PredictArgs) -> Result<(), TrainError> {
    let PredictArgs { checkpoint: path, images: paths, top, device, threads, json } = args;
    if top == 0 {
        return Err(UsageError::new("--top is 0, it must be at least 1").into());
    }
    setup::start_logs(LogFormat::default(), "warn")?;
    let device = setup::select_device(device, threads.unwrap_or_else(device::default_threads))?;
    let (path, checkpoint) = checkpoint::read_newest(&path)?;
    let header = &checkpoint.header;
    let model = checkpoint.model(device)?;
    let all = paths.len();
    let (mut read, mut images, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match predict::read(&path, header) {
            Ok(image) => {
                read.push(path);
                images.push(image);
            }
            Err(error @ ImageError::Channels(_)) => return Err(error.into()),
            Err(error) => failed.push(error),
        }
    }
    let shares =
        if images.is_empty() { Vec::new() } else { predict::probabilities(&*model, header, device, &images) };
    let predictions = read.into_iter().zip(shares);
    let report = Report {
        checkpoint: path.display().to_string(),
        model: header.model.name(),
        weights_digest: header.weights_digest.clone(),
        images: predictions
            .map(|(path, shares)| Prediction::of(path, &shares, &header.classes, top))
            .collect(),
    };
    if json {
        println!("{}", super::to_json(&report)?);
    } else {
        print!("{}", report.table());
    }
    failed.iter().skip(1).for_each(|error| tracing::warn!("not predicted: {error}"));
    let count = failed.len();
    match failed.into_iter().next() {
        None => Ok(()),
        Some(only) if all == 1 => Err(only.into()),
        Some(first) => Err(ImageError::Some { failed: count, all, first: first.into() }.into()),
    }
}

/// What is told, in this order.
#[derive(Serialize)]
struct Report {
    checkpoint: String,
    model: &'static str,
    weights_digest: String,
    images: Vec<Prediction>,
}

#[derive(Serialize)]
struct Prediction {
    image: PathBuf,
    /// The most probable one.
    class: String,
    /// Its probability, 0 to 1.
    probability: f32,
    /// The most probable ones, in order.
    top: Vec<Choice>,
}

#[derive(Serialize)]
struct Choice {
    class: String,
    probability: f32,
}

impl Prediction {
    fn of(image: PathBuf, shares: &[f32], classes: &[String], top: usize) -> Self {
        let mut order: Vec<_> = (0..shares.len()).collect();
        order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]));
        let choice = |class: &usize| Choice { class: classes[*class].clone(), probability: shares[*class] };
        let first = choice(&order[0]);
        Prediction {
            image,
            class: first.class,
            probability: first.probability,
            top: order.iter().take(top).map(choice).collect(),
        }
    }
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::with_header(["image", "class", "probability"]);
        for prediction in &self.images {
            for (place, Choice { class, probability }) in prediction.top.iter().enumerate() {
                let image = if place == 0 { prediction.image.display().to_string() } else { String::new() };
                table.row([image, class.clone(), format!("{:.2} %", 100.0 * probability)]);
            }
        }
        table
    }
}
