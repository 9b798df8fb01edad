//! What PyTorch says of the same scores and the same network: `tests/reference/evaluate.py` made it.

use crate::learn::model::{self, Model, ModelKind, Problem};
use crate::learn::staging::{Normalisation, Stager};
use mixfeed_client::{Batch, DatasetInfo, ImageShape, StreamInfo};
use serde::Deserialize;
use tch::{Device, Tensor};

#[derive(Deserialize)]
struct File {
    cases: Vec<CaseFile>,
    attack: AttackFile,
}

#[derive(Deserialize)]
struct CaseFile {
    name: String,
    scores: Vec<Vec<f32>>,
    labels: Vec<i64>,
    accuracy: f64,
    negative_log_likelihood: f64,
    expected_calibration_error: f64,
}

#[derive(Deserialize)]
struct AttackFile {
    labels: Vec<i64>,
    clean_loss: f64,
    attacks: Vec<OneAttack>,
}

#[derive(Deserialize)]
struct OneAttack {
    epsilon: f64,
    loss: f64,
    correct: i64,
}

/// Scores and what they are worth.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) scores: Tensor,
    pub(super) labels: Tensor,
    pub(super) accuracy: f64,
    pub(super) negative_log_likelihood: f64,
    pub(super) expected_calibration_error: f64,
}

/// A network, images, and what is left of them under attack.
pub(super) struct Attack {
    pub(super) model: Box<dyn Model>,
    pub(super) stager: Stager,
    pub(super) batch: Batch,
    pub(super) labels: Tensor,
    pub(super) clean_loss: f64,
    /// Epsilon, mean loss, images that stay right.
    pub(super) attacks: Vec<(f64, f64, i64)>,
}

fn file() -> File {
    serde_json::from_str(include_str!("../../tests/reference/evaluate.json")).unwrap()
}

pub(super) fn cases() -> impl Iterator<Item = Case> {
    file().cases.into_iter().map(|case| {
        let rows = case.scores.len() as i64;
        Case {
            name: case.name,
            scores: Tensor::from_slice(&case.scores.concat()).reshape([rows, -1]),
            labels: Tensor::from_slice(&case.labels),
            accuracy: case.accuracy,
            negative_log_likelihood: case.negative_log_likelihood,
            expected_calibration_error: case.expected_calibration_error,
        }
    })
}

pub(super) fn attack() -> Attack {
    let AttackFile { labels, clean_loss, attacks } = file().attack;
    let rows = labels.len();
    let info = StreamInfo {
        dataset: DatasetInfo {
            name: "made by number".to_owned(),
            digest: [0; 32],
            classes: (0..10).map(|class| class.to_string()).collect(),
            train_samples: 0,
            test_samples: rows as u64,
            ..DatasetInfo::default()
        },
        algorithm_version: 1,
        algorithm_fingerprint: [0; 32],
        image: ImageShape { height: 32, width: 32, channels: 3 },
        samples_per_epoch: rows as u64,
        batches_per_epoch: 1,
    };
    let pixels: Vec<_> = noise(rows * 32 * 32 * 3, 99).map(|value| (value * 256.0) as u8).collect();
    let classes: Vec<_> = labels.iter().map(|label| *label as u32).collect();
    let batch = Batch {
        index: 0,
        epoch: 0,
        rows,
        pixels: pixels.into(),
        labels: classes.clone(),
        partner_labels: classes,
        lambdas: vec![65_536; rows],
        samples: Vec::new(),
        spec_digest: [0; 32],
    };
    Attack {
        model: network(),
        stager: Stager::new(&info, Normalisation::default(), Device::Cpu),
        batch,
        labels: Tensor::from_slice(&labels),
        clean_loss,
        attacks: attacks.iter().map(|attack| (attack.epsilon, attack.loss, attack.correct)).collect(),
    }
}

/// The article's network with weights that are made by number, and no biases.
fn network() -> Box<dyn Model> {
    let problem = Problem { height: 32, width: 32, channels: 3, classes: 10 };
    let mut model = model::build(ModelKind::ArticleCnn, problem, 0, Device::Cpu).unwrap();
    let mut salts = 0..;
    let weights = |(name, tensor): (&str, &Tensor)| {
        let size = tensor.size();
        if !name.ends_with("weight") {
            return (name.to_owned(), tensor.detach().zeros_like());
        }
        let fan_in = size[1..].iter().product::<i64>() as f64;
        let bound = (6.0 / fan_in).sqrt();
        let values: Vec<_> = noise(tensor.numel(), salts.next().unwrap())
            .map(|value| ((value - 0.5) * 2.0 * bound) as f32)
            .collect();
        (name.to_owned(), Tensor::from_slice(&values).reshape(&size))
    };
    let weights: Vec<_> = model.parameters().iter().map(weights).collect();
    model.parameters_mut().load(&weights).unwrap();
    model
}

/// `count` numbers of 0 to 1, the same for the same salt, here and in the script.
fn noise(count: usize, salt: u64) -> impl Iterator<Item = f64> {
    (0..count as u64).map(move |position| {
        let mixed = (position + salt * 1_000_003).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 40) as f64 / 16_777_216.0
    })
}
