//! The Python example against real loaders: another language, given the .proto alone, reads the same
//! stream as the Rust client.

use crate::chaos::golden;
use crate::photographs::{photographs, training};
use image::ImageFormat;
use mixfeed_client::{
    BlockingStream, Endpoint, ImageSize, Mixing, MixingKind, Output, StreamConfig, StreamEnd, StreamSpec,
};
use mixfeed_fake::{At, FakeLoader, Fault, FaultKind, Script};
use mixfeed_loader::embedded::EmbeddedLoader;
use mixfeed_loader::extensions::Extensions;
use mixfeed_loader::service::MessageSizes;
use mixfeed_loader::source;
use mixfeed_ops::testing;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

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
pub(crate) fn python() -> Option<PathBuf> {
    testing::require("python", testing::python())
}

/// The output of a program that must succeed.
fn text(output: &process::Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the example failed: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the example's command line.
fn example(python: &Path, address: SocketAddr, arguments: &[&str]) -> process::Output {
    Command::new(python).arg(EXAMPLE).arg(address.to_string()).args(arguments).output().unwrap()
}

/// Runs a program that imports the example; `path` is searched for other modules.
pub(crate) fn program(python: &Path, path: &Path, text: &str, arguments: &[&str]) -> process::Output {
    let path = std::env::join_paths([Path::new(EXAMPLE).parent().unwrap(), path]).unwrap();
    let mut command = Command::new(python);
    command.args(["-c", text]).args(arguments).env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().unwrap()
}

/// The digests that the example printed.
fn digests(output: &process::Output) -> Vec<String> {
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
    // Each batch in several messages.
    let (place, sizes) = ("synthetic:1000".parse().unwrap(), MessageSizes { whole: 50_000, part: 30_000 });
    let in_parts = EmbeddedLoader::start_sending(&place, Some(2), &Extensions::default(), sizes).unwrap();
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
    assert_eq!(digests(&example(&python, in_parts.address(), &arguments)), rust);

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

/// Python's gRPC names the socket's path as the authority of its calls, in both spellings of the address.
#[test]
fn python_reads_over_a_unix_socket() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a loader.sock");
    let listen = format!("unix://{}", socket.display());
    let _serving = crate::commands::serving(&["--data", "synthetic:200", "--listen", &listen]);
    let relative = "unix:a loader.sock".to_owned();
    for address in [listen, format!("unix:{}", socket.display()), relative] {
        let mut command = Command::new(&python);
        let output = command.arg(EXAMPLE).arg(&address).current_dir(folder.path()).output().unwrap();
        assert_eq!(digests(&output).len(), 2, "{address}");
    }
}

#[test]
fn python_goes_to_the_loader_and_to_no_proxy() {
    let Some(python) = python() else { return };
    let loader = EmbeddedLoader::start("synthetic:100", Some(1)).unwrap();
    let nobody = mixfeed_testing::free_addresses(1).remove(0);
    let mut command = Command::new(&python);
    for name in ["http_proxy", "https_proxy", "grpc_proxy"] {
        command.env(name, format!("http://{nobody}"));
    }
    command.env_remove("no_proxy").env_remove("no_grpc_proxy");
    let output = command.arg(EXAMPLE).arg(loader.address().to_string()).output().unwrap();
    assert_eq!(digests(&output).len(), 1);
}

#[test]
fn python_refuses_what_the_rust_client_refuses() {
    let Some(python) = python() else { return };
    for (kind, said) in [
        (FaultKind::MissingRow, "batch 1 has "),
        (FaultKind::Label, "batch 1 has label "),
        (FaultKind::Lambda, "batch 1 has lambda "),
        (FaultKind::Unasked, "was not asked for"),
        (FaultKind::Twice, "batch 1 came and was not asked for"),
    ] {
        let loader =
            FakeLoader::start(Script::default().with(Fault::always(At::Index(1), kind.clone()))).unwrap();
        let output = example(&python, loader.address(), &["--batch-size", "20"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(said), "{kind:?}: {stderr}");
    }
}

/// What the example needs of PyTorch, so that the test needs none.
const TORCH: &str = "
class IterableDataset: pass
worker = None
def get_worker_info(): return worker
";

/// Reads two epochs as a DataLoader does that keeps its workers: each has a copy, and they are asked in turn.
const WORKERS: &str = "
import copy, types, sys, mixfeed_stream as m, torch.utils.data as data
assert issubclass(m.MixfeedStream, data.IterableDataset)
start, workers = int(sys.argv[2]), int(sys.argv[3])
stream = m.MixfeedStream(sys.argv[1], m.stream_spec(batch_size=10, seed=7), start=start)
copies = [copy.copy(stream) for _ in range(workers)]
for epoch in range(2):
    shares = []
    for number in range(workers):
        data.worker = types.SimpleNamespace(id=number, num_workers=workers)
        shares.append([batch['index'] for batch in copies[number]])
    for turn in range(max(map(len, shares))):
        print(*[share[turn] for share in shares if turn < len(share)], end=' ')
    print()
";

#[test]
fn workers_of_a_data_loader_read_every_batch_once_and_in_order() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let utils = folder.path().join("torch/utils");
    std::fs::create_dir_all(&utils).unwrap();
    std::fs::write(folder.path().join("torch/__init__.py"), "").unwrap();
    std::fs::write(utils.join("__init__.py"), "").unwrap();
    std::fs::write(utils.join("data.py"), TORCH).unwrap();
    let loader = EmbeddedLoader::start("synthetic:70", Some(1)).unwrap();
    let address = loader.address().to_string();
    // One, as many as divide the seven batches and not, more than there are; from the start and from the middle.
    for (start, workers) in [(0, 1), (0, 2), (0, 3), (0, 9), (3, 2), (6, 4)] {
        let arguments = [&*address, &start.to_string(), &workers.to_string()];
        let output = text(&program(&python, folder.path(), WORKERS, &arguments));
        let read: Vec<Vec<u64>> = output
            .lines()
            .map(|line| line.split_whitespace().map(|index| index.parse().unwrap()).collect())
            .collect();
        assert_eq!(read, [(start..7).collect::<Vec<_>>(), (7..14).collect()], "{workers} from {start}");
    }
}

#[test]
fn an_amount_of_mixing_without_a_probability_is_an_error() {
    let Some(python) = python() else { return };
    let text = "
import sys, mixfeed_stream as m
assert not m.stream_spec(batch_size=4).HasField('mixing')
assert not m.stream_spec(batch_size=4, mixup_alpha=0.2, mixup_probability=0).HasField('mixing')
assert m.stream_spec(batch_size=4, mixup_alpha=0.2, mixup_probability=0.5).mixing.probability == 0.5
m.stream_spec(batch_size=4, mixup_alpha=0.2)
";
    let output = program(&python, Path::new(""), text, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("needs mixup_probability"), "{stderr}");
}

/// Goes on after what may pass, as the class says; anything else ends it.
const READ_ON: &str = "
import sys, mixfeed_stream as m
stream, read, passed = m.MixfeedStream(sys.argv[1], m.stream_spec(batch_size=20), stop=4), [], 0
while stream.position < 4:
    try:
        for batch in stream:
            read.append(batch['index'])
    except ConnectionError as error:
        passed += 1
        assert 'batch 2' in str(error) and passed < 3, error
assert read == [0, 1, 2, 3] and passed == 1, (read, passed)
";

#[test]
fn python_tells_what_may_pass_from_what_stays() {
    let Some(python) = python() else { return };
    let read = |kind: FaultKind| {
        let script = Script::default().with(Fault::once(At::Index(2), kind));
        let loader = FakeLoader::start(script).unwrap();
        program(&python, Path::new(""), READ_ON, &[&loader.address().to_string()])
    };
    for kind in [FaultKind::Unavailable, FaultKind::Changed, FaultKind::Drain] {
        text(&read(kind));
    }
    for kind in [FaultKind::DataLoss, FaultKind::Internal] {
        let output = read(kind.clone());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains("RuntimeError: batch 2: "), "{kind:?}: {stderr}");
    }
}

