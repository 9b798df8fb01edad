//! A training on a terminal: finished epochs scroll up, and below them a bar and two lines stay.

use super::View;
use crate::remote::{FinishedEpoch, State, Status};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

const REDRAWS_PER_SECOND: u8 = 10;

const BAR: &str = "{prefix} {bar:32.cyan/dim} {percent:>3} %  {msg}";
const LINE: &str = "{msg}";

/// Accuracies that are drawn in one line.
const SPARKS: usize = 48;

/// From low to high.
const SPARK: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws on stdout.
pub(super) struct Screen {
    all: MultiProgress,
    bar: ProgressBar,
    loaders: ProgressBar,
    accuracy: ProgressBar,
}

impl Screen {
    pub(super) fn new() -> Self {
        let target = ProgressDrawTarget::stdout_with_hz(REDRAWS_PER_SECOND);
        let all = MultiProgress::with_draw_target(target);
        let line = |template: &str| {
            let bar = all.add(ProgressBar::new(1));
            // The templates are constants that a test draws.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        };
        Screen { bar: line(BAR), loaders: line(LINE), accuracy: line(LINE), all }
    }

    /// Above the bar.
    fn print(&self, line: &str) {
        // A terminal that is gone needs nothing drawn.
        let _ = self.all.println(line);
    }
}

impl View for Screen {
    fn begin(&mut self, status: &Status) {
        self.print(&super::what(status));
        self.print("  epoch   training loss   test loss   test accuracy   images/s");
    }

    fn epoch(&mut self, epoch: &FinishedEpoch) {
        let FinishedEpoch { epoch, train_loss, test_accuracy, test_loss, images_per_second, .. } = *epoch;
        let epoch = (epoch * 100.0).round() / 100.0;
        let (loss, accuracy) = (super::loss(test_loss), super::percent(test_accuracy));
        self.print(&format!(
            "{epoch:>7}   {train_loss:>13.4}   {loss:>9}   {accuracy:>13}   {images_per_second:>8.0}"
        ));
    }

    fn now(&mut self, status: &Status) {
        self.bar.set_length(status.steps.max(1));
        self.bar.set_position(status.step);
        let message = match status.state() {
            State::Unspecified | State::Starting => "waiting for loaders".to_owned(),
            State::Stopping => "stopping: evaluating, writing a checkpoint".to_owned(),
            State::Training | State::Ended => {
                format!("{}  {}", super::pace(status), super::left(status))
            }
        };
        self.bar.set_prefix(format!("epoch {}/{}", status.epoch + 1, status.epochs));
        self.bar.set_message(message);
        self.loaders.set_message(loaders(status));
        self.accuracy.set_message(sparks(&status.finished_epochs));
    }

    fn end(&mut self, ending: &str) {
        for line in [&self.bar, &self.loaders, &self.accuracy] {
            line.finish_and_clear();
        }
        self.print(ending);
    }
}

/// Whether the loaders keep up.
fn loaders(status: &Status) -> String {
    let Status { replicas, loaders_wanted, data_wait_ratio, .. } = status;
    let (plural, keep) = if *replicas == 1 { ("", "keeps") } else { ("s", "keep") };
    // Below that nothing would be gained by more.
    let verdict = if *data_wait_ratio < crate::train::outcome::KEPT_UP_RATIO {
        format!(", which {keep} up")
    } else {
        format!(", about {:.0} would keep up", loaders_wanted.ceil())
    };
    format!("{replicas} loader{plural}{}", if *replicas == 0 { String::new() } else { verdict })
}

/// Test accuracy over epochs, in one line.
fn sparks(epochs: &[FinishedEpoch]) -> String {
    let evaluated: Vec<f64> = epochs.iter().filter_map(|epoch| epoch.test_accuracy).collect();
    let shown = &evaluated[evaluated.len().saturating_sub(SPARKS)..];
    let Some(last) = shown.last() else { return String::new() };
    let values = || shown.iter().copied();
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let level = |value: f64| {
        let share = (value - low) / (high - low).max(f64::MIN_POSITIVE);
        SPARK[(share * (SPARK.len() - 1) as f64).round() as usize]
    };
    let line: String = values().map(level).collect();
    format!("test accuracy {line} {:.2} %", 100.0 * last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        assert!([BAR, LINE].iter().all(|template| ProgressStyle::with_template(template).is_ok()));
    }

    #[test]
    fn accuracy_is_drawn_from_its_lowest_to_its_highest() {
        let epoch = |test_accuracy| FinishedEpoch {
            epoch: 1.0,
            steps: 1,
            train_loss: 1.0,
            test_accuracy: Some(test_accuracy),
            test_loss: None,
            images_per_second: 1.0,
        };
        assert_eq!(sparks(&[]), "");
        assert_eq!(sparks(&[epoch(0.5)]), "test accuracy ▁ 50.00 %");
        assert_eq!(sparks(&[0.1, 0.8, 0.5].map(epoch)), "test accuracy ▁█▅ 50.00 %");
        let unevaluated = FinishedEpoch { test_accuracy: None, ..epoch(0.0) };
        assert_eq!(sparks(&[epoch(0.5), unevaluated]), "test accuracy ▁ 50.00 %");
    }

    #[test]
    fn the_line_on_loaders_says_how_many_would_keep_up() {
        let status = |data_wait_ratio, loaders_wanted| Status {
            replicas: 2,
            data_wait_ratio,
            loaders_wanted,
            ..Status::default()
        };
        assert_eq!(loaders(&status(0.01, 2.0)), "2 loaders, which keep up");
        assert_eq!(loaders(&status(0.4, 3.3)), "2 loaders, about 4 would keep up");
    }
}
