"""Loader processes on this machine, for those who have one machine.

They listen on sockets in a folder that only this user can enter, and that is locked as long as this process is there: one
that was killed leaves its folder behind, which the next one removes. Each holds the reading end of a pipe as its standard
input and stops when that ends: when it is closed here, and when this process is gone, by SIGKILL too. Their log lines
go to the logger `mixfeed.loader`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any

from mixfeed._native import __version__
from mixfeed._dataset import Adapter, Dataset, Given, Samples, Transform, samples
from mixfeed.errors import ClosedError, LoaderStartError, SettingsError

_LOG = logging.getLogger("mixfeed.loader")

_SOCKET_CHARS = 100
"""Longest path of a socket: 108 bytes on Linux, 104 on macOS, with their end."""

_PREFIX = "mixfeed-local-"
"""Of the folders."""

_OWN_FLAGS = ("grace", "listen", "log", "log-format", "stop-with-stdin", "workers")
"""What is said without being asked for."""

_ADVICE = ("Usage:", "For more information")
"""How programs are called, which is no matter of who calls `local`."""

_LEAVE_SECONDS = 5.0
"""How long a loader may take to stop before it is killed; its streams get 2 s (`grace`)."""


_PATIENCE_SECONDS = 10.0
"""How often it is said that a loader does not serve yet."""


def local(
    data: str | os.PathLike[str] | Dataset,
    workers: int | None = None,
    processes: int | None = None,
    *,
    transform: Transform | None = None,
    test: Dataset | None = None,
    name: str | None = None,
    version: int = 1,
    classes: Sequence[str] | None = None,
    kind: str = "numpy",
    index: str | os.PathLike[str] | None = None,
    **flags: object,
) -> LocalLoader:
    """Starts loaders of `data` on this machine: `with mixfeed.local("photos/", workers=8) as loaders:`.

    `data` is a folder or file of any format that `mixfeed-loader serve` reads, or "synthetic:N". `workers` are threads
    of each of `processes` loaders: one loader uses all cores, so that more of them help tests rather than speed.
    `flags` are those of `mixfeed-loader serve`, with underscores: `order="name"`, `test_fraction=0.1`; `listen="0.0.0.0:0"`
    lets other machines in.

    Or `data` is a data set of Python's, and `transform` and what follows it are those of `mixfeed.serve`. Its loaders are
    processes of Python, as many as there are CPUs unless `processes` says otherwise, which get data set and transform by
    pickle, as those of `multiprocessing` do that are spawned: a program needs its `if __name__ == "__main__":`. All samples are
    read once, in this process.

    Raises LoaderStartError with the loader's last words when one does not start, and SettingsError for a data set
    that makes no sense.
    """
    if isinstance(data, (str, os.PathLike)):
        own = {"transform": transform, "test": test, "name": name, "classes": classes, "index": index}
        for keyword, value in own.items():
            if value is not None:
                raise SettingsError(f"{keyword} is for a data set of Python's, and {data!r} is the place of one")
        return LocalLoader(data, workers=workers, processes=processes, **flags)
    given = Given(data, transform, test=test, name=name, version=version, classes=classes, kind=kind, index=index)
    return LocalLoader(given, workers=workers, processes=processes, **flags)


class LocalLoader:
    """Running loaders. Give it to a Stream in place of addresses; its end, or `close`, stops them."""

    def __init__(
        self,
        data: str | os.PathLike[str] | Given,
        *,
        workers: int | None = None,
        processes: int | None = None,
        **flags: object,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError(f"processes is {processes}, it must be 1 or more")
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise LoaderStartError(
                "loaders are started while the program is imported by one of them: put what starts them below "
                'if __name__ == "__main__":'
            )
        listen = flags.pop("listen", None)
        self._addresses: list[str] = []
        self._custom_augmentation = data.custom_augmentation if isinstance(data, Given) else None
        flags = {"grace": "2s", "workers": workers, **flags}
        # Whatever may be wrong with a data set shows before anything is started.
        found = samples(data, Adapter(data)) if isinstance(data, Given) else None
        _remove_left()
        folder, lock = _folder()
        running: list[_Process] = []
        self._lock = lock
        self._stop = weakref.finalize(self, _stop, running, folder, lock, os.getpid())
        try:
            for number in range(processes or (1 if found is None else _cpus())):
                socket = f"{folder}/{number}.sock"
                own = f"unix://{socket}" if len(socket) <= _SOCKET_CHARS else "127.0.0.1:0"
                settings = {**flags, "listen": own if listen is None else listen}
                if isinstance(data, Given):
                    assert found is not None
                    command = _worker(data, found, settings, f"{folder}/{number}.job")
                else:
                    command = [_program(), "serve", f"--data={os.fspath(data)}", "--stop-with-stdin", "--log-format=json"]
                    command += as_flags({**settings, "log": _log(settings)})
                running.append(_Process(command))
            self._addresses = [process.address() for process in running]
            if len({process.transform for process in running}) > 1:
                raise SettingsError(
                    f"the transform {self._custom_augmentation} makes something else of the same images and generators in each process: "
                    "it may depend on nothing but these two, not on the process, nor on hash() of a text, which differs from one to another"
                )
        except BaseException:
            self.close()
            raise
        self._processes = running
        _open.add(self)

    @property
    def addresses(self) -> Sequence[str]:
        """Where they listen."""
        if self.closed:
            raise ClosedError("the loaders of this machine were closed")
        return self._addresses

    @property
    def custom_augmentation(self) -> str | None:
        """How streams ask for the transform of a data set of Python's, if there is one."""
        return self._custom_augmentation

    @property
    def closed(self) -> bool:
        """Whether they were stopped."""
        return not self._stop.alive

    @property
    def pids(self) -> list[int]:
        """The process ids of the loaders."""
        return [process.popen.pid for process in self._processes]

    def close(self) -> None:
        """Stops the loaders, and waits until they are gone."""
        self._stop()

    def __enter__(self) -> LocalLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Process:
    """One loader, and the thread that reads its log."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        try:
            # A session of its own: Ctrl-C is for this process, which may want to save before it stops.
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise LoaderStartError(f"cannot start {command[0]}: {error}") from error
        self._listens: str | None = None
        self.transform: str | None = None
        """What its transform made of the images that each process shows it."""
        self._words: list[str] = []
        self._known = threading.Event()
        self._thread = threading.Thread(target=self._read, name="mixfeed-loader-log", daemon=True)
        self._thread.start()

    def address(self) -> str:
        """Where it listens, once it does."""
        told = time.monotonic()
        while not self._known.wait(0.1):  # Not without end: a signal must come through.
            if time.monotonic() > told + _PATIENCE_SECONDS:
                told = time.monotonic()
                _LOG.warning("the loader of process %d does not serve yet", self.popen.pid)
        if self._listens is None:
            raise LoaderStartError(self._why())
        return self._listens

    def _why(self) -> str:
        """Why it ended, with flags named as the keywords that they are here."""
        code, said = self.popen.wait(), "; ".join(self._words[:3]) or "it said nothing"
        unknown = re.search(r"unexpected argument '--([a-z-]+)", said)
        if unknown and unknown[1] in _OWN_FLAGS:
            program = str(self._command[0])
            return (
                f"{program} is {_version(program)}, and this package {__version__}: it does not know "
                f"--{unknown[1]}; take the loader of this version"
            )
        said = re.sub(r"--([a-z-]+)(?: <[^>]*>)?", lambda flag: flag[1].replace("-", "_"), said)
        said = said.removeprefix("error: ").replace("argument", "keyword")
        return f"the loader ended with {code} before it listened: {said}"

    def ask_to_stop(self) -> None:
        _input(self.popen).close()

    def wait(self) -> None:
        try:
            self.popen.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self._thread.join(_LEAVE_SECONDS)

    def _read(self) -> None:
        log = self.popen.stderr
        assert log is not None
        with log:
            for line in log:
                level, text, fields = _parse(line)
                if self._listens is None and text.startswith("listening "):
                    self._listens, self.transform = str(fields["address"]), fields.get("transform")
                    self._known.set()
                elif self._listens is None and level >= logging.ERROR and text and not text.startswith(_ADVICE):
                    self._words.append(text)
                _LOG.log(level, "%s", text)
        self._known.set()


def _parse(line: bytes) -> tuple[int, str, dict[str, Any]]:
    """Level, text and fields of a line of a loader's log."""
    try:
        event = json.loads(line)
        fields = dict(event["fields"])
        level = logging.getLevelName(event["level"])
    except (ValueError, KeyError, TypeError):
        return logging.ERROR, line.decode(errors="replace").strip(), {}
    rest = "".join(f" {name}={value}" for name, value in fields.items() if name != "message")
    return level if isinstance(level, int) else logging.INFO, f"{fields.get('message', '')}{rest}", fields


