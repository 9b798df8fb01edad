//! What a person sees while training: a bar on a terminal, and a log line per epoch.
//!
//! The bar owns the terminal's last line; log lines are sent through [`Terminal::log_writer`], which
//! writes them above it, whoever logs.

use crate::observer::{Epoch, Observer, Start, Step};
use crate::pace::{Pace, Recent};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _, Write};

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAWS_PER_SECOND: u8 = 10;

const TEMPLATE: &str = "{prefix} {bar:24.cyan/dim} {percent:>3} %  {msg}  ETA {eta}";

/// The terminal's last lines.
#[derive(Clone)]
pub(crate) struct Terminal(MultiProgress);

impl Terminal {
    /// Draws on stderr if that is a terminal; else nothing is drawn.
    pub(crate) fn stderr() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        Terminal(MultiProgress::with_draw_target(target))
    }

    /// A maker of writers to stderr that write above the bar.
    pub(crate) fn log_writer(&self) -> impl Fn() -> AboveBar + Send + Sync + 'static {
        let bars = self.0.clone();
        move || AboveBar(bars.clone())
    }
}

/// Writes to stderr, above the bar.
pub(crate) struct AboveBar(MultiProgress);

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Shows a training.
pub(crate) struct Progress {
    terminal: Terminal,
    /// Set in front of the epoch, as in `trial 2/6`; may be empty.
    label: String,
    bar: ProgressBar,
    epochs: u64,
    pace: Pace,
}

impl Progress {
    pub(crate) fn new(terminal: &Terminal, label: String) -> Self {
        Progress {
            terminal: terminal.clone(),
            label,
            bar: ProgressBar::hidden(),
            epochs: 0,
            pace: Pace::new(),
        }
    }

    fn prefix(&self, epoch: u64) -> String {
        let space = if self.label.is_empty() { "" } else { "  " };
        format!("{}{space}epoch {}/{}", self.label, epoch + 1, self.epochs)
    }
}

impl Observer for Progress {
    fn started(&mut self, start: &Start) {
        tracing::info!(
            model = start.model,
            parameters = start.parameters,
            device = start.device,
            threads = start.threads,
            dataset = start.stream.dataset.name,
            images_per_epoch = start.stream.samples_per_epoch,
            epochs = start.epochs,
            steps = start.steps,
            from_step = start.done,
            "training"
        );
        self.epochs = start.epochs;
        self.bar = self.terminal.0.add(ProgressBar::new(start.steps));
        // The template is a constant that a test draws.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            self.bar.set_style(style.progress_chars("━╸─"));
        }
        self.bar.set_prefix(self.prefix(start.done / start.stream.batches_per_epoch.max(1)));
        self.bar.set_position(start.done);
        // What was done before says nothing about how fast this goes.
        self.bar.reset_eta();
    }

    fn stepped(&mut self, step: &Step) {
        let Recent { images_per_second, data_wait_ratio } = self.pace.step(step);
        let wait = 100.0 * data_wait_ratio;
        self.bar.set_message(format!(
            "{images_per_second:.0} images/s  data wait {wait:.0} %  loss {:.3}",
            step.mean_loss
        ));
        self.bar.set_prefix(self.prefix(step.epoch));
        self.bar.set_position(step.done);
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        tracing::info!(
            epoch = %format_args!("{}/{}", (epoch.epoch * 100.0).round() / 100.0, self.epochs),
            train_loss = %format_args!("{:.4}", epoch.train_loss),
            test_accuracy = %format_args!("{:.4}", epoch.test_accuracy),
            images_per_second = %format_args!("{:.0}", epoch.images_per_second()),
            data_wait_ratio = %format_args!("{:.3}", epoch.data_wait_seconds / epoch.seconds),
            seconds = %format_args!("{:.1}", epoch.seconds + epoch.evaluation_seconds),
            "epoch done"
        );
    }

    fn ended(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
