"""The programs of the documents run as they stand there."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]


def programs(path):
    """The blocks of Python in a document."""
    parts = (ROOT / path).read_text().split("\n```python\n")[1:]
    return [part.split("\n```")[0] for part in parts]


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_page_on_pytorch_run(number, tmp_path):
    pytest.importorskip("torch")
    found = programs("deploy/docs/PYTORCH.md")
    assert len(found) == 2
    done = subprocess.run([sys.executable, "-c", found[number]], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    if number == 0:
        import torch

        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]
        saved = torch.load(tmp_path / "checkpoint.pt")
        assert saved["loader"]["next"] == 3 * 16 and saved["model"]["1.weight"].shape == (10, 3072)
