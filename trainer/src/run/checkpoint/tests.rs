use super::*;
use crate::learn::optimizer::{Adam, AdamConfig};
use crate::learn::staging::Normalisation;
use tch::Kind;

const PROBLEM: Problem = Problem { height: 4, width: 4, channels: 3, classes: 3 };

pub(super) fn epoch() -> Epoch {
    Epoch {
        epoch: 1.0,
        steps: 5,
        images: 40,
        train_loss: 1.0 / 3.0,
        test_accuracy: Some(0.1),
        test_loss: Some(2.0 / 3.0),
        seconds: 0.7,
        data_wait_seconds: 0.2,
        evaluation_seconds: 0.3,
        learning_rate: 1e-3,
    }
}

pub(super) fn header() -> Header {
    Header {
        format: FORMAT,
        release: "0.1.0".to_owned(),
        model: ModelKind::Linear,
        problem: PROBLEM,
        normalisation: Normalisation::default(),
        batch_size: 128,
        output: None,
        dataset: "synthetic".to_owned(),
        dataset_digest: "00".repeat(32),
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        algorithm_fingerprint: "11".repeat(32),
        spec_digest: "22".repeat(32),
        recipe: [("lr".to_owned(), "0.1".to_owned())].into(),
        next_batch: 7,
        loss_sum: 0.1 + 0.2,
        loss_rows: 3,
        epoch_seconds: 0.1,
        epoch_data_wait_seconds: 0.7,
        replicas_seen: 2,
        history: vec![epoch()],
        device: "cpu".to_owned(),
        threads: 2,
        cpu: "a processor".to_owned(),
        instructions: "AVX2".to_owned(),
        weights_digest: String::new(),
        tensors_digest: String::new(),
    }
}

/// A model after one step, so that no tensor of the optimiser is all zero.
pub(super) fn trained() -> (Box<dyn Model>, Adam) {
    let mut model = model::build(ModelKind::Linear, PROBLEM, 5, Device::Cpu).unwrap();
    let mut adam = Adam::new(AdamConfig::default(), model.parameters());
    model
        .forward(&Tensor::ones([2, 3, 4, 4], (Kind::Float, Device::Cpu)))
        .square()
        .sum(Kind::Float)
        .backward();
    adam.step(model.parameters_mut(), 1e-3);
    (model, adam)
}

/// Without an average.
pub(super) fn contents<'a>(model: &'a dyn Model, optimizer: &'a dyn Optimizer) -> Contents<'a> {
    Contents { model, average: None, optimizer }
}

fn written(path: &Path) -> Header {
    let (model, adam) = trained();
    write(path, None, header(), &contents(&*model, &adam)).unwrap()
}

#[test]
fn what_is_written_is_read_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let header = written(&path);
    let (model, adam) = trained();
    assert_eq!(header.weights_digest, weights::digest(model.parameters().all()).to_string());

    let checkpoint = read(&path).unwrap();
    assert_eq!(checkpoint.header, header);
    let read_model = checkpoint.model(Device::Cpu).unwrap();
    assert_eq!(weights::digest(read_model.parameters().all()), weights::digest(model.parameters().all()));
    let mut read_adam = Adam::new(AdamConfig::default(), read_model.parameters());
    checkpoint.restore(&mut read_adam).unwrap();
    for ((name, one), (other_name, other)) in adam.state().iter().zip(read_adam.state()) {
        assert_eq!(*name, other_name);
        assert!(one.equal(&other), "{name}");
    }
}

#[test]
fn damage_anywhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    written(&path);
    let whole = std::fs::read(&path).unwrap();
    let damaged = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("a.safetensors"), "{error}");
    };
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        damaged(&whole[..length]);
    }
    // Each byte of the header, and many of the tensors.
    let data_starts = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for position in (0..data_starts).chain((data_starts..whole.len()).step_by(97)) {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        damaged(&bytes);
    }
}

#[test]
fn a_newer_format_and_a_foreign_file_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let (model, adam) = trained();
    write(&path, None, Header { format: FORMAT + 1, ..header() }, &contents(&*model, &adam)).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Newer { format: 2, .. }) && error.is_usage(), "{error}");

    std::fs::write(
        &path,
        safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView)>::new(), None).unwrap(),
    )
    .unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("not one of mixfeed's"));
    assert!(read(&folder.path().join("nowhere")).unwrap_err().is_usage());
}

