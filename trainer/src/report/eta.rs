//! How long everything will take that is left: steps, evaluations, and the trainings that follow.
//!
//! It is computed from times that were measured, and looks at no clock. Before the first evaluation its time is
//! estimated from that of the steps: a forward pass is about a third of forward and backward.

use crate::run::observer::{Epoch, Evaluating, Start, Step};
use std::time::Duration;

/// The part of a training step that an evaluation has, too.
const FORWARD_SHARE: f64 = 1.0 / 3.0;

/// Estimates the time that is left.
#[derive(Default)]
pub(crate) struct Eta {
    /// Trainings of the same length that follow this one.
    following: u64,
    steps: u64,
    steps_left: u64,
    evaluations: u64,
    evaluations_left: u64,
    test_images: u64,
    measured: Measured,
    evaluating: Option<Evaluating>,
}

/// What was measured of this training, by this process.
#[derive(Default)]
struct Measured {
    steps: u64,
    images: u64,
    time: Duration,
    /// The last whole evaluation.
    evaluation_seconds: Option<f64>,
}

impl Eta {
    /// Of a training that is followed by `following` others.
    pub(crate) fn new(following: u64) -> Self {
        Eta { following, ..Eta::default() }
    }

    pub(crate) fn start(&mut self, start: &Start) {
        *self = Eta {
            following: self.following,
            steps: start.steps,
            steps_left: start.steps.saturating_sub(start.done),
            evaluations: start.evaluations,
            evaluations_left: start.evaluations_left,
            test_images: start.test_images,
            measured: Measured {
                evaluation_seconds: start.history.iter().rev().find_map(evaluation_seconds),
                ..Measured::default()
            },
            evaluating: None,
        };
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.steps_left = self.steps.saturating_sub(step.done);
        self.measured.steps += 1;
        self.measured.images += step.rows as u64;
        self.measured.time += step.time;
    }

    pub(crate) fn evaluating(&mut self, evaluating: &Evaluating) {
        self.evaluating = Some(*evaluating);
    }

    pub(crate) fn epoch(&mut self, epoch: &Epoch) {
        self.evaluating = None;
        if let Some(seconds) = evaluation_seconds(epoch) {
            self.evaluations_left = self.evaluations_left.saturating_sub(1);
            self.measured.evaluation_seconds = Some(seconds);
        }
    }

    /// Seconds to the end of all; none before there is anything to go by.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let Measured { steps, images, time, .. } = self.measured;
        let (per_step, per_image) = if steps > 0 {
            (time.as_secs_f64() / steps as f64, time.as_secs_f64() / images.max(1) as f64)
        } else if self.steps_left == 0 && self.following == 0 {
            (0.0, 0.0)
        } else {
            return None;
        };
        let per_evaluation = self.per_evaluation(per_image);
        let spent = self.evaluating.map_or(0.0, |now| now.time.as_secs_f64());
        let here = per_step * self.steps_left as f64
            + (per_evaluation * self.evaluations_left as f64 - spent).max(0.0);
        let each = per_step * self.steps as f64 + per_evaluation * self.evaluations as f64;
        Some(here + each * self.following as f64)
    }

    fn per_evaluation(&self, step_seconds_per_image: f64) -> f64 {
        let under_way = self.evaluating.filter(|now| now.images > 0);
        let under_way = under_way.map(|now| now.time.as_secs_f64() * now.of as f64 / now.images as f64);
        let guess = FORWARD_SHARE * step_seconds_per_image * self.test_images as f64;
        under_way.or(self.measured.evaluation_seconds).unwrap_or(guess)
    }
}

fn evaluation_seconds(epoch: &Epoch) -> Option<f64> {
    epoch.test_accuracy.map(|_| epoch.evaluation_seconds)
}

/// A time as people say it; `–` where it is not known.
pub(crate) fn words(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "–".to_owned() };
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::observer::tests::{epoch, start, step};

    /// Two epochs of ten steps of 8 images, with an evaluation of 60 images after each.
    fn begun(following: u64) -> Eta {
        let mut eta = Eta::new(following);
        eta.start(&Start { steps: 20, evaluations: 2, evaluations_left: 2, test_images: 60, ..start() });
        eta
    }

    fn second(done: u64) -> Step {
        Step { done, rows: 8, time: Duration::from_secs(1), ..step() }
    }

    fn is(eta: &Eta, seconds: f64) {
        let got = eta.seconds().unwrap();
        assert!((got - seconds).abs() < 1e-9, "{got} is not {seconds}");
    }

    #[test]
    fn steps_and_evaluations_count_and_what_was_measured_wins_over_the_guess() {
        let mut eta = begun(0);
        assert_eq!(eta.seconds(), None, "there is nothing to go by");
        eta.step(&second(1));
        // 19 steps, and two evaluations at a third of 1/8 s an image.
        is(&eta, 19.0 + 2.0 * 2.5);
        (2..=10).for_each(|done| eta.step(&second(done)));
        eta.evaluating(&Evaluating { images: 0, of: 60, time: Duration::ZERO });
        is(&eta, 10.0 + 2.0 * 2.5);
        // A third is scored after 4 s: 8 s are left of this evaluation, and 12 s are the other.
        eta.evaluating(&Evaluating { images: 20, of: 60, time: Duration::from_secs(4) });
        is(&eta, 10.0 + 8.0 + 12.0);
        eta.epoch(&Epoch { evaluation_seconds: 9.0, ..epoch() });
        is(&eta, 10.0 + 9.0);
        (11..=20).for_each(|done| eta.step(&second(done)));
        is(&eta, 9.0);
        eta.epoch(&Epoch { evaluation_seconds: 9.0, ..epoch() });
        is(&eta, 0.0);
    }

    #[test]
    fn an_epoch_without_an_evaluation_takes_nothing_off() {
        let mut eta = begun(0);
        eta.step(&second(10));
        eta.epoch(&Epoch { test_accuracy: None, evaluation_seconds: 0.0, ..epoch() });
        is(&eta, 10.0 + 2.0 * 2.5);
    }

    #[test]
    fn trainings_that_follow_are_as_long_as_this_one() {
        let mut eta = begun(3);
        eta.step(&second(5));
        is(&eta, 15.0 + 5.0 + 3.0 * (20.0 + 5.0));
    }

    #[test]
    fn a_run_that_goes_on_knows_how_long_its_evaluations_took() {
        let mut eta = Eta::new(0);
        let history = vec![Epoch { evaluation_seconds: 7.0, ..epoch() }];
        let resumed = Start { steps: 20, done: 20, evaluations: 2, evaluations_left: 1, history, ..start() };
        eta.start(&resumed);
        is(&eta, 7.0);
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(
            [0.4, 59.0, 61.0, 3599.6, 7384.0].map(|seconds| words(Some(seconds))),
            ["0s", "59s", "1m 01s", "1h 00m", "2h 03m"]
        );
        assert_eq!(words(None), "–");
    }
}
