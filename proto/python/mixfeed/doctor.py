"""Whether everything is there that streams need: `python -m mixfeed.doctor [ADDRESS]...`

A line for each thing says what was found, or what to do. Without addresses a loader of this machine is started and asked for a
batch of drawings; with them, each loader is asked by itself. The exit code is 1 when a line begins with FAILED.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from collections.abc import Callable

import mixfeed
from mixfeed import _local

_TIMEOUT = "5s"
"""For a loader that somebody waits for in front of a terminal."""

_ROWS = 32


def main(addresses: list[str]) -> int:
    """Prints the lines, and returns the exit code."""
    checks: list[tuple[str, Callable[[], str], str]] = [("package", _package, "")]
    if addresses:
        advice = "see that mixfeed-loader serves there, and that this machine may reach it"
        for address in addresses:
            checks.append((address, lambda address=address: _batch(address), advice))  # type: ignore[misc]
    else:
        advice = "take a wheel with the loader inside, or name the program in MIXFEED_LOADER"
        checks.append(("loader", _loader, advice))
        checks.append(("batch", _local_batch, "run `mixfeed-loader serve --data synthetic:64` by hand, and read what it says"))
    failed = [not _line(*check) for check in checks]
    _optional("numpy", "numpy.from_dlpack", lambda module: "takes arrays without a copy")
    _optional("torch", "mixfeed.torch", _torch)
    return int(any(failed))


def _line(name: str, check: Callable[[], str], advice: str) -> bool:
    try:
        print(f"ok      {name}: {check()}")
    except Exception as error:  # Whatever it is, the other lines are wanted, too.
        print(f"FAILED  {name}: {error}" + (f"; {advice}" if advice else ""))
        return False
    return True


def _optional(name: str, needing: str, use: Callable[[object], str]) -> None:
    """A package that is used where it is installed."""
    try:
        module = importlib.import_module(name)
        print(f"ok      {name}: {getattr(module, '__version__', '')}, {use(module)}")
    except ImportError as error:
        print(f"without {name}: {error}; {needing} needs it")


def _package() -> str:
    return f"mixfeed {mixfeed.__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def _loader() -> str:
    program = _local._program()
    version = _local._version(program)
    if version.split()[1:2] != [mixfeed.__version__]:
        raise mixfeed.LoaderStartError(f"{program} is {version}, and this package {mixfeed.__version__}")
    return f"{program}, {version}"


def _local_batch() -> str:
    started = time.monotonic()
    with mixfeed.local(f"synthetic:{2 * _ROWS}", workers=1) as loaders:
        seconds = time.monotonic() - started
        return f"{_batch(loaders)}; the loader started within {seconds:.1f} s"


def _batch(loaders: str | mixfeed.LocalLoader) -> str:
    with mixfeed.Stream(loaders, batch_size=_ROWS, loader_timeout=_TIMEOUT) as stream:
        started = time.monotonic()
        batch = next(stream)
        seconds, info = time.monotonic() - started, stream.info
        shape = "x".join(map(str, info.shape))
        return f"{len(batch)} images of {shape} of {info.dataset} within {seconds:.2f} s, digest {batch.digest()[:12]}"


def _torch(module: object) -> str:
    importlib.import_module("mixfeed.torch")
    cuda = getattr(module, "cuda")
    if not cuda.is_available():
        return "without a CUDA device"
    return ", ".join(f"cuda:{number} {cuda.get_device_name(number)}" for number in range(cuda.device_count()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