#[test]
fn an_average_takes_the_place_of_the_weights_and_both_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let (model, adam) = trained();
    let average = model::build(ModelKind::Linear, PROBLEM, 6, Device::Cpu).unwrap();
    let contents = Contents { average: Some(&*average), ..contents(&*model, &adam) };
    let header = write(&path, None, header(), &contents).unwrap();
    let digest = |model: &dyn Model| weights::digest(model.parameters().all()).to_string();
    assert_eq!(header.weights_digest, digest(&*average));

    let checkpoint = read(&path).unwrap();
    assert_eq!(digest(&*checkpoint.model(Device::Cpu).unwrap()), digest(&*average));
    assert_eq!(digest(&*checkpoint.trained_model(Device::Cpu).unwrap()), digest(&*model));
    let mut ema = Ema::new(0.5, model::build(ModelKind::Linear, PROBLEM, 7, Device::Cpu).unwrap());
    checkpoint.restore_average(&mut ema).unwrap();
    assert_eq!(digest(ema.model()), digest(&*average));
}

#[test]
fn a_header_that_tells_of_another_model_is_refused_before_that_takes_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let (model, adam) = trained();
    let refusal = |header| {
        write(&path, None, header, &contents(&*model, &adam)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }) && error.is_data(), "{error}");
        error.to_string()
    };
    let of = |problem| Header { problem, ..header() };
    // A terabyte, if it were built.
    let many = refusal(of(Problem { classes: 1 << 32, ..PROBLEM }));
    assert!(many.contains("of 4294967296 classes, and names 3"), "{many}");
    let named = Header { classes: vec![String::new(); 1000], ..of(Problem { classes: 1000, ..PROBLEM }) };
    let named = refusal(named);
    assert!(named.contains("fc.weight has shape [3, 48], the model has [1000, 48]"), "{named}");
    for problem in [
        Problem { height: 1 << 40, ..PROBLEM },
        Problem { width: 0, ..PROBLEM },
        Problem { height: -4, width: -4, ..PROBLEM },
        Problem { height: i64::MAX, channels: 2, ..PROBLEM },
    ] {
        let large = refusal(of(problem));
        assert!(large.contains("no stream has images of"), "{large}");
    }
    let wide = refusal(of(Problem { height: 8, ..PROBLEM }));
    assert!(wide.contains("the model has [3, 96]"), "{wide}");
    let small = Problem { height: 32, width: 32, ..PROBLEM };
    let other = refusal(Header { model: ModelKind::PreActResNet18, ..of(small) });
    assert!(other.contains("linear.weight is missing"), "{other}");
    let large = Problem { height: 512, width: 512, ..PROBLEM };
    let other = refusal(Header { model: ModelKind::ArticleCnn, ..of(large) });
    assert!(other.contains("fc1.weight is missing"), "{other}");
    let other = refusal(Header { model: ModelKind::ArticleCnn, ..header() });
    assert!(other.contains("takes images of 16 x 16 x 3 to 512 x 512 x 3, not of 4 x 4 x 3"), "{other}");
    for (epoch, steps) in [(1e300, 5), (-1.0, 5), (1.0, 8)] {
        let history = vec![Epoch { epoch, steps, ..self::epoch() }];
        let odd = refusal(Header { history, ..header() });
        assert!(odd.contains("its history"), "{odd}");
    }
    let odd = refusal(Header { loss_rows: u64::MAX, ..header() });
    assert!(odd.contains("its history"), "{odd}");
    // A file's name in a checkpoint is nothing to be opened.
    let network = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/network.pt");
    let elsewhere = refusal(Header { model: ModelKind::TorchScript(network.into()), ..header() });
    assert!(elsewhere.contains("the file of its network is not in it"), "{elsewhere}");
}

#[test]
fn a_tensor_of_a_shape_that_no_tensor_has_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    written(&path);
    let bytes = std::fs::read(&path).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (text, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let odd = r#"{"odd":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]},"#;
    let text = [odd.as_bytes(), &text[1..]].concat();
    std::fs::write(&path, [&(text.len() as u64).to_le_bytes()[..], &text, data].concat()).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
}
