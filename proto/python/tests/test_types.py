"""A program that uses the package passes mypy's strict checks, and one that uses it wrongly does not."""

import os
import pathlib
import subprocess
import sys

import pytest

import mixfeed

SAMPLE = """
from __future__ import annotations

import mixfeed


def digests(loaders: mixfeed.LocalLoader | mixfeed.Server | str | list[str], seed: int) -> list[str]:
    with mixfeed.Stream(loaders, batch_size=64, seed=seed, color_jitter=[0.4, 0.4, 0.4], epochs=1) as stream:
        classes: list[str] = stream.info.classes
        assert len(classes) > 1 and stream.stats["batches"] == 0
        return [batch.digest() for batch in stream]


def main() -> None:
    try:
        with mixfeed.local("synthetic:100", workers=1) as loaders:
            print(digests(loaders, 1), digests(list(loaders.addresses), 2))
    except mixfeed.NoLoaderError as error:
        print(error)


main()


class Squares:
    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        return bytes(index), 0


def transform(image: object, generator: object) -> object:
    return image


def served() -> None:
    with mixfeed.serving(Squares(), transform, version=2) as server, mixfeed.local(Squares(), transform=transform) as loaders:
        print(digests(server, 1), loaders.custom_augmentation)
    mixfeed.serve(Squares(), mixfeed.seeded(transform), workers=1)
"""

TORCH = """
from __future__ import annotations

import torch

import mixfeed.torch

loader = mixfeed.torch.Loader("127.0.0.1:50051", batch_size=64, dtype=torch.bfloat16, targets="soft")
state: mixfeed.torch.State = loader.state_dict()
loader.load_state_dict(state)
steps: int = len(loader) * loader.epoch
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What mypy found out about torch is kept from test to test, and from run to run with an environment of our own."""
    pytest.importorskip("mypy")
    own = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    return pathlib.Path(sys.prefix, "mypy-cache") if own else tmp_path_factory.mktemp("mypy")


def mypy(cache, folder, *arguments, path=""):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *map(str, arguments)]
    environment = {**os.environ, "MYPYPATH": path, "PYTHONPATH": ""}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)
    return done.returncode, done.stdout


def check(text, cache, folder, *options):
    # Given by its whole path: by its name alone, mypy's cache takes two samples of one length and one second for the same.
    sample = folder / "sample.py"
    sample.write_text(text)
    # Found as an installed package is, with its py.typed, where it is one.
    root = pathlib.Path(mixfeed.__file__).parents[1]
    return mypy(cache, folder, *options, sample, path="" if root.name == "site-packages" else str(root))


def test_a_program_passes_mypys_strict_checks(cache, tmp_path):
    assert check(SAMPLE, cache, tmp_path) == (0, "Success: no issues found in 1 source file\n")


def test_a_keyword_that_there_is_not_fails_them(cache, tmp_path):
    code, said = check(SAMPLE.replace("batch_size=64", "batch_sise=64"), cache, tmp_path)
    assert code == 1 and 'Unexpected keyword argument "batch_sise"' in said


def test_a_training_passes_mypys_strict_checks(cache, tmp_path):
    pytest.importorskip("torch")
    # torch's own types are taken as they are.
    said = check(TORCH, cache, tmp_path, "--follow-imports=silent")
    assert said == (0, "Success: no issues found in 1 source file\n")


def test_the_package_passes_mypys_strict_checks(cache):
    pytest.importorskip("torch")
    modules = [f"--module=mixfeed{name}" for name in ("", ".errors", ".doctor", "._local", "._dataset", "._serving", "._worker", "._training", ".torch")]
    said = mypy(cache, pathlib.Path(__file__).parents[1], "--follow-imports=silent", *modules)
    assert said == (0, "Success: no issues found in 9 source files\n")
