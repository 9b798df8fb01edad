//! `watch`: a training in another process, live. On a terminal it is drawn; anywhere else it is told in lines.

mod lines;
mod screen;

use super::setup;
use crate::cli::WatchArgs;
use crate::config::UsageError;
use crate::error::TrainError;
use crate::remote::{EvaluationProgress, FinishedEpoch, State, Status};
use crate::report::eta;
use crate::report::table::{count, counted};
use lines::Lines;
use mixfeed_ops::text::printable;
use screen::Screen;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Often enough to look alive.
const ON_A_TERMINAL: Duration = Duration::from_millis(250);

/// Seldom enough to be read later.
const IN_LINES: Duration = Duration::from_secs(10);

/// What the service allows.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// Shows a training.
trait View {
    /// A training begins to be shown: the first, or the next of a comparison.
    fn begin(&mut self, status: &Status);
    /// An epoch was finished.
    fn epoch(&mut self, epoch: &FinishedEpoch);
    /// How it goes now.
    fn now(&mut self, status: &Status);
    /// It ended.
    fn end(&mut self, ending: &str);
}

pub(super) fn run(args: &WatchArgs) -> Result<(), TrainError> {
    let is_terminal = std::io::stdout().is_terminal();
    let default = if is_terminal { ON_A_TERMINAL } else { IN_LINES };
    let interval = args.interval.map_or(default, |interval| interval.get());
    if !INTERVALS.contains(&interval) {
        let text = format!("--interval is {interval:?}, it must be 100ms to 1m");
        return Err(UsageError::new(&text).into());
    }
    let trainer = setup::connect(&args.to)?;
    let mut view: Box<dyn View> = if is_terminal { Box::new(Screen::new()) } else { Box::new(Lines) };
    let mut shown = Shown::default();
    let mut statuses = trainer.watch(interval)?;
    while let Some(status) = statuses.next()? {
        shown.show(&status, &mut *view);
    }
    Ok(())
}

/// What was shown already.
#[derive(Default)]
struct Shown {
    /// Run and label of the training.
    training: Option<(String, String)>,
    /// Steps at the end of the last epoch.
    epoch_steps: u64,
}

impl Shown {
    fn show(&mut self, status: &Status, view: &mut dyn View) {
        let training = (status.run.clone(), status.label.clone());
        if !matches!(status.state(), State::Unspecified | State::Starting)
            && !status.run.is_empty()
            && self.training.as_ref() != Some(&training)
        {
            *self = Shown { training: Some(training), epoch_steps: 0 };
            view.begin(status);
        }
        for epoch in status.finished_epochs.iter().filter(|epoch| epoch.steps > self.epoch_steps) {
            view.epoch(epoch);
        }
        self.epoch_steps = status.finished_epochs.last().map_or(self.epoch_steps, |epoch| epoch.steps);
        if status.state() == State::Ended {
            view.end(&status.ending);
        } else {
            view.now(status);
        }
    }
}

/// What is being trained, in one line.
fn what(status: &Status) -> String {
    let Status { label, model, dataset, device, threads, run, .. } = status;
    let label = if label.is_empty() { String::new() } else { format!("{label} · ") };
    let [model, dataset, run] = [model, dataset, run].map(|text| printable(text));
    format!("{label}{model} on {dataset} · {device}, {} · {run}", counted(u64::from(*threads), "CPU thread"))
}

/// Speed and loss, in one line.
fn pace(status: &Status) -> String {
    let Status { images_per_second, data_wait_ratio, mean_loss, .. } = status;
    let loss = mean_loss.map_or(String::new(), |loss| format!("  loss {loss:.3}"));
    format!("{images_per_second:.0} images/s  data wait {:.0} %{loss}", 100.0 * data_wait_ratio)
}

/// The time left, and how far an evaluation has come.
fn left(status: &Status) -> String {
    let left = eta::words(status.seconds_left);
    match status.evaluation {
        Some(EvaluationProgress { images_done, images }) => {
            format!("evaluating {}/{}  {left} left", count(images_done), count(images))
        }
        None => format!("{left} left"),
    }
}

/// Accuracy of an epoch, in per cent; `–` where it was not evaluated.
fn percent(accuracy: Option<f64>) -> String {
    accuracy.map_or("–".to_owned(), |accuracy| format!("{:.2} %", 100.0 * accuracy))
}

/// A loss; `–` where it was not measured.
fn loss(loss: Option<f64>) -> String {
    loss.map_or("–".to_owned(), |loss| format!("{loss:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Record(Vec<String>);

    impl View for Record {
        fn begin(&mut self, status: &Status) {
            self.0.push(format!("begin {}", status.label));
        }

        fn epoch(&mut self, epoch: &FinishedEpoch) {
            self.0.push(format!("epoch {}", epoch.epoch));
        }

        fn now(&mut self, status: &Status) {
            self.0.push(format!("step {}", status.step));
        }

        fn end(&mut self, ending: &str) {
            self.0.push(ending.to_owned());
        }
    }

    fn status(label: &str, step: u64, epochs: u64) -> Status {
        let epoch = |number: u64| FinishedEpoch {
            epoch: number as f64,
            steps: 10 * number,
            train_loss: 1.0,
            test_accuracy: Some(0.5),
            test_loss: None,
            images_per_second: 1.0,
        };
        Status {
            state: State::Training.into(),
            run: "runs/a".to_owned(),
            label: label.to_owned(),
            step,
            finished_epochs: (1..=epochs).map(epoch).collect(),
            ..Status::default()
        }
    }

    #[test]
    fn each_training_begins_once_and_each_of_its_epochs_is_shown_once() {
        let (mut shown, mut view) = (Shown::default(), Record::default());
        let ended =
            Status { state: State::Ended.into(), ending: "finished".to_owned(), ..status("b", 10, 1) };
        for status in [
            Status::default(),
            status("a", 21, 2),
            status("a", 35, 3),
            status("b", 1, 0),
            status("b", 10, 1),
            ended,
        ] {
            shown.show(&status, &mut view);
        }
        assert_eq!(
            view.0,
            [
                "step 0", "begin a", "epoch 1", "epoch 2", "step 21", "epoch 3", "step 35", "begin b",
                "step 1", "epoch 1", "step 10", "finished"
            ]
        );
    }

    #[test]
    fn an_evaluation_under_way_is_told() {
        let status = Status { seconds_left: Some(61.0), ..Status::default() };
        assert_eq!(left(&status), "1m 01s left");
        let status =
            Status { evaluation: Some(EvaluationProgress { images_done: 3_200, images: 10_000 }), ..status };
        assert_eq!(left(&status), "evaluating 3,200/10,000  1m 01s left");
    }
}
