"""The programs of the documents run as they stand there."""

import pathlib
import struct
import zlib

import pytest

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


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_page_on_pytorch_run(number, tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    found = programs("deploy/docs/PYTORCH.md")
    assert len(found) == 2
    monkeypatch.chdir(tmp_path)
    ran(found[number], f"block {number} of PYTORCH.md")
    if number == 0:
        said = capsys.readouterr().out
        assert [line.partition(":")[0] for line in said.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]
        saved = torch.load(tmp_path / "checkpoint.pt")
        assert saved["loader"]["next"] == 3 * 16 and saved["model"]["1.weight"].shape == (10, 3072)
