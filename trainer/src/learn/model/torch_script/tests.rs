use super::*;
use crate::learn::model::{ModelKind, build, build_again};
use crate::learn::reference::{assert_close, floats, training, values, wave};
use std::collections::BTreeMap;

const CIFAR: Problem = Problem { height: 32, width: 32, channels: 3, classes: 10 };

fn kind() -> ModelKind {
    ModelKind::TorchScript(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/network.pt").into())
}

fn model() -> Box<dyn Model> {
    build(kind(), CIFAR, 0, Device::Cpu).unwrap()
}

fn digest(model: &dyn Model) -> crate::learn::weights::Digest {
    crate::learn::weights::digest(model.parameters().all())
}

#[test]
fn a_network_from_a_file_has_pytorchs_names_and_scores() {
    let reference = &training()["script"];
    let model = model();
    let shapes: BTreeMap<_, _> = model.parameters().all().map(|(name, t)| (name, t.size())).collect();
    assert_eq!(serde_json::json!(shapes), reference["tensors"]);
    let images = wave(4 * 3 * 32 * 32, 5.0).reshape([4, 3, 32, 32]);
    let scores = no_grad(|| model.forward(&images));
    assert_close("scores", &values(&scores), &floats(&reference["evaluation"]), 1e-5);
    let frozen: Vec<_> = model.parameters().iter().filter(|(name, _)| name.starts_with("frozen")).collect();
    assert!(frozen.is_empty(), "what asks for no gradients is not learnt");
}

#[test]
fn gradients_and_buffers_reach_the_tensors_that_are_handed_out() {
    let model = model();
    let images = wave(4 * 3 * 32 * 32, 5.0).reshape([4, 3, 32, 32]);
    model.forward_in(&images, Mode::Training).square().sum(Kind::Float).backward();
    for (name, tensor) in model.parameters().iter() {
        assert!(tensor.grad().defined() && tensor.grad().abs().max().double_value(&[]) > 0.0, "{name}");
    }
    let tensor =
        |name: &str| model.parameters().all().find(|(own, _)| *own == name).unwrap().1.shallow_clone();
    assert_eq!(tensor("bn2.num_batches_tracked").int64_value(&[]), 1);
    // The network replaces this one by another tensor.
    let first = tensor("mean_score").copy();
    assert!(first.abs().max().double_value(&[]) > 0.0);
    let _ = model.forward_in(&images, Mode::Training);
    assert!(!tensor("mean_score").equal(&first));
    let before = digest(&*model);
    let _ = model.forward(&images);
    assert_eq!(digest(&*model), before, "evaluation changes nothing");
}

#[test]
fn a_network_is_built_again_from_the_contents_of_its_file_alone() {
    let model = model();
    let gone = ModelKind::TorchScript("gone.pt".into());
    let again = build_again(gone.clone(), model.file(), CIFAR, Device::Cpu).unwrap();
    assert_eq!(digest(&*again), digest(&*model));
    let error = build(gone, CIFAR, 0, Device::Cpu).err().unwrap().to_string();
    assert!(error.contains("cannot read network gone.pt"), "{error}");
}

#[test]
fn other_classes_other_images_and_other_files_are_refused_with_the_reason() {
    let error = |problem| build(kind(), problem, 0, Device::Cpu).err().unwrap().to_string();
    let text = error(Problem { classes: 100, ..CIFAR });
    assert!(text.contains("gives [2, 10], not [2, 100]") && text.contains("network.pt"), "{text}");
    let text = error(Problem { channels: 1, ..CIFAR });
    assert!(text.contains("channels") && !text.contains('\n'), "{text}");
    let refused = TorchScript::new(b"nonsense".to_vec(), Path::new("a.pt"), CIFAR, Device::Cpu);
    let text = refused.err().unwrap().to_string();
    assert!(text.starts_with("network a.pt cannot be used: ") && !text.contains('\n'), "{text}");
}
