"""The programs of the documents run as they stand there."""

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
    exec(compile(text, name, "exec"), {"__name__": "__main__"})


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
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]


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
        said = capsys.readouterr().out
        assert [line.partition(":")[0] for line in said.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]
        saved = torch.load(tmp_path / "checkpoint.pt")
        assert saved["loader"]["next"] == 3 * 16 and saved["model"]["1.weight"].shape == (10, 3072)
