"""What the tests share: loader processes, programs run in a process of their own, and needs that may be lacking.

`MIXFEED_TEST_LOADER` is the loader's program. A need that is lacking skips a test with a reason, or fails it where
`MIXFEED_REQUIRE` (a list with commas) promised it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from socket import socket as Socket

import pytest

import mixfeed
from mixfeed import _local

# A wheel to be handed on has a loader inside, which is then found as by whoever installs it.
if "MIXFEED_TEST_LOADER" in os.environ:
    os.environ.setdefault("MIXFEED_LOADER", os.environ["MIXFEED_TEST_LOADER"])

LOADER = _local._program()
"""The loader's program."""

DATA = "synthetic:1000"

_TAKEN = Socket()
_TAKEN.bind(("127.0.0.1", 0))

NOBODY = f"127.0.0.1:{_TAKEN.getsockname()[1]}"
"""Where nobody listens, nor will: the port is taken."""

MIXUP = {"mixup_alpha": 0.2, "mixup_prob": 0.5}

PATIENCE_SECONDS = 60.0
"""For what must come; a busy machine is no failure."""


def require(need: str, found: str | None, why: str) -> str:
    """What a test needs, or its end."""
    if found:
        return found
    if need in os.environ.get("MIXFEED_REQUIRE", "").split(","):
        pytest.fail(f"{need} is required here and missing: {why}")
    pytest.skip(f"{need}: {why}")


def until(holds: Callable[[], bool], what: str) -> None:
    """Waits for what must come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(0.01)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes what became of each test, a line each, for `cargo xtask python` to count."""
    path = os.environ.get("MIXFEED_TEST_REPORT")
    if path and (report.when == "call" or report.outcome != "passed"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        with open(path, "a") as lines:
            name = report.nodeid.rpartition("/")[2]
            json.dump({"name": name, "outcome": report.outcome, "why": why.removeprefix("Skipped: ")}, lines)
            lines.write("\n")


@pytest.fixture(scope="session")
def loaders() -> Iterator[mixfeed.LocalLoader]:
    """Two loaders of the same data."""
    with mixfeed.local(DATA, workers=1, processes=2) as started:
        yield started


@contextlib.contextmanager
def serving(data: str, listen: str) -> Iterator[subprocess.Popen[bytes]]:
    """One loader at an address of the test's choice."""
    command = [LOADER, "serve", "--data", data, "--listen", listen, "--workers", "1"]
    with subprocess.Popen(
        [*command, "--stop-with-stdin"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as loader:
        try:
            yield loader
        finally:
            loader.kill()


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Processes that do nothing for a time, as a machine that hangs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class Program:
    """A Python program in a process of its own, whose input ends when its end is waited for."""

    def __init__(self, text: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return line.strip() or pytest.fail(f"it said nothing more: {self.process.communicate()[1]}")

    def end(self, seconds: float = PATIENCE_SECONDS) -> tuple[int, str, str]:
        """Its exit code and what it printed."""
        try:
            stdout, stderr = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"it hangs: {self.process.communicate()[1]}")
        return self.process.returncode, stdout, stderr

    def succeed(self, seconds: float = PATIENCE_SECONDS) -> str:
        """What it printed, once it has ended well."""
        code, stdout, stderr = self.end(seconds)
        assert code == 0, stderr
        return stdout


@pytest.fixture
def cifar() -> str:
    """The folder with CIFAR-10."""
    folder = os.environ.get("MIXFEED_TEST_DATA")
    return require("data", folder, "MIXFEED_TEST_DATA names no folder with CIFAR-10")


@pytest.fixture
def socket() -> Iterator[str]:
    """An address at which nobody listens; pytest's own folders are too long for one."""
    with tempfile.TemporaryDirectory(prefix="mixfeed-") as folder:
        yield f"unix://{folder}/socket"
