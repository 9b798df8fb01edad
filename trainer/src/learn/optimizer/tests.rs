use super::*;
use crate::learn::model::{self, Model, ModelKind, Problem};
use crate::learn::reference::{assert_close, floats, training, values, wave};
use crate::learn::weights;
use serde_json::Value;
use tch::{Device, Kind};

fn model() -> Box<dyn Model> {
    let problem = Problem { height: 1, width: 1, channels: 3, classes: 2 };
    let mut model = model::build(ModelKind::Linear, problem, 0, Device::Cpu).unwrap();
    let start = [("fc.weight", wave(6, 100.0).reshape([2, 3])), ("fc.bias", wave(2, 200.0))];
    model.parameters_mut().load(&start.map(|(name, tensor)| (name.to_owned(), tensor))).unwrap();
    model
}

/// One step of the script: gradients and rate follow from its number.
fn step(model: &mut dyn Model, optimizer: &mut dyn Optimizer, number: u32) {
    let parameters = model.parameters_mut();
    parameters.zero_grad();
    let phase = f64::from(number);
    let gradients = [wave(6, phase).reshape([2, 3]) * 3.0, wave(2, phase + 0.5)];
    let products =
        parameters.iter().zip(&gradients).map(|((_, tensor), gradient)| (tensor * gradient).sum(Kind::Float));
    optimizer.backward(&products.sum::<Tensor>());
    optimizer.step(parameters, 0.01 * f64::from(1 + number % 3));
}

fn weights_of(model: &dyn Model) -> Vec<f64> {
    model.parameters().iter().flat_map(|(_, tensor)| values(tensor)).collect()
}

fn config(case: &Value) -> OptimizerConfig {
    let number = |name: &str| case[name].as_f64().unwrap_or(0.0);
    let is = |name: &str| case[name].as_bool().unwrap_or(false);
    let weight_decay = WeightDecay { rate: number("weight_decay"), spares_norm_and_bias: is("spares") };
    let rule = match case["kind"].as_str().unwrap() {
        "sgd" => {
            Rule::Sgd(SgdConfig { momentum: number("momentum"), nesterov: is("nesterov"), weight_decay })
        }
        kind => Rule::Adam(AdamConfig { weight_decay, decoupled: kind == "adamw", ..AdamConfig::default() }),
    };
    OptimizerConfig { rule, clip_norm: case["clip"].as_f64() }
}

#[test]
fn twenty_five_steps_are_those_of_pytorch() {
    let reference = training();
    let cases = reference["optimizers"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let mut model = model();
        let mut optimizer = config(case).build(model.parameters(), Precision::Fp32);
        for number in 0..25 {
            step(&mut *model, &mut *optimizer, number);
            if let Some(expected) = case["after"].get((number + 1).to_string()) {
                let what = format!("step {number} of {case}");
                assert_close(&what, &weights_of(&*model), &floats(expected), 2e-6);
            }
        }
    }
}

#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    for case in training()["optimizers"].as_array().unwrap() {
        let mut model = model();
        let mut optimizer = config(case).build(model.parameters(), Precision::Fp32);
        (0..3).for_each(|number| step(&mut *model, &mut *optimizer, number));
        let weights: Vec<_> = model
            .parameters()
            .iter()
            .map(|(name, tensor)| (name.to_owned(), tensor.detach().copy()))
            .collect();
        let state: Vec<_> =
            optimizer.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
        (3..6).for_each(|number| step(&mut *model, &mut *optimizer, number));

        let mut again = self::model();
        again.parameters_mut().load(&weights).unwrap();
        let mut optimizer = config(case).build(again.parameters(), Precision::Fp32);
        optimizer.load(state).unwrap();
        (3..6).for_each(|number| step(&mut *again, &mut *optimizer, number));
        let [one, other] = [&model, &again].map(|model| weights::digest(model.parameters().all()));
        assert_eq!(one, other, "{case}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_by_name() {
    let parameters = model();
    let parameters = parameters.parameters();
    let mut adam = Adam::new(AdamConfig::default(), parameters);
    let mut state = adam.state();
    state.pop();
    assert!(adam.load(state).unwrap_err().to_string().contains("exp_avg_sq.fc.bias: is missing"));
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, ..SgdConfig::default() }, parameters);
    assert!(sgd.load(adam.state()).unwrap_err().to_string().contains("is not part of it"));
    let mut state = sgd.state();
    state[0].1 = Tensor::from_slice(&[0f32]);
    assert!(sgd.load(state).unwrap_err().to_string().contains("momentum_buffer.fc.weight: has another"));
}

#[test]
fn a_parameter_without_a_gradient_stays_as_it_is() {
    let decay = WeightDecay { rate: 0.1, spares_norm_and_bias: false };
    for rule in [
        Rule::Sgd(SgdConfig { momentum: 0.9, nesterov: true, weight_decay: decay }),
        Rule::Adam(AdamConfig { weight_decay: decay, ..AdamConfig::default() }),
    ] {
        let config = OptimizerConfig { rule, clip_norm: Some(1.0) };
        let mut model = model();
        let before = weights_of(&*model);
        let mut optimizer = config.build(model.parameters(), Precision::Fp32);
        let bias = model.parameters().iter().last().unwrap().1.shallow_clone();
        bias.sum(Kind::Float).backward();
        optimizer.step(model.parameters_mut(), 0.1);
        let after = weights_of(&*model);
        assert_close("the weight", &after[..6], &before[..6], 0.0);
        assert!(after[6] < before[6] && after[7] < before[7], "the bias moves: {after:?}");
    }
}
