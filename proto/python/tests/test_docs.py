"""The programs of the documents run as they stand there."""

import contextlib
import importlib.util
import json
import pathlib
import struct
import subprocess
import sys
import zlib

import pytest
from conftest import Program

ROOT = pathlib.Path(__file__).parents[3]


def programs(path):
    """The blocks of Python in a document."""
    parts = (ROOT / path).read_text().split("\n```python\n")[1:]
    return [part.split("\n```")[0] for part in parts]


def ran(text, name):
    """What a program has in its names when it has ended."""
    names = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), names)
    return names


def epochs(said):
    return [line.partition(":")[0] for line in said.splitlines() if line.startswith("epoch")]


def photographs(folder):
    """PNG files of many sizes in two folders of classes, with no library's help."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for number in range(40):
        width, height = 40 + number, 90 - number
        row = bytes([0]) + bytes((x * number) % 256 for x in range(3 * width))
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        image = header + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")
        path = folder / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + image)
    return str(folder)


@pytest.mark.parametrize("data", ["drawings", "photographs", "cifar"])
def test_the_readmes_program_trains_on(data, request, tmp_path, capsys):
    pytest.importorskip("torch")
    (program,) = programs("proto/python/README.md")
    if data == "photographs":
        program = program.replace('"synthetic:2000"', repr(photographs(tmp_path / "photographs")))
    elif data == "cifar":
        program = program.replace('"synthetic:2000"', repr(request.getfixturevalue("cifar")))
        program = program.replace("batch_size=128,", "batch_size=128, limit=2000,")
    ran(program, "README.md")
    assert epochs(capsys.readouterr().out) == ["epoch 0", "epoch 1", "epoch 2"]


def test_the_program_with_a_data_set_of_ones_own_runs(tmp_path):
    pytest.importorskip("torchvision")
    (program,) = [text for text in programs("deploy/docs/PYTORCH.md") if "__main__" in text]
    path = tmp_path / "program.py"  # A file, for other processes to import.
    path.write_text(program)
    done = subprocess.run([sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert (done.stdout, done.returncode) == ("400\n", 0), done.stderr


def test_the_notebook_runs_from_start_to_end_and_says_what_it_says_there(tmp_path, monkeypatch):
    pytest.importorskip("torch"), pytest.importorskip("PIL")
    notebook = json.loads((ROOT / "proto/python/examples/mixup.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) == 10
    monkeypatch.chdir(tmp_path)
    said = Program("\n".join("".join(cell["source"]) for cell in cells)).succeed().splitlines()
    shown = [output["text"] for cell in cells for output in cell["outputs"] if output["output_type"] == "stream"]
    expected = [line.rstrip() for text in shown for line in text]
    assert len(said) == len(expected) == 9 and said[-1] == "the same weights, bit for bit"
    # A loss is of the machine that computed it.
    assert [line for line in said if "loss" not in line] == [line for line in expected if "loss" not in line]


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_page_on_pytorch_run(number, tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    found = [text for text in programs("deploy/docs/PYTORCH.md") if "__main__" not in text]
    assert len(found) == 2
    monkeypatch.chdir(tmp_path)
    ran(found[number], f"block {number} of PYTORCH.md")
    if number == 0:
        assert epochs(capsys.readouterr().out) == ["epoch 0", "epoch 1", "epoch 2"]
        saved = torch.load(tmp_path / "checkpoint.pt")
        assert saved["loader"]["next"] == 3 * 16 and saved["model"]["1.weight"].shape == (10, 3072)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The program of the page on recipes that imports a library. Networks this small take one thread; two that wait for each
    other on a busy machine take ten times as long."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def of(library):
        if not importlib.util.find_spec(library):
            pytest.skip(f"{library}: it is not installed")
        (program,) = [text for text in programs("deploy/docs/RECIPES.md") if f"import {library}" in text]
        return program

    monkeypatch.chdir(tmp_path)
    yield of
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("library", "count"), [("timm", 2), ("jax", 3)])
def test_the_recipe_runs_for(library, count, recipe):
    said = Program(recipe(library)).succeed(300)  # In a process of its own: JAX has threads, and other tests fork.
    assert epochs(said) == [f"epoch {number}" for number in range(count)]


STOPPED = {
    "lightning": ("max_epochs=3,", "max_steps=20,"),
    "accelerate": ('save_state("checkpoint")', 'save_state("checkpoint"), exit()'),
}
"""How a training ends at its first checkpoint, in the middle of the second of three epochs of 16 steps."""

TRAINED = {"lightning": "trainer.lightning_module", "accelerate": "model"}


@pytest.mark.parametrize("library", STOPPED)
def test_a_training_stopped_in_mid_epoch_ends_with_its_weights_by(library, recipe, tmp_path, monkeypatch):
    torch, program = pytest.importorskip("torch"), recipe(library)
    assert program.count(STOPPED[library][0]) == 1

    def weights():
        model = eval(TRAINED[library], ran(program, library))
        return torch.nn.utils.parameters_to_vector(model.parameters())

    expected = weights()
    (tmp_path / "stopped").mkdir()
    monkeypatch.chdir(tmp_path / "stopped")
    with contextlib.suppress(SystemExit):
        ran(program.replace(*STOPPED[library]), library)
    assert torch.equal(weights(), expected)


TORCHRUN = "-m torch.distributed.run --nproc-per-node=2 --rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:0"

LAUNCHED = {
    "lightning": [],  # It starts the second process by itself.
    "accelerate": [*TORCHRUN.split(), "--local-addr=127.0.0.1"],
}


@pytest.mark.parametrize("library", LAUNCHED)
def test_two_ranks_train_the_weights_of_one_by(library, recipe, tmp_path, monkeypatch):
    torch, program = pytest.importorskip("torch"), recipe(library)
    if not torch.distributed.is_available():
        pytest.skip("torch: it was built without torch.distributed")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")  # Where it finds no GPU, it would train without a group.
    weights = f"torch.nn.utils.parameters_to_vector({TRAINED[library]}.parameters()).detach()"
    program += f"\nimport os\ntorch.save({weights}, 'rank' + os.environ.get('LOCAL_RANK', ''))"
    ran(program, library)
    (tmp_path / "two").mkdir()
    monkeypatch.chdir(tmp_path / "two")
    pathlib.Path("program.py").write_text(program.replace("max_epochs=3,", "max_epochs=3, accelerator='cpu', devices=2,"))
    subprocess.run([sys.executable, *LAUNCHED[library], "program.py"], check=True)
    for rank in range(2):
        torch.testing.assert_close(torch.load(f"rank{rank}"), torch.load(tmp_path / "rank"))
