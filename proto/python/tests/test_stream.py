"""What comes out of a stream: the Rust client's bytes, from any index on, where they were received."""

import ast
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys

import numpy
import pytest
from conftest import DATA, LOADER, MIXUP, NOBODY, require, serving, until

import mixfeed
from mixfeed import _native

PACKAGE = pathlib.Path(mixfeed.__file__).parent
SOURCES = pathlib.Path(__file__).parents[1]


def digests(loaders, **settings):
    with mixfeed.Stream(loaders, **settings) as stream:
        return [batch.digest() for batch in stream]


def combined(batches):
    """One digest of many, as the client's example `read` makes it."""
    total = [0] * 32
    for digest in batches:
        pairs = zip(total, bytes.fromhex(digest))
        total = [((sum_ << 1 | sum_ >> 7) & 255) ^ byte for sum_, byte in pairs]
    return bytes(total).hex()


def test_two_epochs_are_those_of_the_rust_client(loaders):
    read = require("read", os.environ.get("MIXFEED_TEST_READ"), "MIXFEED_TEST_READ is not the client's example")
    said = subprocess.run([read, *loaders.addresses], check=True, stdout=subprocess.PIPE, text=True).stdout
    own = digests(loaders, epochs=2)
    assert len(own) == len(set(own)) == 16
    assert f"digest {combined(own)}\n" in said


