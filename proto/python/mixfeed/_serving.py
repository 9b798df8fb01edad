"""A loader of a data set and a transform of Python's, in this process.

Everything else about it is the loader's own: order, mixing, shards, checksums, and the settings of `mixfeed-loader serve`. It
runs in threads that take the interpreter for a sample or a transform at a time; more processes make it faster (`mixfeed.local`).
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import random
import signal
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, Callable

from mixfeed import _native
from mixfeed._dataset import Adapter, Dataset, Given, Samples, Transform, samples
from mixfeed._local import as_flags
from mixfeed.errors import ClosedError

_LOG = logging.getLogger("mixfeed.loader")

DEFAULT_WORKERS = 1
"""Threads that call the data set and the transform: not all take more than one at a time, and processes do more than threads."""


def serve(
    dataset: Dataset,
    transform: Transform | None = None,
    *,
    test: Dataset | None = None,
    name: str | None = None,
    version: int = 1,
    classes: Sequence[str] | None = None,
    kind: str = "numpy",
    index: str | os.PathLike[str] | None = None,
    listen: str = "127.0.0.1:50051",
    **flags: object,
) -> None:
    """Makes a loader of this process, until Ctrl-C or SIGTERM drain and end it: `mixfeed.serve(dataset, transform)`.

    - `dataset` has `__len__` and `__getitem__`, which gives an image and a label, a whole number below that of the classes. An
      image is uint8: an array of (height, width, channels), a tensor of (channels, height, width), or Pillow's. It must
      be the same each time: all are read once at the start, and one that differs later fails its batch. `test` is
      the test split. `classes` are names, else `dataset.classes`, else numbers.
    - `transform` is a function of an image and a generator that gives an image of the same size. It is handed images as
      the stream's other augmentation leaves them, of the size that the stream asks for, and before they are mixed; and a generator that
      belongs to this sample in this epoch under this seed: everything random must be drawn from it. `kind` says what it is handed:
      "numpy" (an array of (height, width, channels) and a numpy.random.Generator), "torch" (a tensor of (channels, height,
      width) and a torch.Generator) or "pil" (an image and a numpy.random.Generator). A stream asks for it by
      `custom_augmentation="NAME:VERSION"`.
    - `name` and `version` name both, in the digests of data and algorithm, so that loaders and runs of another version refuse each other:
      raise `version` with every change. The name is that of the data set's class unless said.
    - `index` is a file that keeps what reading all samples found; where it is there, they are not read.
    - `flags` are those of `mixfeed-loader serve`, with underscores: `tls_cert=…`, `grace="5s"`; `workers=4` are threads that call both at
      the same time, 1 unless said.

    An exception of either fails the batch that it belongs to, here and at the client, in a line.

    Raises SettingsError for what makes no sense, LoaderStartError where it cannot listen.
    """
    given = Given(dataset, transform, test=test, name=name, version=version, classes=classes, kind=kind, index=index)
    with _logs_shown(), _stopped_by_signals() as stopped:
        found = samples(given, Adapter(given), stopped.is_set)
        if not stopped.is_set():
            with Server(given, {"listen": listen, **flags}, found=found) as server:
                server.wait(lambda: not stopped.is_set())
                _LOG.info("draining; a second signal ends at once")


def serving(
    dataset: Dataset,
    transform: Transform | None = None,
    *,
    test: Dataset | None = None,
    name: str | None = None,
    version: int = 1,
    classes: Sequence[str] | None = None,
    kind: str = "numpy",
    index: str | os.PathLike[str] | None = None,
    listen: str = "127.0.0.1:0",
    **flags: object,
) -> Server:
    """The same as `serve` beside what this process does otherwise: `with mixfeed.serving(dataset) as loaders:`.

    For tests, and for notebooks, whose classes no other process could load. A training that computes in this process gives the
    interpreter to the data set and the transform, too: `mixfeed.local` does not take its time.
    """
    given = Given(dataset, transform, test=test, name=name, version=version, classes=classes, kind=kind, index=index)
    return Server(given, {"listen": listen, "grace": "2s", **flags})


LISTENING = "listening address="
"""How the line begins that says where a loader listens."""


class Server:
    """A running loader in this process. Give it to a Stream in place of addresses; its end, or `close`, stops it."""

    def __init__(self, given: Given, settings: Mapping[str, object], *, found: Samples | None = None) -> None:
        adapter = Adapter(given)
        found = found or samples(given, adapter)
        adapter.is_tried = True
        self._native = _native.Server(
            adapter,
            as_flags({**settings, "workers": settings.get("workers") or DEFAULT_WORKERS}),
            name=given.name,
            version=given.version,
            classes=found.classes(given),
            train=found.train,
            test=found.test,
            transforms=given.transform is not None,
        )
        adapter.is_tried = False
        self._tried = adapter.tried
        self._address, self._given, self._process = self._native.address, given, os.getpid()
        self._closed = False
        _LOG.info("%s%s", LISTENING, self._address)
        # Whoever waits hands log lines on, and so does this one where nobody waits.
        self._thread = threading.Thread(target=_attend, args=(weakref.ref(self._native),), name="mixfeed-serving", daemon=True)
        self._thread.start()
        _open.add(self)

    @property
    def addresses(self) -> Sequence[str]:
        """Where it listens."""
        if self.closed:
            raise ClosedError("the loaders of this machine were closed")
        return [self._address]

    @property
    def custom_augmentation(self) -> str | None:
        """How streams ask for the transform, if there is one."""
        return self._given.custom_augmentation

    @property
    def closed(self) -> bool:
        """Whether it was stopped. That of another process, of which this one is a fork, is closed here."""
        return self._closed or os.getpid() != self._process

    def wait(self, while_: Callable[[], bool] = lambda: True) -> None:
        """Waits until it has ended, as long as the condition holds."""
        while while_() and not self._native.wait():
            pass

    def drain(self) -> None:
        """Takes no more streams, and lets those that there are end, within `grace`."""
        self._native.drain()

    def close(self) -> None:
        """Stops it: drains, and waits until its threads are gone."""
        self._closed = True
        if os.getpid() == self._process:
            self._native.drain()
            self.wait()
            self._native.close()
            self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _attend(server: Callable[[], _native.Server | None]) -> None:
    """Hands log lines on until the loader has ended or nobody has it any more."""
    while True:
        native = server()
        if native is None or native.wait():
            return
        del native


_open: weakref.WeakSet[Server] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Its workers must not come to an interpreter that is gone."""
    for server in list(_open):
        server.close()


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Sets what it gives at the first SIGINT or SIGTERM, and ends the process at the second, as the loader's program does. Threads
    that are not the main one get no signals."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def _logs_shown() -> Iterator[None]:
    """Shows log lines on stderr, where nobody has said otherwise."""
    if _LOG.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(), _LOG.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)


