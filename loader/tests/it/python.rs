//! The Python example against real loaders: another language, given the .proto alone, reads the same
//! stream as the Rust client.

use mixfeed_client::fake::{At, FakeLoader, Fault, FaultKind, Script};
use mixfeed_client::{BlockingStream, Endpoint, Mixing, MixingKind, StreamConfig, StreamEnd, StreamSpec};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_ops::testing;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/examples/python/mixfeed_stream.py");

const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// Reads one epoch through the example's class, and prints one line of hexadecimal a sample: the
/// label, then red, green and blue, row by row, which is the record of CIFAR-10.
const PRINT_RECORDS: &str = "
import sys, mixfeed_stream as m
address, batch_size = sys.argv[1], int(sys.argv[2])
for batch in m.MixfeedStream(address, m.stream_spec(batch_size=batch_size, seed=7)):
    assert (batch['labels'] == batch['partner_labels']).all() and (batch['lambdas'] == 1).all()
    for label, pixels in zip(batch['labels'], batch['pixels']):
        print((bytes([label]) + pixels.transpose(2, 0, 1).tobytes()).hex())
";

/// The interpreter, or nothing where the test is to be skipped.
fn python() -> Option<PathBuf> {
    testing::require("python", testing::python())
}

fn text(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the example failed: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the example's command line.
fn example(python: &Path, address: SocketAddr, arguments: &[&str]) -> Output {
    Command::new(python).arg(EXAMPLE).arg(address.to_string()).args(arguments).output().unwrap()
}

/// The digests that the example printed.
fn digests(output: &Output) -> Vec<String> {
    let result: serde_json::Value = serde_json::from_str(&text(output)).unwrap();
    let digests: Vec<_> =
        result["digests"].as_array().unwrap().iter().map(|d| d.as_str().unwrap().to_owned()).collect();
    assert_eq!(result["batches"], digests.len());
    digests
}

/// CIFAR-10's files with `records` samples each, no two alike; returns the training records too.
fn write_data(folder: &Path, records: usize) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut training = Vec::new();
    for file in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
    {
        let mut bytes = vec![0_u8; records * RECORD_BYTES];
        for byte in &mut bytes {
            // A generator of no quality; all that counts is that no two records are alike.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        for record in bytes.chunks_mut(RECORD_BYTES) {
            record[0] %= 10;
        }
        if file != "test_batch" {
            training.extend(bytes.chunks(RECORD_BYTES).map(<[u8]>::to_vec));
        }
        std::fs::write(folder.join(format!("{file}.bin")), bytes).unwrap();
    }
    training
}

#[test]
fn python_finds_every_training_sample_exactly_once() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let records = write_data(folder.path(), 100);
    let loader = EmbeddedLoader::start(folder.path().to_str().unwrap(), Some(2)).unwrap();

    let mut read = Command::new(&python);
    read.args(["-c", PRINT_RECORDS, &loader.address().to_string(), "64"]);
    read.env("PYTHONPATH", Path::new(EXAMPLE).parent().unwrap());
    let output = text(&read.output().unwrap());

    let mut seen: HashMap<String, usize> = HashMap::new();
    for line in output.lines() {
        *seen.entry(line.to_owned()).or_default() += 1;
    }
    assert_eq!(seen.values().sum::<usize>(), records.len());
    for record in &records {
        assert_eq!(seen.get(&hex::encode(record)), Some(&1));
    }
    let in_file_order: Vec<String> = records.iter().map(hex::encode).collect();
    assert_ne!(output.lines().collect::<Vec<_>>(), in_file_order, "the epoch must be shuffled");
}

#[test]
fn python_reads_the_batches_that_the_rust_client_reads() {
    let Some(python) = python() else { return };
    let loader = EmbeddedLoader::start("synthetic:1000", Some(2)).unwrap();
    let mixing = Mixing {
        kind: MixingKind::Mixup,
        alpha: 0.4,
        probability: 0.5,
        lambda_scope: mixfeed_client::LambdaScope::Sample,
        partner_source: mixfeed_client::PartnerSource::Dataset,
    };
    let spec = StreamSpec { seed: 11, batch_size: 96, mixing: Some(mixing), ..StreamSpec::default() };
    let endpoint: Endpoint = loader.address().to_string().parse().unwrap();
    let mut config = StreamConfig::new(vec![endpoint], spec);
    config.end = StreamEnd::Epoch(1);
    let stream = BlockingStream::open(config).unwrap();
    let rust: Vec<String> = stream.map(|batch| hex::encode(batch.unwrap().digest())).collect();
    assert_eq!(rust.len(), 11);

    let arguments =
        ["--seed", "11", "--batch-size", "96", "--mixup-alpha", "0.4", "--mixup-probability", "0.5"];
    assert_eq!(digests(&example(&python, loader.address(), &arguments)), rust);

    // Resuming is one integer.
    let resumed = [&arguments[..], &["--start", "4"]].concat();
    assert_eq!(digests(&example(&python, loader.address(), &resumed)), rust[4..]);
}

#[test]
fn python_refuses_a_damaged_batch() {
    let Some(python) = python() else { return };
    let fault = Fault::always(At::Index(3), FaultKind::FlipBit);
    let loader = FakeLoader::start(Script::default().with(fault)).unwrap();
    let output = example(&python, loader.address(), &["--batch-size", "50"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("batch 3 was damaged on the way"), "{stderr}");
}

#[test]
fn python_says_why_a_loader_refuses_it() {
    let Some(python) = python() else { return };
    let loader = EmbeddedLoader::start("synthetic:100", Some(1)).unwrap();
    let output = example(&python, loader.address(), &["--mixup-probability", "2"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("INVALID_ARGUMENT") && stderr.contains("probability"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
