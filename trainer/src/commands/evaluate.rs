//! `evaluate`: how good a checkpoint is on the clean test split.

use super::setup;
use crate::cli::EvaluateArgs;
use crate::config::{Settings, Source, UsageError};
use crate::error::TrainError;
use crate::evaluate::{Assessment, Attacked, Confusion, TestImages, WHOLE, assess};
use crate::feed::loaders::{Loaders, StreamRequest};
use crate::learn::model::Problem;
use crate::learn::staging::Stager;
use crate::machine::device;
use crate::report::canvas::Format;
use crate::report::progress::EvaluationProgress;
use crate::report::table::Table;
use crate::run::checkpoint::{self, Header};
use mixfeed_client::{StreamEnd, StreamInfo, StreamSpec};
use mixfeed_ops::{files, print, println};
use serde::Serialize;
use std::path::Path;

/// Moving a pixel further than from black to white changes nothing more.
const MAX_EPSILON: f64 = 255.0;

pub(super) fn run(args: EvaluateArgs) -> Result<(), TrainError> {
    let EvaluateArgs { checkpoint: path, from, device, threads, fgsm, confusion: picture, json } = args;
    let threads = Some(threads.unwrap_or_else(device::default_threads));
    let config = Settings { threads, device: Some(device), ..from.settings() }.check()?;
    if let Some(wrong) = fgsm.iter().find(|epsilon| !(0.0..=MAX_EPSILON).contains(*epsilon)) {
        return Err(UsageError::new(&format!("--fgsm is {wrong}, it must be 0 to {MAX_EPSILON}")).into());
    }
    if let Some(picture) = &picture {
        let refused = |reason: String| UsageError::new(&format!("--confusion{reason}"));
        if Format::of(picture).is_none() {
            let reason = format!(" is {}, its name must end in .png or .svg", picture.display());
            return Err(refused(reason).into());
        }
        let data = match &config.source {
            Source::Embedded { data, .. } => Some(Path::new(data)),
            Source::Loaders(_) => None,
        };
        files::check_output(picture, data, files::is_picture)
            .map_err(|reason| refused(format!(": {reason}")))?;
    }
    let mut progress = EvaluationProgress::new(setup::start_logs(config.log_format, &config.log)?);
    let stop = setup::stop_on_signals()?;
    let device = setup::select_device(config.device, config.threads)?;

    let (path, checkpoint) = checkpoint::read_newest(&path)?;
    let header = &checkpoint.header;
    let model = checkpoint.model(device)?;
    let loaders = Loaders::of(&config)?;
    // Asked once for what the data is, by the split that all data has; the evaluation opens its own.
    let output = header.output;
    let spec = StreamSpec { batch_size: 1, output, ..StreamSpec::default() };
    let request = StreamRequest { spec: &spec, start: 0, end: StreamEnd::Batch(0), expected: None };
    let info = loaders.open(request, &stop)?.info().clone();
    if info.dataset.test_samples == 0 {
        return Err(TrainError::NoTestSamples(info.dataset.name));
    }
    fits(header, &info)?;
    let stager = Stager::new(&info, header.normalisation, device);
    let training_rows = header.batch_size;
    let images =
        TestImages { loaders: &loaders, stream: &info, output, training_rows, limit: 0, part: WHOLE };
    let assessment =
        assess(&*model, &stager, images, &fgsm, &stop, &mut |evaluating| progress.evaluating(evaluating))?;

    if let Some(picture) = &picture {
        let about = format!("{} on {}", path.display(), info.dataset.name);
        assessment.quality.confusion.draw(picture, &header.classes, &about)?;
    }
    let (checkpoint, device) = (path.display().to_string(), device::name(device));
    let report = Report::of(header, checkpoint, device, info, assessment);
    if json {
        println!("{}", super::to_json(&report)?);
    } else {
        print!("{}\n{}", report.table(), report.class_table());
        if let Some(picture) = &picture {
            println!("\nconfusion matrix: {}", picture.display());
        }
    }
    Ok(())
}

