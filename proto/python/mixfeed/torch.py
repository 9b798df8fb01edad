"""A stream in place of a PyTorch DataLoader: epochs, ranks, tensors on a device, and a state to resume from.

    loader = mixfeed.torch.Loader(loaders, batch_size=128, mixup_alpha=0.2, mixup_prob=0.2, dtype=torch.float32)
    for epoch in range(loader.epoch, 30):
        for images, targets in loader:
            ...
        torch.save({"model": model.state_dict(), "loader": loader.state_dict()}, "checkpoint.pt")

The loaders are the workers: decoding, augmentation and mixing happen there, and batches come ready and checked.
"""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, Union

import torch
from torch.utils.data import IterableDataset, get_worker_info
from torch.utils.dlpack import from_dlpack

from mixfeed import _native
from mixfeed._training import DTYPES, INSTEAD, normalisation, ranks, whole
from mixfeed.errors import Error, ForkError, MismatchError, RefusedError, SettingsError

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack

    from mixfeed._keywords import Settings

_LOG = logging.getLogger("mixfeed.torch")

Targets = Union[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""Soft targets or classes; or label, partner's label and lambda."""


class Item(TypedDict):
    """A batch as a dict."""

    images: torch.Tensor
    targets: Targets
    index: int
    epoch: int
    samples: NotRequired[torch.Tensor]


class State(TypedDict):
    """Where a Loader stands: two plain values, whatever was read so far."""

    next: int
    stream: str


def _is_told_here(record: logging.LogRecord) -> bool:
    """Passes all but that a rank would have no rows, which is said here, once, and not by and of each loader besides."""
    return "spec.shard.world: " not in record.getMessage()


class _Addresses(Protocol):
    @property
    def addresses(self) -> Sequence[str]: ...


class Loader(IterableDataset[Any]):
    """An IterableDataset of ready batches, to be iterated once an epoch, by itself or in a DataLoader with
    `batch_size=None` (torchdata's StatefulDataLoader, too).

    Each `iter` begins an epoch: the first one at `start`, the next one behind it, and after `load_state_dict` the batch
    behind the last one that was handed out. An epoch that was left early is not taken up again; one that failed is, where it
    failed. One epoch is read at a time: an iterator ends with an error once a later one has begun.

    - `images` come as (rows, channels, height, width) in channels-last memory, on `device`: uint8, or normalised
      to (pixel / 255 - mean) / deviation in another `dtype`; `mean` and `deviation` are one number, or one a channel, and
      0.5 where they are not given.
    - `targets`: "soft" (float32 of (rows, classes)), "pairs" ((label, partner, lambda), each of (rows,)), or "classes" (int64 of
      (rows,), where nothing is mixed); None is "classes" where nothing is mixed and "soft" where something is.
    - `as_dict` yields `Item`s in place of (images, targets).
    - `rank` and `world` come from torch.distributed or from RANK and WORLD_SIZE where they are not given. Each rank gets
      its rows of every global batch of `batch_size`: all ranks make the same number of steps, each sample comes once, and in
      the last batch of an epoch a rank may have fewer rows, or none.

    Other keywords are those of `mixfeed.Stream`. The stream is opened when something is asked of it.
    """

    def __init__(
        self,
        loaders: str | Sequence[str] | _Addresses,
        *,
        dtype: torch.dtype = torch.uint8,
        device: torch.device | str | None = None,
        mean: float | Sequence[float] | None = None,
        deviation: float | Sequence[float] | None = None,
        targets: Literal["soft", "pairs", "classes"] | None = None,
        as_dict: bool = False,
        spec: str | None = None,
        run: str | os.PathLike[str] | None = None,
        tuning: Mapping[str, bool | float] | None = None,
        run_id: str | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        for name in settings.keys() & INSTEAD.keys():
            raise TypeError(f"{name} is a DataLoader's, and no keyword here: {INSTEAD[name]}")
        if targets not in (None, "soft", "pairs", "classes"):
            raise SettingsError(f'targets is {targets!r}, it must be "soft", "pairs", "classes" or None')
        if dtype not in DTYPES:
            raise SettingsError(f"dtype is {dtype!r}, it must be one of {', '.join(map(str, DTYPES))}")
        settings["rank"], settings["world"] = ranks(settings.get("rank"), settings.get("world"))
        self._recipe = _native.spec(spec, run=run, **settings)  # Says what is wrong before anything is waited for.
        self._loaders, self._settings = _native.addresses(loaders), settings
        # Loaders of this machine stop when nobody has them any more.
        self._source: Any = loaders if hasattr(loaders, "closed") else None
        self._more: dict[str, Any] = {"spec": spec, "run": run, "tuning": tuning, "run_id": run_id}
        self._dtype, self._device, self._as_dict = dtype, torch.device(device or "cpu"), as_dict
        if dtype == torch.uint8 and (mean is not None or deviation is not None):
            raise SettingsError("mean and deviation have no effect on uint8: ask for another dtype, as in dtype=torch.float32")
        means, deviations = normalisation("mean", mean), normalisation("deviation", deviation)
        # As the trainer does: pixel * scale + shift, both rounded to float32 once.
        scale, shift = (1 / (255 * deviations)).float(), (-means / deviations).float()
        self._scale, self._shift = scale.reshape(1, -1, 1, 1), shift.reshape(1, -1, 1, 1)
        self._channels = {"mean": means.numel(), "deviation": deviations.numel()}
        self._targets = targets
        self._stream: _native.Stream | None = None
        self._next = operator.index(settings.get("start") or 0)
        self._expected: str | None = None
        # What is known once a stream was open, or else why none was.
        self._info: _native.Info | None = None
        self._failed: Error | None = None
        self._stats: dict[str, int] | None = None
        # From where to where is read; whose reader has another one reads no more.
        self._span: tuple[int, int] | None = None
        # Rank and world, where the rows of this rank are cut out here.
        self._rows: tuple[int, int] | None = None
        # Whether the next epoch begins exactly at `_next`, and not at the beginning of an epoch.
        self._placed = True

    @property
    def info(self) -> _native.Info:
        """What is fixed about the stream: data, classes, shape of images, lengths."""
        if self._info is None:
            if self._failed is not None:  # Who asks what there was must not wait for loaders again.
                raise self._failed
            self._open()
        assert self._info is not None
        return self._info

    @property
    def stats(self) -> dict[str, int]:
        """What happened on the stream so far, by name."""
        if self._stream is not None:
            self._stats = self._stream.stats
        return self._stats or self._open().stats

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._next // self.info.batches_per_epoch if self._next else 0

    def __len__(self) -> int:
        """Batches of the epoch that was begun last, or of the first one: fewer where `start` or `steps` lies in it. The
        same for every rank."""
        first, end = self._span or self._bounds()
        return end - first

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the next one to be iterated. In the middle of it, after `load_state_dict`, it goes on there."""
        if whole(epoch) is None:
            raise SettingsError(f"epoch is {epoch!r}, it must be a whole number, 0 or more")
        if not (self._placed and self.epoch == epoch):
            self._place(self._before_end(epoch * self.info.batches_per_epoch))

    def state_dict(self) -> State:
        """Where the next batch is, and of which stream of which data: everything that resuming takes."""
        if self._expected is None and self._failed is None:
            self._open()
        # Where no loader was reached, nothing was read of any data.
        return {"next": self._next, "stream": self._expected or self._recipe}

    def load_state_dict(self, state: State) -> None:
        """Goes on where `state` was taken, on any number of ranks.

        Raises MismatchError, with names and values, when the stream is another one or the loaders serve other data.
        """
        given: Mapping[str, Any] = state if isinstance(state, Mapping) else {}
        index, stream = whole(given.get("next")), given.get("stream")
        if index is None or not isinstance(stream, str):
            raise SettingsError(
                f"the state is {str(state):.60}, it must be what state_dict() gave: next, a whole number, and stream, a text"
            )
        others = _native.differences(self._recipe, stream)
        if others:
            raise MismatchError(f"the state is of another stream: {'; '.join(others)}")
        names = ("_expected", "_next", "_placed", "_span", "_failed")
        before = {name: self.__dict__[name] for name in names}
        self._expected = stream
        self._place(index)
        self.close()
        try:
            self._open()
        except BaseException:
            self.__dict__.update(before)
            raise

    def close(self) -> None:
        """Ends the stream. It is opened again when something is asked of it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            with contextlib.suppress(ForkError):  # It is another process's, and nothing is known of it here.
                self._stats = stream.stats

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is not None:
            raise Error(
                f"num_workers is {worker.num_workers}, it must be 0: the loaders are the workers, and a batch that went "
                "through a worker of this process would be copied once more for nothing"
            )
        self._failed = None  # Loaders may be there by now.
        batches = self.info.batches_per_epoch
        if not self._placed and self._next % batches:
            self._next = self._before_end((self._next // batches + 1) * batches)
        self._placed = False
        self._span = self._bounds()
        return _Epoch(self, self._span)

    def _place(self, index: int) -> None:
        """Makes the next epoch begin exactly at `index`."""
        self._next, self._placed, self._span = index, True, None

    def _bounds(self) -> tuple[int, int]:
        """The epoch of the next batch, as much of it as the stream has: its first batch and its end."""
        batches = self.info.batches_per_epoch
        first = self._next // batches * batches
        end = self._before_end(first + batches)
        first = max(first, operator.index(self._settings.get("start") or 0))
        return min(first, end) if self._next < end else end, end

    def _take(self, span: tuple[int, int]) -> Any:
        """The next batch of an epoch, for its reader."""
        if span is not self._span:
            raise Error(
                "this Loader was iterated anew, or set elsewhere, since this iterator began, and its batches go there: "
                "whoever reads beside another needs a Loader of its own"
            )
        if self._next >= span[1]:
            raise StopIteration
        batch = next(self._open(), None)
        if batch is None:
            raise Error(f"the stream ended before batch {self._next}")
        item = self._item(batch)  # Before it counts as handed out: this may be interrupted, or fail.
        self._next = batch.index + 1
        return item

    def _fail(self, span: tuple[int, int]) -> None:
        """After a failure the next `iter` goes on where it was, by another stream."""
        if span is self._span:
            self._placed = True
            self.close()

    def _open(self) -> _native.Stream:
        """The stream, such that its next batch is `_next`."""
        if self._stream is not None and self._stream.next_index != self._next:
            self.close()
        if self._stream is None:
            try:
                self._stream = self._opened()
            except SettingsError:
                raise  # Nothing was waited for: it may be asked again.
            except Error as error:
                self._failed = error
                raise
            # What it reads now is what it reads as long as it lives.
            self._expected, self._info, self._failed = self._stream.spec, self._stream.info, None
        return self._stream

    def _opened(self) -> _native.Stream:
        settings = self._settings.copy()
        settings["start"] = self._next
        rank, world = settings.get("rank") or 0, settings.get("world") or 1
        if world > 1:
            for name in ("mixfeed.client", "mixfeed.loader"):
                logging.getLogger(name).addFilter(_is_told_here)  # Once: it is the same one.
        if self._rows is not None:
            settings["rank"], settings["world"] = 0, 1
        try:
            stream = _native.Stream(self._source or self._loaders, expect=self._expected, **self._more, **settings)
        except RefusedError as error:
            if world == 1 or self._rows is not None or "shard.world" not in str(error):
                raise
        else:
            unsuitable = self._unsuitable(stream)
            if unsuitable:
                stream.close()
                raise SettingsError(unsuitable)
            return stream
        # Loaders make no batch without rows, and here some rank would have none.
        _LOG.warning("the last batch of an epoch has fewer rows than there are ranks: each of %d reads all rows", world)
        self._rows = rank, world
        return self._opened()

    def _unsuitable(self, stream: _native.Stream) -> str | None:
        """Why what was asked for cannot be made of the stream's batches, if so."""
        if self._targets == "classes" and stream.mixes:
            return 'targets is "classes", and the stream mixes: ask for "soft" or "pairs"'
        channels = stream.info.shape[2]
        for name, count in self._channels.items():
            if count not in (1, channels):
                return f"{name} has {count} numbers, and images have {channels} channels: give one number, or one a channel"
        return None

    def _before_end(self, index: int) -> int:
        """The index, or where the stream ends if that is earlier."""
        epochs, steps = self._settings.get("epochs"), self._settings.get("steps")
        ends = [index] if epochs is None else [index, epochs * self.info.batches_per_epoch]
        return min(ends if steps is None else [*ends, steps])

    def _own(self, array: _native.Array) -> torch.Tensor:
        """Of the rows of a batch those of this rank, as a loader would choose them."""
        rows = from_dlpack(array.__dlpack__())  # A capsule, which torch takes as it is.
        if self._rows is None:
            return rows
        (rank, world), count = self._rows, len(rows)
        return rows[count * rank // world : count * (rank + 1) // world]

    def _on_device(self, array: _native.Array) -> torch.Tensor:
        """The same on the device."""
        return _moved(self._own(array), self._device)

    def _item(self, batch: _native.Batch) -> Any:
        images = self._on_device(batch.images).permute(0, 3, 1, 2)
        if self._dtype != torch.uint8:
            self._scale, self._shift = (_moved(each, self._device) for each in (self._scale, self._shift))
            images = images.to(torch.float32).mul_(self._scale).add_(self._shift).to(self._dtype)
        targets = self._target(batch)
        if self._as_dict:
            item = Item(images=images, targets=targets, index=batch.index, epoch=batch.epoch)
            if (self._stream or self._open()).sample_ids:
                item["samples"] = self._own(batch.samples)
            return item
        return images, targets

    def _target(self, batch: _native.Batch) -> Targets:
        if self._targets == "pairs":
            return self._on_device(batch.labels), self._on_device(batch.partner_labels), self._on_device(batch.lambdas)
        if self._targets == "classes" or (self._targets is None and not (self._stream or self._open()).mixes):
            return self._on_device(batch.labels)
        return self._on_device(batch.soft_targets())

    def __getstate__(self) -> dict[str, Any]:
        # Threads and connections do not travel; a copy opens its own, and goes on where this one is, as by its state.
        alone: dict[str, Any] = {"_stream": None, "_source": None, "_span": None, "_failed": None, "_placed": True}
        return {**self.__dict__, **alone, "_info": None}


def _moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device. A CUDA device takes it from pinned memory, when its stream comes to it, and nobody waits for
    that: torch keeps what is pinned until it was read, and what is computed from it comes later in the same stream."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class _Epoch:
    """An epoch that is read. A failure is raised again, so that nobody takes it for the end of the epoch."""

    def __init__(self, loader: Loader, span: tuple[int, int]) -> None:
        self._loader, self._span = loader, span
        self._failed: Exception | None = None
        self._reader = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._failed is not None:
            raise self._failed
        if not self._reader.acquire(blocking=False):
            raise Error("another thread reads this epoch: give each thread a Loader of its own")
        try:
            return self._loader._take(self._span)
        except StopIteration:
            raise
        except Exception as error:
            self._failed = error
            self._loader._fail(self._span)
            raise
        finally:
            self._reader.release()