def test_two_epochs_of_cifar_are_those_of_the_rust_client(cifar):
    read = require("read", os.environ.get("MIXFEED_TEST_READ"), "MIXFEED_TEST_READ is not the client's example")
    with mixfeed.local(cifar, workers=2) as loaders:
        said = subprocess.run([read, *loaders.addresses], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert f"digest {combined(digests(loaders, epochs=2))}\n" in said


def test_mixed_batches_are_those_that_replay_rebuilds(loaders, tmp_path):
    # Wrong labels, and mixing in the first of two epochs only.
    more = {"flip_prob": 0.5, "label_noise": 0.3, "mixup_until": 1}
    with mixfeed.Stream(loaders, batch_size=64, epochs=2, seed=3, **more, **MIXUP) as stream:
        own = {batch.index: batch.digest() for batch in stream}
        (tmp_path / "run.toml").write_text(stream.spec)
    for index in (0, 15, 31):
        command = [LOADER, "replay", "--data", DATA, "--spec", tmp_path / "run.toml"]
        said = subprocess.run([*command, "--index", str(index)], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert own[index] in said


def test_a_stream_resumes_at_every_step(loaders):
    whole = digests(loaders, batch_size=20, steps=50, **MIXUP)
    assert len(set(whole)) == 50
    for start in range(50):
        assert digests(loaders, batch_size=20, start=start, steps=50, **MIXUP) == whole[start:]


def test_arrays_are_the_clients_own_bytes(loaders):
    torch = pytest.importorskip("torch")
    with mixfeed.Stream(loaders, batch_size=64, epochs=1, **MIXUP) as stream:
        for batch in stream:
            digest, images = batch.digest(), batch.images
            array, tensor = numpy.from_dlpack(images), torch.from_dlpack(images)
            assert array.ctypes.data == tensor.data_ptr() == images.data_ptr
            assert array.shape == tuple(tensor.shape) == (len(batch), 32, 32, 3) and array.dtype == numpy.uint8
            before = int(array[-1, -1, -1, -1])
            tensor[-1, -1, -1, -1] = 255 - before
            assert array[-1, -1, -1, -1] == 255 - before, "one memory, and it may be written to"
            assert batch.digest() != digest
            array[-1, -1, -1, -1] = before
            assert batch.digest() == digest


def test_an_array_outlives_its_batch_and_its_stream(loaders):
    with mixfeed.Stream(loaders, batch_size=64, epochs=1) as stream:
        batch = next(stream)
        expected, array = bytes(batch.images), numpy.from_dlpack(batch.images)
        del batch
    del stream
    assert array.tobytes() == expected


def test_a_copy_is_elsewhere(loaders):
    with mixfeed.Stream(loaders, epochs=1) as stream:
        images = next(stream).images
        copy = numpy.from_dlpack(images, copy=True)
        assert copy.ctypes.data != images.data_ptr and copy.tobytes() == bytes(images)
        with pytest.raises(BufferError):
            images.__dlpack__(dl_device=(2, 0))


def test_targets_are_lambda_of_one_class_and_the_rest_of_the_other(loaders):
    with mixfeed.Stream(loaders, epochs=1, **MIXUP) as stream:
        batch = next(stream)
    labels, partners, lambdas = map(numpy.asarray, (batch.labels, batch.partner_labels, batch.lambdas))
    mixed = (lambdas < 1) & (labels != partners)
    assert 0 < mixed.sum() < len(batch) == 128
    rows, expected = numpy.arange(128), numpy.zeros((128, 10), numpy.float32)
    expected[rows, labels] += lambdas
    expected[rows, partners] += 1 - lambdas
    assert (numpy.from_dlpack(batch.soft_targets()) == expected).all()
    more = numpy.from_dlpack(batch.soft_targets(12))
    assert (more[:, :10] == expected).all() and not more[:, 10:].any()
    with pytest.raises(ValueError, match="not below 2"):
        batch.soft_targets(2)
    for classes in (-1, 2**20 + 1, 2**40):
        with pytest.raises(ValueError, match="from 0 to 1048576"):
            batch.soft_targets(classes)


def test_rows_name_their_samples_as_replay_does(loaders, tmp_path):
    settings = {"batch_size": 64, "seed": 3, "sample_ids": True, **MIXUP}
    seen, path = [], tmp_path / "stream.toml"
    with mixfeed.Stream(loaders, epochs=1, **settings) as stream:
        path.write_text(stream.spec)
        for batch in stream:
            samples = numpy.from_dlpack(batch.samples)
            assert (samples.shape, samples.dtype) == ((len(batch), 2), numpy.int64)
            seen.extend(samples[:, 0])
            if batch.index in (0, 15):
                step = ["--step", str(batch.index), "--spec", path, "--json", "--output", tmp_path / f"{batch.index}.png"]
                said = subprocess.run(
                    [LOADER, "replay", "--data", DATA, *step], check=True, stdout=subprocess.PIPE
                )
                replayed = json.loads(said.stdout)
                assert replayed["digest"] == batch.digest()
                pairs = [(row["sample"], row.get("partner", row["sample"])) for row in replayed["rows"]]
                assert samples.tolist() == [list(pair) for pair in pairs]
                assert (tmp_path / f"{batch.index}.png").stat().st_size > 0
    assert sorted(seen) == list(range(1000)), "each sample once an epoch"
    with mixfeed.Stream(loaders, sample_ids=False) as stream, pytest.raises(mixfeed.SettingsError, match="sample_ids=True"):
        next(stream).samples  # noqa: B018


def test_a_stream_tells_what_it_is(loaders):
    with mixfeed.Stream(loaders, batch_size=300, start=1, epochs=2, remainder="drop") as stream:
        info = stream.info
        assert (info.dataset, info.shape, len(info.classes)) == ("synthetic", (32, 32, 3), 10)
        assert (info.train_samples, info.samples_per_epoch, info.batches_per_epoch) == (1000, 900, 3)
        assert (len(stream), stream.next_index) == (5, 1)
        indices = [(batch.index, batch.epoch, len(batch)) for batch in stream]
        assert indices == [(1, 0, 300), (2, 0, 300), (3, 1, 300), (4, 1, 300), (5, 1, 300)]
        assert stream.stats["batches"] == 5 and stream.next_index == 6
    with mixfeed.Stream(loaders) as endless, pytest.raises(TypeError, match="no end"):
        len(endless)


def test_the_digest_of_any_batch_can_be_asked_for(loaders):
    with mixfeed.Stream(loaders, batch_size=100, epochs=2, **MIXUP) as stream:
        assert [stream.digest(index) for index in (19, 3)] == [
            digest for digest in digests(loaders, batch_size=100, epochs=2, **MIXUP)[19:2:-16]
        ]


def test_mean_and_deviation_are_those_of_the_images(loaders):
    with mixfeed.Stream(loaders, batch_size=300, seed=3, flip_prob=0.5, rank=0, world=2, **MIXUP) as stream:
        mean, deviation = stream.measure()
    with mixfeed.Stream(loaders, epochs=1) as plain:
        images = numpy.concatenate([numpy.from_dlpack(batch.images) for batch in plain]) / 255
    assert len(images) == 1000 and numpy.allclose(mean, images.mean((0, 1, 2)), rtol=1e-12)
    assert numpy.allclose(deviation, images.std((0, 1, 2)), rtol=1e-9)


def test_mean_and_deviation_of_cifar_are_those_that_everybody_uses(cifar):
    with mixfeed.local(cifar, workers=2) as loaders, mixfeed.Stream(loaders, batch_size=500) as stream:
        mean, deviation = stream.measure()
    assert numpy.round(mean, 4).tolist() == [0.4914, 0.4822, 0.4465]
    assert numpy.round(deviation, 4).tolist() == [0.247, 0.2435, 0.2616]


def test_a_stream_is_made_by_what_another_says_of_itself(loaders):
    settings = {"batch_size": 50, "seed": 7, "image_size": 24, "resized_crop": 0.3, "rand_augment": True, **MIXUP}
    with mixfeed.Stream(loaders, steps=4, **settings) as stream:
        text, own = stream.spec, [batch.digest() for batch in stream]
    assert digests(loaders, spec=text, steps=4) == own
    with pytest.raises(mixfeed.SettingsError, match="give no keyword"):
        mixfeed.Stream(loaders, spec=text, seed=8)
    with mixfeed.local("synthetic:999", workers=1) as others, pytest.raises(mixfeed.MismatchError, match="serves dataset"):
        mixfeed.Stream(others, spec=text, steps=4, loader_timeout="2s")


def test_a_run_folder_says_its_stream(loaders, tmp_path):
    (tmp_path / "run.toml").write_text("format = 1\n" + mixfeed._native.spec(batch_size=40, **MIXUP))
    assert digests(loaders, run=tmp_path, steps=2) == digests(loaders, batch_size=40, steps=2, **MIXUP)
    with pytest.raises(OSError, match="nowhere"):
        mixfeed.Stream(loaders, run=tmp_path / "nowhere")


def test_keywords_lie_over_a_table_of_the_same_names(loaders):
    text = "batch-size = 40\nseed = 1\nmixup-alpha = 0.2\nmixup-prob = 0.5\n"
    assert digests(loaders, spec=text, seed=2, steps=2) == digests(loaders, batch_size=40, seed=2, steps=2, **MIXUP)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"batch_sise": 3}, TypeError, "unexpected keyword 'batch_sise'.*similar.*'batch_size'"),
        ({"batch_size": 0}, mixfeed.SettingsError, "batch size 0 is not within 1 to 65536"),
        ({"mixup_alpha": -1, "mixup_prob": 1}, mixfeed.SettingsError, "mixup_alpha is -1, it must be 0 to 1000"),
        ({"mixup_alpha": 0.2}, mixfeed.SettingsError, "mixup_prob is missing"),
        ({"mixup_until": 3}, mixfeed.SettingsError, "mixup_until has no effect"),
        ({"mixup_schedule": "20"}, mixfeed.SettingsError, "expected EPOCH:SETTINGS"),
        ({"mixup_schedule": "0:mixup-alpha=-1"}, mixfeed.SettingsError, "mixup_schedule is -1, it must be 0 to 1000"),
        ({"label_noise": 2}, mixfeed.SettingsError, "label_noise is 2, it must be 0 to 1"),
        ({"label_noise": 0.4, "split": "test"}, mixfeed.SettingsError, "it must be 0 for the test split"),
        ({"mixup_prob": 0.2}, mixfeed.SettingsError, "mixup_prob has no effect"),
        ({"split": "val"}, mixfeed.SettingsError, "expected `train` or `test`"),
        ({"rank": 2, "world": 2}, mixfeed.SettingsError, "rank is 2, it must be 0 to 1"),
        ({"rank": 0}, mixfeed.SettingsError, "rank and world go together"),
        ({"loader_timeout": 5}, mixfeed.SettingsError, "give a unit"),
        ({"tls_cert": "own.pem"}, mixfeed.SettingsError, "tls_cert and tls_key go together"),
        ({"tuning": {"hedges": True}}, mixfeed.SettingsError, "unknown field `hedges`"),
        ({"spec": "batch-sise = 3"}, mixfeed.SettingsError, "unknown field `batch-sise`"),
        ({"start": 9, "steps": 3}, mixfeed.SettingsError, "ends before its start"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, error, text):
    with pytest.raises(error, match=text):
        mixfeed.Stream(NOBODY, **settings)