const READ_ALL: &str = "
import sys, mixfeed_stream as m
m.CREDIT_BYTES = int(sys.argv[2])
for pixels in ({}, {'pixel_type': m.pb.PIXEL_TYPE_F32, 'pixel_layout': m.pb.PIXEL_LAYOUT_NCHW}):
    batches = list(m.MixfeedStream(sys.argv[1], m.stream_spec(batch_size=9, **pixels)))
    assert [batch['index'] for batch in batches] == list(range(12))
    assert batches[0]['pixels'].shape == ((9, 3, 32, 32) if pixels else (9, 32, 32, 3))
    assert batches[-1]['pixels'].shape[0] == 1 and batches[0]['digest'] is None
";

/// Large batches are asked for two at a time, and all come.
#[test]
fn batches_of_any_size_come_in_order() {
    let Some(python) = python() else { return };
    let loader = EmbeddedLoader::start("synthetic:100", Some(2)).unwrap();
    for credit_bytes in ["1", "100000", "100000000"] {
        let arguments = [&*loader.address().to_string(), credit_bytes];
        text(&program(&python, Path::new(""), READ_ALL, &arguments));
    }
}

/// Reads the first epoch of a stream of photographs, at a size and in a way that it names.
const PHOTOGRAPHS: &str = "
import sys, mixfeed_stream as m
pb, height, width = m.pb, int(sys.argv[2]), int(sys.argv[3])
output = pb.Output(height=height, width=width, resize=pb.RESIZE_CENTER_CROP)
crop = pb.ResizedCrop(min_area=0.08, max_area=1, min_ratio=3 / 4, max_ratio=4 / 3)
augmentation = pb.Augmentation(flip_probability=0.5, resized_crop=crop)
spec = m.stream_spec(batch_size=10, seed=5, output=output, augmentation=augmentation)
for batch in m.MixfeedStream(sys.argv[1], spec, digests=True):
    assert batch['pixels'].shape[1:] == (height, width, 3), batch['pixels'].shape
    print(len(batch['pixels']), batch['digest'])
";

#[test]
fn python_reads_photographs_of_many_sizes_at_the_size_of_its_stream() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path(), "train", 64, 60, &[ImageFormat::Jpeg]);
    let place = folder.path().to_str().unwrap();
    let data = source::open(&place.parse().unwrap()).unwrap();
    let loader = EmbeddedLoader::start(place, Some(2)).unwrap();
    for (height, width) in [(48, 48), (40, 64)] {
        let arguments = [loader.address().to_string(), height.to_string(), width.to_string()];
        let printed =
            text(&program(&python, Path::new(""), PHOTOGRAPHS, &arguments.each_ref().map(String::as_str)));
        let output = Some(Output::center_crop(ImageSize { height, width }));
        let spec = StreamSpec { seed: 5, batch_size: 10, output, mixing: None, ..training(48) };
        let expected = golden(&data, &spec, 7).into_iter().map(hex::encode);
        let rows = [10, 10, 10, 10, 10, 10, 4];
        let expected: Vec<_> =
            rows.iter().zip(expected).map(|(rows, digest)| format!("{rows} {digest}")).collect();
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{height}x{width}");
    }
}
