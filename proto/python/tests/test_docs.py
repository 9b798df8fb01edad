"""The programs of the documents run as they stand there."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[3]


def programs(path):
    """The blocks of Python in a document."""
    parts = (ROOT / path).read_text().split("\n```python\n")[1:]
    return [part.split("\n```")[0] for part in parts]


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_page_on_pytorch_run(number, tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    found = programs("deploy/docs/PYTORCH.md")
    assert len(found) == 2
    monkeypatch.chdir(tmp_path)
    exec(compile(found[number], f"block {number} of PYTORCH.md", "exec"), {"__name__": "__main__"})
    if number == 0:
        said = capsys.readouterr().out
        assert [line.partition(":")[0] for line in said.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]
        saved = torch.load(tmp_path / "checkpoint.pt")
        assert saved["loader"]["next"] == 3 * 16 and saved["model"]["1.weight"].shape == (10, 3072)