def test_loaders_are_a_text_a_list_or_whoever_has_addresses(loaders):
    expected = digests(loaders, steps=2)
    assert digests(",".join(loaders.addresses), steps=2) == digests(list(loaders.addresses), steps=2) == expected
    for wrong, text in (("nowhere", "port is missing"), ([], "no loader is given"), ("unix://x", "relative")):
        with pytest.raises(mixfeed.SettingsError, match=text):
            mixfeed.Stream(wrong)


def test_a_loader_that_refuses_a_stream_is_named_with_its_words(loaders):
    with pytest.raises(mixfeed.RefusedError, match="refuses the stream.*custom"):
        mixfeed.Stream(loaders, custom_augmentation="posterise:3")


def test_without_a_loader_there_is_an_end_of_waiting():
    with pytest.raises(mixfeed.NoLoaderError, match=NOBODY) as raised:
        mixfeed.Stream(NOBODY, loader_timeout="300ms")
    assert isinstance(raised.value, ConnectionError)


def test_a_stream_that_failed_does_not_look_like_its_end(socket):
    with serving("synthetic:100", socket) as loader:
        stream = mixfeed.Stream(socket, batch_size=10, loader_timeout="500ms", tuning={"window_batches": 2, "queue_batches": 1})
        next(stream)
        loader.kill()
        loader.wait()
        for _ in range(2):
            with pytest.raises(mixfeed.NoLoaderError):
                for _ in stream:
                    pass
    # The one that was read, what lay in front of the reader and on its way there, and two of the window.
    assert 1 <= stream.stats["batches"] <= 5