def as_flags(settings: Mapping[str, object]) -> list[str]:
    """Keywords as flags of `serve`."""
    given = {name: value for name, value in settings.items() if value is not None}
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
    return [f"--{name.replace('_', '-')}={text}" for name, text in texts.items()]


def _log(settings: Mapping[str, object]) -> str:
    """What the loader's program logs: as asked for, and at any rate where it listens."""
    asked = settings.get("log") or os.environ.get("MIXFEED_LOADER_LOG", "")
    return f"{asked},mixfeed_loader::commands::serve=info"


def _cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _worker(given: Given, found: Samples, settings: dict[str, object], path: str) -> list[str]:
    """The command of a loader of a data set of Python's, whose job is written to the path."""
    from mixfeed._worker import ELSEWHERE, job  # It knows multiprocessing's ways, which few need.

    try:
        text = job(given, found, settings)
    except Exception as error:
        raise SettingsError(
            f"data set and transform must be such as pickle takes, for other processes to have them ({error}): {ELSEWHERE}"
        ) from error
    with open(path, "wb") as file:
        file.write(text)
    return [sys.executable, "-m", "mixfeed._worker", path]


def _input(popen: subprocess.Popen[bytes]) -> IO[bytes]:
    assert popen.stdin is not None
    return popen.stdin


