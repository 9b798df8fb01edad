"""A data set and a transform of Python's, as a loader calls them: what counts as an image, what a transform is handed, and
what is said when one of them fails.

A loader must give the same whenever it is asked, and the same as every other one. So all samples are read once before
anything is served, and their shapes, labels and hashes are the data set's identity; the loader holds what it reads later
against them. A transform is handed a generator that was made of the stream's seed, the epoch and the sample alone.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import logging
import operator
import os
import pathlib
import re
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, Protocol

from mixfeed import _native
from mixfeed.errors import SettingsError

_LOG = logging.getLogger("mixfeed.loader")

_NAME = re.compile(r"[a-z0-9-]{1,32}")

_RECORD_BYTES = 32
"""Four numbers of 32 bits (height, width, channels, label) and 16 bytes of a hash."""

_MAGIC = b"mixfeed samples 1\n"

_READ_TWICE = 4
"""Samples at the beginning of a split that are read twice, to see whether they are the same."""

_SHOWN_TWICE_EVERY = 100
"""One call of a transform in so many is made twice, and both must give the same."""

_MOST_CLASSES = 1 << 16
"""Labels are below this, as in shards and tables."""

_PROGRESS_SECONDS = 10.0

KINDS = ("numpy", "torch", "pil")
"""As what a transform is handed its image."""


class Dataset(Protocol):
    """What a data set has to have; `torch.utils.data.Dataset` is one, and so is a list."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


Transform = Callable[[Any, Any], Any]
"""Makes an image of the same size of an image and a generator."""


class Given:
    """A data set, a transform and their name, checked: what `serve` and `local` are given."""

    def __init__(
        self,
        dataset: Dataset,
        transform: Transform | None = None,
        *,
        test: Dataset | None = None,
        name: str | None = None,
        version: int = 1,
        classes: Sequence[str] | None = None,
        kind: str = "numpy",
        index: str | os.PathLike[str] | None = None,
    ) -> None:
        for has in ("__len__", "__getitem__"):
            if not hasattr(dataset, has):
                raise SettingsError(f"the data set is {dataset!r:.60}, it must have __len__ and __getitem__")
        if transform is not None and not callable(transform):
            raise SettingsError(f"transform is {transform!r:.60}, it must be a function of an image and a generator")
        own = getattr(transform, "seeded", transform)  # In what `mixfeed.seeded` made.
        if type(own).__module__.partition(".")[0] == "torchvision":
            if own is transform:
                raise SettingsError("torchvision's transforms draw from global generators: give mixfeed.seeded(transform)")
            if kind == "numpy":
                raise SettingsError('torchvision\'s transforms leave arrays as they are: ask for kind="torch" or kind="pil"')
        if kind not in KINDS:
            raise SettingsError(f"kind is {kind!r}, it must be one of {', '.join(KINDS)}")
        if name is None:
            name = re.sub("[^a-z0-9]+", "-", type(dataset).__name__.lower()).strip("-")[:32]
        if not _NAME.fullmatch(name) or name == "synthetic":
            raise SettingsError(f"name is {name!r}, it must be 1 to 32 of a-z, 0-9 and -, and not synthetic")
        if operator.index(version) < 1:
            raise SettingsError(f"version is {version}, it must be 1 or more")
        self.classes = _class_names(dataset, classes)
        self.splits: tuple[Dataset, Dataset] = (dataset, () if test is None else test)
        self.transform, self.name, self.version, self.kind = transform, name, operator.index(version), kind
        self.index = None if index is None else pathlib.Path(index)

    @property
    def custom_augmentation(self) -> str | None:
        """How streams ask for the transform."""
        return None if self.transform is None else f"{self.name}:{self.version}"


