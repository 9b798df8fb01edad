use super::*;
use crate::learn::reference::{assert_close, floats, training, values, wave};

const CIFAR: Problem = Problem { height: 32, width: 32, channels: 3, classes: 10 };

#[test]
fn initial_weights_follow_from_the_seed_and_not_from_the_number_of_threads() {
    let digest = |seed, threads| {
        tch::set_num_threads(threads);
        let model = build(ModelKind::ArticleCnn, CIFAR, seed, Device::Cpu).unwrap();
        crate::learn::weights::digest(model.parameters().all())
    };
    let one = digest(1, 1);
    assert_eq!(one, digest(1, 2));
    assert_ne!(one, digest(2, 1));
}

#[test]
fn the_article_network_has_the_parameters_pytorch_would_name() {
    let model = build(ModelKind::ArticleCnn, CIFAR, 0, Device::Cpu).unwrap();
    let shapes: Vec<_> = model.parameters().iter().map(|(name, t)| (name.to_owned(), t.size())).collect();
    let expected: [(&str, &[i64]); 12] = [
        ("conv1.weight", &[64, 3, 3, 3]),
        ("conv1.bias", &[64]),
        ("conv2.weight", &[64, 64, 3, 3]),
        ("conv2.bias", &[64]),
        ("conv3.weight", &[128, 64, 3, 3]),
        ("conv3.bias", &[128]),
        ("conv4.weight", &[128, 128, 3, 3]),
        ("conv4.bias", &[128]),
        ("fc1.weight", &[256, 3200]),
        ("fc1.bias", &[256]),
        ("fc2.weight", &[10, 256]),
        ("fc2.bias", &[10]),
    ];
    assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape.to_vec())));
}

const BUILT_IN: [ModelKind; 4] =
    [ModelKind::ArticleCnn, ModelKind::Linear, ModelKind::PreActResNet18, ModelKind::FastResNet];

#[test]
fn every_size_that_a_network_takes_is_scored_and_trained_on() {
    for kind in BUILT_IN {
        for (height, width) in [(16, 16), (17, 23), (40, 9), (8, 8), (1, 3)] {
            let problem = Problem { height, width, channels: 3, classes: 7 };
            let min = match kind {
                ModelKind::Linear => 1,
                ModelKind::ArticleCnn => 16,
                _ => 8,
            };
            let built = build(kind.clone(), problem, 0, Device::Cpu);
            assert_eq!(built.is_ok(), height.min(width) >= min, "{kind} on {height} x {width}");
            let Ok(model) = built else { continue };
            let images = wave(2 * 3 * height * width, 5.0).reshape([2, 3, height, width]);
            for mode in [Mode::Evaluation, Mode::Training] {
                assert_eq!(model.forward_in(&images, mode).size(), [2, 7], "{kind} on {height} x {width}");
            }
            // What a corner shows reaches the scores.
            let corner = images.zeros_like();
            let last = |side: i64| side.min(6);
            let rows = corner.narrow(2, height - last(height), last(height));
            let _ = rows.narrow(3, width - last(width), last(width)).fill_(9.0);
            let [plain, marked] = [&images.zeros_like(), &corner].map(|images| model.forward(images));
            assert_ne!(values(&plain), values(&marked), "{kind} on {height} x {width}");
        }
    }
}

#[test]
fn images_of_another_size_are_refused_with_the_sizes_that_there_are() {
    for (kind, height, width, channels, wanted) in [
        (ModelKind::ArticleCnn, 28, 28, 1, "images of 16 x 16 x 3 to 512 x 512 x 3"),
        (ModelKind::ArticleCnn, 15, 32, 3, "images of 16 x 16 x 3 to 512 x 512 x 3"),
        (ModelKind::ArticleCnn, 32, 513, 3, "images of 16 x 16 x 3 to 512 x 512 x 3"),
        (ModelKind::PreActResNet18, 7, 224, 3, "images of 8 x 8 x 3 or larger"),
        (ModelKind::FastResNet, 32, 32, 4, "images of 8 x 8 x 3 or larger"),
    ] {
        let problem = Problem { height, width, channels, classes: 10 };
        let error = build(kind, problem, 0, Device::Cpu).err().unwrap().to_string();
        let sent = format!("not of {height} x {width} x {channels}");
        assert!(error.contains(wanted) && error.contains(&sent), "{error}");
        assert!(build(ModelKind::Linear, problem, 0, Device::Cpu).is_ok());
    }
}