def _folder() -> tuple[str, int]:
    """A new folder, locked."""
    while True:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        with contextlib.suppress(FileNotFoundError):  # Who removes what is left was here first.
            lock = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # Where nothing can be locked, nothing is removed either.
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(folder):
                return folder, lock
            os.close(lock)


def _remove_left() -> None:
    """Removes the folders of processes that were killed: those that nobody holds locked."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # Another user's, held, or gone by now.
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _stop(processes: list[_Process], folder: str, lock: int, owner: int) -> None:
    if os.getpid() != owner:  # They are the loaders of the process that this one is a fork of.
        return
    for process in processes:
        process.ask_to_stop()
    for process in processes:
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


_open: weakref.WeakSet[LocalLoader] = weakref.WeakSet()


def _forget() -> None:
    """In a fork: its copies of the pipes' writing ends would keep the loaders alive, and that of the lock the folder."""
    for loaders in _open:
        if not loaders.closed:
            os.close(loaders._lock)
        for process in loaders._processes:
            _input(process.popen).close()


os.register_at_fork(after_in_child=_forget)


def _version(program: str) -> str:
    """What a loader says of its version."""
    try:
        said = subprocess.run([program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    except OSError:
        said = ""
    return next(iter(said.splitlines()), "of an unknown version")


def _program() -> str:
    """The loader's program: named by MIXFEED_LOADER, inside the package, or in the PATH."""
    named = os.environ.get("MIXFEED_LOADER")
    if named:
        return named
    packaged = pathlib.Path(__file__).with_name("bin") / "mixfeed-loader"
    if packaged.exists():
        return str(packaged)
    found = shutil.which("mixfeed-loader")
    if found is None:
        raise LoaderStartError(
            "there is no mixfeed-loader: this wheel has none inside, and none is in the PATH; "
            "install it, or name its file in MIXFEED_LOADER"
        )
    return found