/// Whether the loaders send what the model takes, and mean by a class what it means.
fn fits(header: &Header, info: &StreamInfo) -> Result<(), UsageError> {
    let Problem { height, width, channels, .. } = header.problem;
    let [sent_height, sent_width, sent_channels] =
        [info.image.height, info.image.width, info.image.channels].map(i64::from);
    if [height, width, channels] != [sent_height, sent_width, sent_channels] {
        return Err(UsageError::new(&format!(
            "the checkpoint takes images of {height} x {width} x {channels}, dataset {} has \
             {sent_height} x {sent_width} x {sent_channels}",
            info.dataset.name
        )));
    }
    if header.classes != info.dataset.classes {
        return Err(UsageError::new(&format!(
            "the checkpoint was trained on the {} classes of {}, dataset {} has {} different ones",
            header.classes.len(),
            header.dataset,
            info.dataset.name,
            info.dataset.classes.len()
        )));
    }
    Ok(())
}

/// What is told, in this order.
#[derive(Serialize)]
struct Report {
    checkpoint: String,
    model: &'static str,
    weights_digest: String,
    dataset: String,
    dataset_digest: String,
    device: String,
    samples: u64,
    correct: u64,
    test_accuracy: f64,
    negative_log_likelihood: f64,
    expected_calibration_error: f64,
    fgsm: Vec<Attacked>,
    classes: Vec<ClassReport>,
    /// Row: the class of the image; column: the class it was taken for.
    confusion: Confusion,
}

#[derive(Serialize)]
struct ClassReport {
    class: String,
    samples: u64,
    correct: u64,
    accuracy: Option<f64>,
}

impl Report {
    fn of(
        header: &Header,
        checkpoint: String,
        device: String,
        info: StreamInfo,
        assessment: Assessment,
    ) -> Self {
        let Assessment { quality, attacks } = assessment;
        let confusion = quality.confusion;
        let class = |(number, class): (usize, &String)| ClassReport {
            class: class.clone(),
            samples: confusion.samples_of(number),
            correct: confusion.correct_of(number),
            accuracy: confusion.accuracy_of(number),
        };
        Report {
            checkpoint,
            model: header.model.name(),
            weights_digest: header.weights_digest.clone(),
            dataset: info.dataset.name,
            dataset_digest: blake3::Hash::from(info.dataset.digest).to_string(),
            device,
            samples: confusion.samples(),
            correct: confusion.correct(),
            test_accuracy: confusion.accuracy(),
            negative_log_likelihood: quality.negative_log_likelihood,
            expected_calibration_error: quality.expected_calibration_error,
            fgsm: attacks,
            classes: header.classes.iter().enumerate().map(class).collect(),
            confusion,
        }
    }

    fn table(&self) -> Table {
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        let mut table = Table::of_pairs([
            ("checkpoint", self.checkpoint.clone()),
            ("model", self.model.to_owned()),
            ("data", self.dataset.clone()),
            (
                "test accuracy",
                format!("{} ({} of {})", percent(self.test_accuracy), self.correct, self.samples),
            ),
            ("negative log-likelihood", format!("{:.4} nats", self.negative_log_likelihood)),
            ("expected calibration error", percent(self.expected_calibration_error)),
        ]);
        for Attacked { epsilon, correct, accuracy } in &self.fgsm {
            let value = format!("{} ({correct} of {})", percent(*accuracy), self.samples);
            table.row([format!("accuracy under FGSM, {epsilon}/255"), value]);
        }
        table
    }

    fn class_table(&self) -> Table {
        let mut table = Table::with_header(["class", "images", "accuracy", "most often taken for"]);
        for (number, report) in self.classes.iter().enumerate() {
            let mistake = self.confusion.commonest_mistake_of(number);
            table.row([
                report.class.clone(),
                report.samples.to_string(),
                report.accuracy.map_or("–".to_owned(), |share| format!("{:.2} %", 100.0 * share)),
                mistake.map_or(String::new(), |(other, count)| {
                    format!("{} ({count})", self.classes[other].class)
                }),
            ]);
        }
        table
    }
}