#[test]
fn what_grows_with_classes_or_images_is_the_layers_that_say_so_alone() {
    for kind in BUILT_IN {
        let parts = |classes, side| {
            let problem = Problem { classes, height: side, width: side + 3, channels: 3 };
            let model = build(kind.clone(), problem, 0, Device::Cpu).unwrap();
            let layers = layers_by_problem(&kind, problem);
            let mut count = 0;
            for (name, shape) in layers {
                assert_eq!(model.parameters().layer(name).0.size(), shape, "{kind}");
                count += shape[0] * (shape[1] + 1);
            }
            (model.parameters().count() as i64, count)
        };
        let (all, by_problem) = parts(10, 32);
        for (classes, side) in [(30, 32), (10, 48), (2, 17)] {
            let (other, other_by_problem) = parts(classes, side);
            assert_eq!(other - all, other_by_problem - by_problem, "{kind}: {classes} classes, {side}");
        }
    }
}

fn tensors(kind: &ModelKind) -> Vec<(String, Vec<i64>)> {
    let model = build(kind.clone(), CIFAR, 0, Device::Cpu).unwrap();
    model.parameters().all().map(|(name, tensor)| (name.to_owned(), tensor.size())).collect()
}

#[test]
fn training_moves_buffers_and_evaluation_moves_nothing() {
    let images = Tensor::linspace(-1, 1, 2 * 3 * 32 * 32, (tch::Kind::Float, Device::Cpu));
    let images = images.reshape([2, 3, 32, 32]);
    for kind in [ModelKind::PreActResNet18, ModelKind::FastResNet] {
        let model = build(kind.clone(), CIFAR, 1, Device::Cpu).unwrap();
        let digest = || crate::learn::weights::digest(model.parameters().all());
        let before = digest();
        assert_eq!(model.forward(&images).size(), [2, 10]);
        assert_eq!(digest(), before, "{kind:?} in evaluation");
        assert_eq!(model.forward_in(&images, Mode::Training).size(), [2, 10]);
        assert_ne!(digest(), before, "{kind:?} in training");
        let batches = model.parameters().all().filter(|(name, _)| name.ends_with("num_batches_tracked"));
        batches.for_each(|(name, count)| assert_eq!(count.int64_value(&[]), 1, "{name}"));
    }
}

#[test]
fn saved_buffers_are_wanted_as_much_as_parameters() {
    let [from, mut to] = [1, 2].map(|seed| build(ModelKind::FastResNet, CIFAR, seed, Device::Cpu).unwrap());
    let mut saved: Vec<_> =
        from.parameters().all().map(|(name, tensor)| (name.to_owned(), tensor.detach().copy())).collect();
    to.parameters_mut().load(&saved).unwrap();
    assert_eq!(
        crate::learn::weights::digest(to.parameters().all()),
        crate::learn::weights::digest(from.parameters().all())
    );
    saved.retain(|(name, _)| name != "prep.bn.running_mean");
    let error = to.parameters_mut().load(&saved).unwrap_err().to_string();
    assert_eq!(error, "tensor prep.bn.running_mean is missing");
}

/// Gives each tensor the values that the script gives it.
fn fill(model: &mut dyn Model) {
    let value = |(name, tensor): (&str, &Tensor)| {
        let tensor = tensor.detach();
        let phase = name.bytes().map(f64::from).sum();
        let values = wave(tensor.numel() as i64, phase).reshape(tensor.size());
        let value = match tensor.dim() {
            0 => tensor.copy(),
            1 => {
                let one =
                    ["bn1.weight", "bn2.weight", "bn.weight", "_var"].iter().any(|end| name.ends_with(end));
                values * 0.1 + f64::from(u8::from(one))
            }
            _ => values * (2.0 / tensor.get(0).numel() as f64).sqrt(),
        };
        (name.to_owned(), value)
    };
    let values: Vec<_> = model.parameters().all().map(value).collect();
    model.parameters_mut().load(&values).unwrap();
}

#[test]
fn the_residual_networks_compute_what_their_descriptions_compute_in_pytorch() {
    let images = wave(4 * 3 * 32 * 32, 5.0).reshape([4, 3, 32, 32]);
    for kind in [ModelKind::PreActResNet18, ModelKind::FastResNet] {
        let reference = &training()["networks"][kind.name()];
        let mut model = build(kind.clone(), CIFAR, 0, Device::Cpu).unwrap();
        let own: std::collections::BTreeMap<_, _> = tensors(&kind).into_iter().collect();
        assert_eq!(serde_json::json!(own), reference["tensors"], "names and shapes of {kind:?}");
        assert_eq!(Some(model.parameters().count() as u64), reference["parameters"].as_u64());
        fill(&mut *model);
        for (mode, name) in [(Mode::Evaluation, "evaluation"), (Mode::Training, "training")] {
            let scores = tch::no_grad(|| model.forward_in(&images, mode));
            assert_close(&format!("{kind:?} {name}"), &values(&scores), &floats(&reference[name]), 1e-3);
        }
    }
}
