//! The steps since the last record: how fast they went, and their mean loss.

use crate::learn::tally::Losses;
use crate::run::observer::Step;
use std::time::Duration;

/// Steps, summed.
#[derive(Default)]
pub(super) struct Window {
    images: u64,
    time: Duration,
    losses: Losses,
    /// What the epoch's losses came to at the last step.
    epoch: Losses,
}

impl Window {
    /// Goes on in an epoch with these losses.
    pub(super) fn of(epoch: Losses) -> Self {
        Window { epoch, ..Window::default() }
    }

    pub(super) fn add(&mut self, step: &Step) {
        self.images += step.rows as u64;
        self.time += step.time;
        self.losses.sum += step.losses.sum - self.epoch.sum;
        self.losses.samples += step.losses.samples.saturating_sub(self.epoch.samples);
        self.epoch = step.losses;
    }

    /// The epoch's losses begin at zero.
    pub(super) fn next_epoch(&mut self) {
        self.epoch = Losses::default();
    }

    /// Mean loss of the steps, if it was read from the device meanwhile, and images per second; then begins anew.
    pub(super) fn take(&mut self) -> (Option<f64>, f64) {
        let Window { images, time, losses, epoch } = std::mem::take(self);
        *self = Window::of(epoch);
        let speed = images as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
        ((losses.samples > 0).then(|| losses.mean()), speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::observer::tests::step;

    fn with(sum: f64, samples: u64) -> Step {
        Step { losses: Losses { sum, samples }, ..step() }
    }

    #[test]
    fn a_record_is_of_the_steps_since_the_one_before_also_where_an_epoch_ends() {
        let mut window = Window::default();
        window.add(&with(8.0, 8));
        window.add(&with(24.0, 16));
        assert_eq!(window.take(), (Some(1.5), 8.0));
        window.add(&with(56.0, 24));
        window.next_epoch();
        window.add(&with(16.0, 8));
        assert_eq!(window.take(), (Some(3.0), 8.0));
    }

    #[test]
    fn what_an_earlier_process_did_of_the_epoch_is_no_part_of_it() {
        let mut window = Window::of(Losses { sum: 80.0, samples: 8 });
        window.add(&with(96.0, 16));
        assert_eq!(window.take(), (Some(2.0), 8.0));
    }

    #[test]
    fn losses_that_were_not_read_yet_belong_to_a_later_record() {
        let mut window = Window::default();
        window.add(&with(0.0, 0));
        assert_eq!(window.take(), (None, 8.0));
        window.add(&with(48.0, 16));
        assert_eq!(window.take(), (Some(3.0), 8.0));
    }
}