def test_a_closed_stream_is_refused(loaders):
    with mixfeed.Stream(loaders) as stream:
        next(stream)
    with pytest.raises(mixfeed.ClosedError):
        next(stream)
    stream.close()
    # The one that was read, and up to two that lay in front of the reader.
    assert 1 <= stream.stats["batches"] <= 3


def test_a_token_is_asked_for_and_given(tmp_path):
    token, other = tmp_path / "token", tmp_path / "other"
    token.write_text("0123456789abcdef\n")
    other.write_text("fedcba9876543210\n")
    with mixfeed.local(DATA, workers=1, auth_token_file=token) as loaders:
        assert len(digests(loaders, steps=2, auth_token_file=token)) == 2
        for settings in ({}, {"auth_token_file": other}):
            with pytest.raises(mixfeed.Error, match="(?i)unauthenticated|token"):
                mixfeed.Stream(loaders, loader_timeout="500ms", **settings)


@pytest.fixture
def certificates(tmp_path):
    """An authority, and a certificate of 127.0.0.1 that it signed, with its key."""
    openssl = require("openssl", shutil.which("openssl"), "it is not in the PATH")

    def run(*arguments):
        subprocess.run([openssl, *arguments], check=True, stderr=subprocess.DEVNULL, cwd=tmp_path)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    run("req", "-new", *key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=own")
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "7", "-days", "2", "-extfile", "names"]
    run("x509", "-req", "-in", "own.csr", *signed, "-out", "own.pem")
    return tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "own.key"


def test_loaders_are_spoken_to_by_tls_and_shown_a_certificate(certificates):
    ca, certificate, key = certificates
    server = {"tls_cert": certificate, "tls_key": key, "tls_client_ca": ca}
    with mixfeed.local(DATA, workers=1, listen="127.0.0.1:0", **server) as loaders:
        own = {"tls_ca": ca, "tls_cert": certificate, "tls_key": key}
        assert len(digests(loaders, steps=2, **own)) == 2
        for settings in ({}, {"tls_ca": ca}):
            with pytest.raises(mixfeed.NoLoaderError):
                mixfeed.Stream(loaders, loader_timeout="500ms", **settings)


