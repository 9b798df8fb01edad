"""The package by itself, with no other beside it: one module and the same files for every interpreter from 3.9 on."""

import os
import pathlib
import shutil
import subprocess

import pytest
from conftest import MIXUP, require

import mixfeed

PACKAGE = pathlib.Path(mixfeed.__file__).parent

READ = f"""
import pathlib, sys, mixfeed
for path in pathlib.Path(mixfeed.__file__).parent.rglob("*.py"):
    compile(path.read_bytes(), path, "exec")
with mixfeed.Stream(sys.argv[1], batch_size=100, epochs=1, **{MIXUP}) as stream:
    print("%d.%d" % sys.version_info[:2], *(batch.digest() for batch in stream))
"""


def interpreter(version):
    """That of a version: in the PATH, or pyenv's, which puts only those into it that were chosen."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    folders = [*map(str, pyenv.glob("versions/*/bin")), os.environ["PATH"]]
    found = shutil.which(f"python{version}", path=os.pathsep.join(folders))
    # What stands in for one that was not chosen is found, and does not run.
    runs = found is not None and subprocess.run([found, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0
    return found if runs else None


@pytest.mark.parametrize("version", [f"3.{minor}" for minor in range(9, 15)])
def test_every_interpreter_reads_the_same_batches(version, loaders, tmp_path):
    name = f"python{version}"
    python = require(name, interpreter(version), "it is neither in the PATH nor among pyenv's")
    (tmp_path / "mixfeed").symlink_to(PACKAGE)
    # No site-packages (-S): neither NumPy nor PyTorch can be found.
    command = [python, "-S", "-c", READ, loaders.addresses[0]]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    with mixfeed.Stream(loaders, batch_size=100, epochs=1, **MIXUP) as stream:
        assert said.split() == [version, *(batch.digest() for batch in stream)]