_GLOBAL = threading.Lock()
"""Held while a transform draws from generators of the whole process."""


def seeded(transform: Callable[..., Any]) -> Transform:
    """Makes a transform of one that takes an image alone and draws from the global generators of torch, NumPy or `random`, as those
    of torchvision do: they are seeded by the generator before each call. One with `set_random_seed`, as albumentations has it, is seeded
    by that and called as `transform(image=image)["image"]`.

    One call is made at a time in a process, for there is one set of global generators. Beside a training in the same
    process it would seed the training's generators, too: use it with `mixfeed.local`.
    """
    return _Seeded(transform)


class _Seeded:
    def __init__(self, transform: Callable[..., Any]) -> None:
        self.seeded = transform

    def __call__(self, image: Any, generator: Any) -> Any:
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
        if torch is not None and isinstance(generator, torch.Generator):
            seed = generator.initial_seed()
        else:
            seed = int(generator.integers(1 << 32))
        with _GLOBAL:
            random.seed(seed)
            if numpy is not None:
                numpy.random.seed(seed)
            if torch is not None:
                torch.random.default_generator.manual_seed(seed)
            seed_own = getattr(self.seeded, "set_random_seed", None)
            if seed_own is not None:
                seed_own(seed)
                return self.seeded(image=image)["image"]
            return self.seeded(image)