def test_audits_compare_two_loaders(loaders):
    with mixfeed.Stream(loaders, batch_size=10, steps=40, audit=2) as stream:
        until(lambda: stream.stats["replicas_serving"] == 2, "both loaders serve")
        assert len(list(stream)) == 40
        assert stream.stats["audited"] > 0 and stream.stats["corrupt"] == 0


def test_log_lines_go_through_logging(loaders, caplog):
    with caplog.at_level(logging.INFO, "mixfeed.client"), mixfeed.Stream(loaders, steps=3) as stream:
        list(stream)
    said = [record.getMessage() for record in caplog.records if record.name == "mixfeed.client"]
    assert any(line.startswith("loader connected ") and loaders.addresses[0] in line for line in said), said


def test_the_stub_of_keywords_is_the_settings_own():
    stub = SOURCES / "mixfeed/_keywords.pyi"
    if os.environ.get("MIXFEED_UPDATE_REFERENCE"):
        stub.write_text(_native.keywords())
    assert stub.read_text() == _native.keywords(), "make it anew with MIXFEED_UPDATE_REFERENCE=1"


def test_keywords_are_flags_of_train_wherever_it_has_the_setting():
    reference = SOURCES.parents[1] / "deploy/docs/REFERENCE.md"
    sections = reference.read_text().split("\n### ")
    flags = "".join(text for text in sections if text.startswith(("Augmentation flags", "mixfeed-trainer train")))
    names = {line.split(":")[0].strip() for line in _native.keywords().splitlines() if " | None" in line}
    others = {name for name in names if f"| `--{name.replace('_', '-')} " not in flags}
    assert others == {"split", "shuffle", "remainder", "sample_ids", "start"}


def test_the_stubs_name_everything_that_there_is():
    stub = ast.parse((SOURCES / "mixfeed/_native.pyi").read_text())
    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"}
    names = ("Array", "Batch", "Info", "Server", "Stream")
    for name in names:
        stubbed = {node.name for node in classes[name].body if isinstance(node, ast.FunctionDef)}
        there = {name for name in vars(getattr(_native, name)) if name[0] != "_"}
        assert {name for name in stubbed if name[0] != "_"} == there
    functions = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    assert functions | set(names) == {name for name in vars(_native) if name[0] != "_"}


def test_nothing_else_is_imported():
    heavy = "import sys, mixfeed; print([name for name in ('numpy', 'torch', 'grpc', 'google') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", heavy], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert said == "[]\n"


def test_the_stubs_of_the_protocol_are_made_of_it_and_speak_to_a_loader(loaders, tmp_path):
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("grpc_tools")
    proto = SOURCES.parent
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto}", *outputs, "mixfeed/v1/loader.proto"]
    subprocess.run(command, check=True)
    for made in (tmp_path / "mixfeed/v1").iterdir():
        if os.environ.get("MIXFEED_UPDATE_REFERENCE"):
            (SOURCES / "mixfeed/v1" / made.name).write_text(made.read_text())
        assert made.read_text() == (SOURCES / "mixfeed/v1" / made.name).read_text(), made.name
    from mixfeed.v1 import loader_pb2, loader_pb2_grpc

    options = [("grpc.enable_http_proxy", 0), ("grpc.default_authority", "localhost")]
    address = loaders.addresses[0].replace("unix://", "unix:")
    with grpc.insecure_channel(address, options) as channel:
        described = loader_pb2_grpc.LoaderServiceStub(channel).Describe(loader_pb2.DescribeRequest())
    assert described.dataset.name == "synthetic"
    # Of itself gRPC names the socket's path as authority, which HTTP/2's library resets before the loader sees the call.
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
        loader_pb2_grpc.LoaderServiceStub(channel).Describe(loader_pb2.DescribeRequest(), timeout=30)