class Adapter:
    """What a loader calls, from any of its threads."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._calls = itertools.count()
        self._told: set[str] = set()
        self._impure: str | None = None
        """What was found wrong with the transform. Each later batch fails as well: another try proves nothing."""
        self.is_tried = False
        """While it is, the transform is shown the images by which a loader names its algorithm; it may fail on them."""
        self.tried = 0
        """What it made of them, in whichever order: the same in each process."""

    def read(self, is_test: bool, index: int) -> tuple[bytes, int, int, int, int]:
        """A sample: height * width * channels bytes, those three, and the label."""
        sample = self._given.splits[is_test][index]
        try:
            if isinstance(sample, (str, bytes, Mapping)):
                raise TypeError
            image, label = sample
        except (TypeError, ValueError):
            raise TypeError(f"it is {_kind(sample)}, it must be an image and a label") from None
        pixels = _pixels(image)
        try:
            number = operator.index(label)
        except TypeError:
            raise TypeError(f"its label is {label!r:.60}, it must be a whole number") from None
        return (pixels.tobytes(), *pixels.shape, number)

    def show(self, pixels: bytearray, height: int, width: int, channels: int, key: bytes) -> bytes:
        """The image as the transform shows it, of the same size."""
        if self.is_tried:
            return self._tried(pixels, (height, width, channels), key)
        if self._impure is not None:
            raise ValueError(self._impure)
        twice = bytes(pixels) if next(self._calls) % _SHOWN_TWICE_EVERY == 0 else None
        shape = (height, width, channels)
        shown = self._shown(pixels, shape, key)
        if twice is not None and shown != self._shown(bytearray(twice), shape, key):
            self._impure = (
                "it gives two results for one image and one generator: everything random must be drawn from the generator "
                "that it is handed"
            )
            raise ValueError(self._impure)
        return shown

    def try_on(self, sample: int) -> None:
        """Sees whether the transform takes a sample at all."""
        pixels, height, width, channels, _ = self.read(False, sample)
        try:
            self._shown(bytearray(pixels), (height, width, channels), bytes(16))
        except Exception as error:
            raise SettingsError(f"the transform fails on sample {sample}: {self.explain(error)[1]}") from error

    def _tried(self, pixels: bytearray, shape: tuple[int, int, int], key: bytes) -> bytes:
        length = len(pixels)
        try:
            shown = self._shown(pixels, shape, key)
        except Exception as error:
            # Of images like these there may be none in the data set. That it fails, and how, is a part of what it computes.
            said = type(error).__name__.encode()
            shown = (said * (length // len(said) + 1))[:length]
        self.tried = (self.tried + int.from_bytes(hashlib.blake2b(shown, digest_size=16).digest(), "little")) % (1 << 128)
        return shown

    def _shown(self, pixels: bytearray, shape: tuple[int, int, int], key: bytes) -> bytes:
        assert self._given.transform is not None
        shown = _pixels(self._given.transform(*_handed(self._given.kind, pixels, shape, key)))
        if shown.shape != shape:
            raise ValueError(
                f"the image was {_text(shape)} and is {_text(shown.shape)}: a transform keeps the size, which image_size and "
                "resized_crop of the stream say"
            )
        return bytes(shown.tobytes())

    def explain(self, error: BaseException) -> tuple[bool, str]:
        """Whether it may be better in a moment, and the exception in a line with the place it comes from."""
        place = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__][-1:]
        where = "".join(f" ({os.path.basename(frame.filename)}:{frame.lineno})" for frame in place)
        said = in_a_line(error) + where
        if said not in self._told and len(self._told) < 100:
            self._told.add(said)
            whole = "".join(traceback.format_exception(type(error), error, error.__traceback__)).strip()
            _LOG.error("an exception in the data set or the transform %s\n%s", self._given.name, whole)
        return isinstance(error, OSError), said


def in_a_line(error: BaseException) -> str:
    """Type and first line of an exception."""
    lines = "".join(traceback.format_exception_only(type(error), error)).splitlines()
    # Before that of a SyntaxError there are lines of code.
    return next((line for line in lines if line and not line[0].isspace()), type(error).__name__)


def _class_names(dataset: Dataset, given: Sequence[str] | None) -> list[str] | None:
    """The names of the classes: those given, or the data set's own, if it has any."""
    named = getattr(dataset, "classes", None) if given is None else given
    if named is None or (given is None and callable(named)):
        return None
    if isinstance(named, (str, bytes)) or not isinstance(named, Iterable):
        raise SettingsError(f"classes is {named!r:.60}, it must be a list of names")
    names = [str(each) for each in named]
    # Those that come with a data set may be: ImageNet has two cranes.
    if given is not None and len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise SettingsError(f"classes has {again!r} twice: a label is a position in this list")
    return names


def _kind(value: object) -> str:
    """Type of a value, and its shape if it has one."""
    shape = getattr(value, "shape", None)
    return f"of type {type(value).__name__}" + ("" if shape is None else f" and shape {tuple(shape)}")


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _pixels(image: Any) -> Any:
    """An image as an array of uint8, of (height, width, channels)."""
    import numpy

    torch = sys.modules.get("torch")
    if torch is not None and isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    else:
        mode = getattr(image, "mode", None)
        # Of numbers beyond a byte (I, I;16, F) Pillow keeps what fits, and all else is white or black.
        if isinstance(mode, str) and mode not in ("L", "RGB") and mode[0] not in "IF":
            image = image.convert("RGB")
        array = numpy.asarray(image)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.dtype != numpy.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise TypeError(
            f"the image is a {type(image).__name__} of {array.dtype} and shape {tuple(getattr(image, 'shape', array.shape))}: it must be uint8, an array of "
            "(height, width, channels), a tensor of (channels, height, width) or an image of Pillow's, of 1 or 3 channels"
        )
    return array


