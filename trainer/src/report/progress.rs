//! What a person sees while training or evaluating: a bar on a terminal, and a log line per epoch.
//!
//! The bar owns the terminal's last line; log lines are sent through [`Terminal::log_writer`], which
//! writes them above it, whoever logs. A terminal that is gone stops neither.

use crate::report::eta::{self, Eta};
use crate::report::pace::{Pace, Recent};
use crate::report::table::count;
use crate::run::observer::{Epoch, Evaluating, Observer, Start, Step};
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mixfeed_ops::stderr::Stderr;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAWS_PER_SECOND: u8 = 10;

const TEMPLATE: &str = "{prefix} {bar:24.cyan/dim} {percent:>3} %  {msg}";

/// How often an evaluation logs where there is no bar.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// The terminal's last lines.
#[derive(Clone)]
pub(crate) struct Terminal(MultiProgress);

impl Terminal {
    /// Draws on stderr if that is a terminal; else nothing is drawn.
    pub(crate) fn stderr() -> Self {
        let target = if io::stderr().is_terminal() {
            // Not its own target for stderr: where that cannot be written, indicatif panics.
            ProgressDrawTarget::term(Term::read_write_pair(io::stdin(), Stderr), REDRAWS_PER_SECOND)
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

    fn bar(&self, length: u64) -> ProgressBar {
        let bar = self.0.add(ProgressBar::new(length));
        // The template is a constant that a test draws.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar
    }
}

/// Writes to stderr, above the bar.
pub(crate) struct AboveBar(MultiProgress);

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| Stderr.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Stderr.flush()
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
    eta: Eta,
}

impl Progress {
    /// Of a training that is followed by `following` others of the same command.
    pub(crate) fn new(terminal: &Terminal, label: String, following: u64) -> Self {
        Progress {
            terminal: terminal.clone(),
            label,
            bar: ProgressBar::hidden(),
            epochs: 0,
            pace: Pace::new(),
            eta: Eta::new(following),
        }
    }

    fn tell(&self, what: &str) {
        self.bar.set_message(format!("{what}  ETA {}", eta::words(self.eta.seconds())));
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
        self.bar = self.terminal.bar(start.steps);
        self.bar.set_prefix(self.prefix(start.done / start.stream.batches_per_epoch.max(1)));
        self.bar.set_position(start.done);
        self.eta.start(start);
    }

    fn stepped(&mut self, step: &Step) {
        let Recent { images_per_second, data_wait_ratio } = self.pace.step(step);
        let wait = 100.0 * data_wait_ratio;
        self.eta.step(step);
        let loss = step.losses.mean();
        self.tell(&format!("{images_per_second:.0} images/s  data wait {wait:.0} %  loss {loss:.3}"));
        self.bar.set_prefix(self.prefix(step.epoch));
        self.bar.set_position(step.done);
    }

    fn evaluating(&mut self, evaluating: &Evaluating) {
        self.eta.evaluating(evaluating);
        let Evaluating { images, of, .. } = *evaluating;
        self.tell(&format!("evaluating {}/{}", count(images), count(of)));
    }

    fn finished_epoch(&mut self, epoch: &Epoch) {
        self.eta.epoch(epoch);
        let shown = |value: f64| tracing::field::display(format!("{value:.4}"));
        tracing::info!(
            epoch = %format_args!("{}/{}", (epoch.epoch * 100.0).round() / 100.0, self.epochs),
            train_loss = %format_args!("{:.4}", epoch.train_loss),
            test_loss = epoch.test_loss.map(shown),
            test_accuracy = epoch.test_accuracy.map(shown),
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

/// Shows an evaluation that is not part of a training: a bar on a terminal, else a log line now and then.
pub(crate) struct EvaluationProgress {
    terminal: Terminal,
    bar: ProgressBar,
    /// When it logged, from the evaluation's start on.
    logged: Duration,
}

impl EvaluationProgress {
    pub(crate) fn new(terminal: Terminal) -> Self {
        EvaluationProgress { terminal, bar: ProgressBar::hidden(), logged: Duration::ZERO }
    }

    pub(crate) fn evaluating(&mut self, evaluating: &Evaluating) {
        let Evaluating { images, of, time } = *evaluating;
        if images == 0 {
            self.bar = self.terminal.bar(of);
            self.bar.set_prefix("evaluating");
        }
        let left = (images > 0).then(|| time.as_secs_f64() * (of - images) as f64 / images as f64);
        let left = eta::words(left);
        if self.terminal.0.is_hidden() && time >= self.logged + LOGGED_EVERY {
            self.logged = time;
            tracing::info!(images = %format_args!("{images}/{of}"), eta = left, "evaluating");
        }
        self.bar.set_message(format!("{}/{}  ETA {left}", count(images), count(of)));
        self.bar.set_position(images);
        if images == of {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::observer::tests::{epoch, start, step};
    use std::time::Duration;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn the_bar_tells_of_evaluations_and_of_the_time_that_is_left_in_all() {
        let hidden = Terminal(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));
        let mut progress = Progress::new(&hidden, "with mixup 1/3".to_owned(), 1);
        progress.started(&start());
        progress.stepped(&step());
        assert!(progress.bar.message().contains("loss 1.000  ETA "), "{}", progress.bar.message());
        progress.finished_epoch(&Epoch { evaluation_seconds: 4.0, ..epoch() });
        progress.stepped(&Step { done: 20, ..step() });
        progress.evaluating(&Evaluating { images: 32_000, of: 64_000, time: Duration::from_secs(2) });
        // 2 s of this evaluation are left, then 20 steps of a second and two evaluations.
        assert_eq!(progress.bar.message(), "evaluating 32,000/64,000  ETA 30s");
        assert_eq!(progress.bar.prefix(), "with mixup 1/3  epoch 1/2");
    }

    #[test]
    fn an_evaluation_alone_logs_now_and_then() {
        let hidden = Terminal(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));
        let mut progress = EvaluationProgress::new(hidden);
        let mut logged = Vec::new();
        for seconds in 0..=25 {
            let time = Duration::from_secs(seconds);
            progress.evaluating(&Evaluating { images: 400 * seconds, of: 10_000, time });
            logged.push(progress.logged.as_secs());
            if seconds == 10 {
                assert_eq!(progress.bar.message(), "4,000/10,000  ETA 15s");
            }
        }
        logged.dedup();
        assert_eq!(logged, [0, 10, 20]);
        assert!(progress.bar.is_finished());
    }
}
