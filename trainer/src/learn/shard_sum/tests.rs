use super::*;
use crate::learn::model::{Mode, Model, ModelKind, Problem, build};
use crate::learn::reference::{assert_close, values, wave};

/// A sum over one number, which names the shards it is over.
fn leaf(value: f32) -> ShardSum {
    ShardSum {
        floats: Tensor::from_slice(&[value]),
        doubles: Tensor::zeros([0], (Kind::Double, Device::Cpu)),
        whole: Tensor::from_slice(&[value as i64]),
        marks: Tensor::from_slice(&[0_i64]),
    }
}

fn sum(leaves: &[Option<f32>]) -> Option<ShardSum> {
    let mut tree = Tree::default();
    leaves.iter().for_each(|value| tree.add(value.map(leaf)));
    tree.sum()
}

/// Numbers of which each order of adding gives another last bit.
fn uneven(count: usize) -> Vec<f32> {
    (0..count).map(|place| (place as f32 * 0.7).sin() * 10_f32.powi(place as i32 % 5)).collect()
}

#[test]
fn a_sum_is_that_of_its_halves_whoever_adds_them() {
    let all = uneven(16);
    let bits = |sum: Option<ShardSum>| values(&sum.unwrap().floats)[0].to_bits();
    let whole = bits(sum(&all.iter().copied().map(Some).collect::<Vec<_>>()));
    for world in [2, 4, 8, 16] {
        // Each has its part of the shards, and the parts are summed in a tree of their own.
        let parts: Vec<_> = all
            .chunks(16 / world)
            .map(|part| sum(&part.iter().copied().map(Some).collect::<Vec<_>>()).unwrap())
            .collect();
        let mut tree = Tree::default();
        parts.into_iter().for_each(|part| tree.add(Some(part)));
        assert_eq!(bits(tree.sum()), whole, "world {world}");
    }
    let in_order = all.iter().fold(0_f32, |sum, value| sum + value);
    assert_ne!(f64::from(in_order).to_bits(), whole, "these numbers tell orders apart");
}

#[test]
fn empty_shards_add_nothing_and_whole_numbers_are_the_last_shards() {
    let sum = |leaves: &[Option<f32>]| sum(leaves).map(|sum| (values(&sum.floats), values(&sum.whole)));
    assert_eq!(sum(&[None, Some(1.0), None, Some(2.0)]), Some((vec![3.0], vec![2.0])));
    assert_eq!(sum(&[Some(4.0), None, None, None]), Some((vec![4.0], vec![4.0])));
    assert_eq!(sum(&[None, None]), None);
}

#[test]
fn gradients_and_buffers_over_shards_are_the_mean_over_rows() {
    let problem = Problem { height: 8, width: 8, channels: 3, classes: 5 };
    let model = || build(ModelKind::FastResNet, problem, 1, Device::Cpu).unwrap();
    let images = wave(10 * 3 * 8 * 8, 5.0).reshape([10, 3, 8, 8]);
    let score = |model: &dyn Model, start: i64, rows: i64| {
        model.forward_in(&images.narrow(0, start, rows), Mode::Training).square().sum(Kind::Float)
    };
    // By hand: each part by itself, with a model of its own.
    let (first, second) = (model(), model());
    let weights = [0.4, 0.6];
    for ((model, (start, rows)), weight) in [&first, &second].into_iter().zip([(0, 4), (4, 6)]).zip(weights) {
        (score(&**model, start, rows) * weight).backward();
    }
    let summed = model();
    let before = Before::of(summed.parameters());
    let mut tree = Tree::default();
    for ((start, rows), weight) in [(0, 4), (4, 6)].into_iter().zip(weights) {
        before.restore(summed.parameters());
        summed.parameters().iter().for_each(|(_, tensor)| tensor.shallow_clone().zero_grad());
        let loss = score(&*summed, start, rows) * weight;
        loss.backward();
        tree.add(Some(ShardSum::of_shard(summed.parameters(), &before, &loss, weight)));
    }
    let loss = tree.sum().unwrap().take_effect(summed.parameters(), &before).double_value(&[]);
    assert!(loss.is_finite() && loss > 0.0);
    for (((name, got), (_, first)), (_, second)) in
        summed.parameters().iter().zip(first.parameters().iter()).zip(second.parameters().iter())
    {
        assert_close(name, &values(&got.grad()), &values(&(first.grad() + second.grad())), 1e-6);
    }
    for ((got, first), second) in
        summed.parameters().buffers().zip(first.parameters().buffers()).zip(second.parameters().buffers())
    {
        if got.kind() == Kind::Int64 {
            assert_eq!(values(got), values(second), "batches are counted once a step");
        } else {
            assert_close("buffer", &values(got), &values(&(first * weights[0] + second * weights[1])), 1e-5);
        }
    }
}

#[test]
fn what_no_shard_changes_or_uses_stays_as_it_is() {
    let used = Tensor::from_slice(&[1_f32, 2.0]);
    let named = [("used".to_owned(), used), ("idle".to_owned(), Tensor::from_slice(&[3_f32]))];
    let mask = Tensor::from_slice(&[f32::NEG_INFINITY, 0.1]);
    let parameters = Parameters::of(&named, vec![("mask".to_owned(), mask)]);
    let before = Before::of(&parameters);
    let mut tree = Tree::default();
    for (shard, weight) in [0.3, 0.7].into_iter().enumerate() {
        parameters.iter().for_each(|(_, tensor)| tensor.shallow_clone().zero_grad());
        let (_, used) = parameters.iter().next().unwrap();
        let loss = (used * (shard as f64 + 1.0)).sum(Kind::Float) * weight;
        loss.backward();
        tree.add(Some(ShardSum::of_shard(&parameters, &before, &loss, weight)));
    }
    // As on a trainer none of whose own shards has used it.
    let fresh = Parameters::of(
        &[
            ("used".to_owned(), Tensor::from_slice(&[1_f32, 2.0])),
            ("idle".to_owned(), Tensor::from_slice(&[3_f32])),
        ],
        vec![("mask".to_owned(), Tensor::from_slice(&[f32::NEG_INFINITY, 0.1]))],
    );
    drop(tree.sum().unwrap().take_effect(&fresh, &before));
    let gradients: Vec<_> = fresh.iter().map(|(_, tensor)| tensor.grad()).collect();
    assert_close("gradient", &values(&gradients[0]), &[1.7, 1.7], 1e-6);
    assert!(!gradients[1].defined(), "no optimiser moves what nothing has used");
    assert_eq!(values(fresh.buffers().next().unwrap()), [f64::NEG_INFINITY, f64::from(0.1_f32)]);
}