def _handed(kind: str, pixels: bytearray, shape: tuple[int, int, int], key: bytes) -> tuple[Any, Any]:
    """What a transform is handed: an image, and a generator that belongs to it alone."""
    import numpy

    image = numpy.frombuffer(pixels, numpy.uint8).reshape(shape)
    if kind == "torch":
        import torch

        # The generator of the CPU takes 32 bits of its seed.
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=4).digest(), "little")
        return torch.from_numpy(image).permute(2, 0, 1), torch.Generator().manual_seed(seed)
    generator = numpy.random.Generator(numpy.random.Philox(key=numpy.frombuffer(key, numpy.uint64)))
    if kind == "pil":
        from PIL import Image

        return Image.fromarray(image[:, :, 0] if shape[2] == 1 else image), generator
    return image, generator


class Samples:
    """What reading all samples found: a record each of both splits."""

    def __init__(self, train: bytes, test: bytes) -> None:
        self.train, self.test = train, test

    def classes(self, given: Given) -> list[str]:
        """The names of the classes; numbers where the data set has none."""
        if given.classes is not None:
            return given.classes
        both = self.train + self.test
        labels = (int.from_bytes(both[at + 12 : at + 16], "little") for at in range(0, len(both), _RECORD_BYTES))
        return [str(label) for label in range(1 + max(labels))]


def samples(given: Given, adapter: Adapter, stopped: Callable[[], bool] = lambda: False) -> Samples:
    """All samples, by the index if there is one of this data set, which is written where there is none. Fewer once it is stopped."""
    lengths = [len(split) for split in given.splits]
    if not lengths[0]:
        raise SettingsError("the data set has no samples")
    if given.transform is not None:
        adapter.try_on(0)
    if given.index is not None and given.index.exists():
        known = _load(given, lengths)
        if known is not None:
            return known
        _LOG.warning("%s is not the index of this data set, its version and its length: all is read anew", given.index)
    started = time.monotonic()
    train, test = (_read_all(adapter, bool(number), length, stopped) for number, length in enumerate(lengths))
    _LOG.info("read %d samples in %.1f s", sum(lengths), time.monotonic() - started)
    found = Samples(train, test)
    if given.index is not None and not stopped():
        _save(given.index, _head(given, lengths), found)
    return found


def _read_all(adapter: Adapter, is_test: bool, length: int, stopped: Callable[[], bool]) -> bytes:
    records, told = bytearray(), time.monotonic()
    read = functools.partial(_record, adapter, is_test)
    for number in range(length):
        if stopped():
            break
        record = read(number)
        if number < _READ_TWICE and read(number) != record:
            raise SettingsError(
                f"sample {number} of the data set is another one when it is read again: it must give the same each time; what is "
                "random belongs into the transform, which is handed a generator"
            )
        records += record
        if time.monotonic() > told + _PROGRESS_SECONDS:
            told = time.monotonic()
            _LOG.info("read %d of %d samples", number + 1, length)
    return bytes(records)


def _record(adapter: Adapter, is_test: bool, number: int) -> bytes:
    try:
        pixels, *numbers = adapter.read(is_test, number)
    except Exception as error:
        raise SettingsError(f"sample {number} of the data set cannot be read: {adapter.explain(error)[1]}") from error
    if not 0 <= numbers[-1] < _MOST_CLASSES:
        raise SettingsError(f"sample {number} of the data set has label {numbers[-1]}, it must be from 0 to {_MOST_CLASSES - 1}")
    return b"".join(each.to_bytes(4, "little") for each in numbers) + _native.image_hash(pixels)


def _head(given: Given, lengths: list[int]) -> bytes:
    head = {"name": given.name, "version": given.version, "train": lengths[0], "test": lengths[1]}
    return _MAGIC + json.dumps(head).encode() + b"\n"


def _load(given: Given, lengths: list[int]) -> Samples | None:
    """The samples by the index, if it is one of this data set and whole."""
    assert given.index is not None
    head, text = _head(given, lengths), given.index.read_bytes()
    whole, end = text[:-32], len(head) + lengths[0] * _RECORD_BYTES
    expected = len(head) + sum(lengths) * _RECORD_BYTES
    if not text.startswith(head) or len(whole) != expected or hashlib.blake2b(whole, digest_size=32).digest() != text[-32:]:
        return None
    return Samples(whole[len(head) : end], whole[end:])


def _save(path: pathlib.Path, head: bytes, found: Samples) -> None:
    text = head + found.train + found.test
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(text + hashlib.blake2b(text, digest_size=32).digest())
    part.replace(path)
