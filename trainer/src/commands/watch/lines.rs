//! A training in lines, for logs and pipes.

use super::View;
use crate::remote::{FinishedEpoch, State, Status};
use mixfeed_ops::println;

/// Prints lines.
pub(super) struct Lines;

impl View for Lines {
    fn begin(&mut self, status: &Status) {
        println!("{}", super::what(status));
    }

    fn epoch(&mut self, epoch: &FinishedEpoch) {
        let FinishedEpoch { epoch, train_loss, test_accuracy, test_loss, images_per_second, .. } = *epoch;
        println!(
            "epoch {} done: training loss {train_loss:.4}, test loss {}, test accuracy {}, {images_per_second:.0} \
             images/s",
            (epoch * 100.0).round() / 100.0,
            super::loss(test_loss),
            super::percent(test_accuracy)
        );
    }

    fn now(&mut self, status: &Status) {
        match status.state() {
            State::Unspecified | State::Starting => println!("waiting for loaders"),
            State::Stopping => println!("stopping at step {}", status.step),
            State::Training | State::Ended => println!(
                "epoch {}/{}  step {}/{}  {}  {}",
                status.epoch + 1,
                status.epochs,
                status.step,
                status.steps,
                super::pace(status),
                super::left(status)
            ),
        }
    }

    fn end(&mut self, ending: &str) {
        println!("{ending}");
    }
}
