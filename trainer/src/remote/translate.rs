//! Between wire types and ours, both ways.

use super::{FinishedEpoch, State, Status};
use mixfeed_proto::v1;

impl From<Status> for v1::TrainerStatus {
    fn from(status: Status) -> Self {
        v1::TrainerStatus {
            state: match status.state {
                State::Starting => v1::TrainerState::Starting,
                State::Training => v1::TrainerState::Training,
                State::Stopping => v1::TrainerState::Stopping,
                State::Ended => v1::TrainerState::Ended,
            }
            .into(),
            run: status.run,
            label: status.label,
            model: status.model,
            parameters: status.parameters,
            dataset: status.dataset,
            device: status.device,
            threads: status.threads,
            epochs: status.epochs,
            epoch: status.epoch,
            steps: status.steps,
            step: status.step,
            mean_loss: status.mean_loss,
            images_per_second: status.images_per_second,
            data_wait_ratio: status.data_wait_ratio,
            replicas: status.replicas,
            loaders_wanted: status.loaders_wanted,
            seconds_left: status.seconds_left,
            finished_epochs: status.finished_epochs.into_iter().map(v1::FinishedEpoch::from).collect(),
            ending: status.ending,
            evaluation: status
                .evaluation
                .map(|(images_done, images)| v1::EvaluationProgress { images_done, images }),
        }
    }
}

impl From<v1::TrainerStatus> for Status {
    fn from(status: v1::TrainerStatus) -> Self {
        Status {
            state: match status.state() {
                v1::TrainerState::Unspecified | v1::TrainerState::Starting => State::Starting,
                v1::TrainerState::Training => State::Training,
                v1::TrainerState::Stopping => State::Stopping,
                v1::TrainerState::Ended => State::Ended,
            },
            run: status.run,
            label: status.label,
            model: status.model,
            parameters: status.parameters,
            dataset: status.dataset,
            device: status.device,
            threads: status.threads,
            epochs: status.epochs,
            epoch: status.epoch,
            steps: status.steps,
            step: status.step,
            mean_loss: status.mean_loss,
            images_per_second: status.images_per_second,
            data_wait_ratio: status.data_wait_ratio,
            replicas: status.replicas,
            loaders_wanted: status.loaders_wanted,
            seconds_left: status.seconds_left,
            finished_epochs: status.finished_epochs.into_iter().map(FinishedEpoch::from).collect(),
            ending: status.ending,
            evaluation: status.evaluation.map(|progress| (progress.images_done, progress.images)),
        }
    }
}

impl From<FinishedEpoch> for v1::FinishedEpoch {
    fn from(epoch: FinishedEpoch) -> Self {
        let FinishedEpoch { epoch, steps, train_loss, test_accuracy, test_loss, images_per_second } = epoch;
        v1::FinishedEpoch { epoch, steps, train_loss, test_accuracy, test_loss, images_per_second }
    }
}

impl From<v1::FinishedEpoch> for FinishedEpoch {
    fn from(epoch: v1::FinishedEpoch) -> Self {
        let v1::FinishedEpoch { epoch, steps, train_loss, test_accuracy, test_loss, images_per_second } =
            epoch;
        FinishedEpoch { epoch, steps, train_loss, test_accuracy, test_loss, images_per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_comes_out_as_it_went_in() {
        let epoch = FinishedEpoch {
            epoch: 1.5,
            steps: 3,
            train_loss: 0.1,
            test_accuracy: Some(0.0),
            test_loss: None,
            images_per_second: 9.0,
        };
        for state in [State::Starting, State::Training, State::Stopping, State::Ended] {
            let status = Status {
                state,
                run: "runs/a".to_owned(),
                threads: 3,
                steps: 70,
                step: 7,
                mean_loss: Some(0.0),
                seconds_left: None,
                finished_epochs: vec![epoch],
                evaluation: Some((0, 500)),
                ..Status::default()
            };
            assert_eq!(Status::from(v1::TrainerStatus::from(status.clone())), status);
        }
    }
}
