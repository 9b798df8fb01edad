"""A stream in place of a PyTorch DataLoader: epochs, ranks, tensors on a device, and a state to resume from.

    loader = mixfeed.torch.Loader(loaders, batch_size=128, mixup_alpha=0.2, mixup_prob=0.2, dtype=torch.float32)
    for epoch in range(loader.epoch, 30):
        for images, targets in loader:
            ...
        torch.save({"model": model.state_dict(), "loader": loader.state_dict()}, "checkpoint.pt")

The loaders are the workers: decoding, augmentation and mixing happen there, and batches come ready and checked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, Union

import torch
from torch.utils.data import IterableDataset, get_worker_info
from torch.utils.dlpack import from_dlpack

from mixfeed import _native
from mixfeed.errors import Error, MismatchError, RefusedError, SettingsError

if TYPE_CHECKING:
    from typing_extensions import Unpack

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


class State(TypedDict):
    """Where a Loader stands: two plain values, whatever was read so far."""

    next: int
    stream: str


class _Addresses(Protocol):
    @property
    def addresses(self) -> Sequence[str]: ...


class Loader(IterableDataset[Any]):
    """An IterableDataset of ready batches, to be iterated once an epoch, by itself or in a DataLoader with
    `batch_size=None` (torchdata's StatefulDataLoader, too).

    Each `iter` begins an epoch: the first one at `start`, the next one behind it, and after `load_state_dict` the batch
    behind the last one that was handed out. An epoch that was left early is not taken up again.

    - `images` come as (rows, channels, height, width) in channels-last memory, on `device`: uint8, or normalised
      to (pixel / 255 - mean) / deviation in another `dtype`; `mean` and `deviation` are one number, or one a channel.
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
        mean: float | Sequence[float] = 0.5,
        deviation: float | Sequence[float] = 0.5,
        targets: Literal["soft", "pairs", "classes"] | None = None,
        as_dict: bool = False,
        spec: str | None = None,
        run: str | os.PathLike[str] | None = None,
        tuning: Mapping[str, bool | float] | None = None,
        run_id: str | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        if targets not in (None, "soft", "pairs", "classes"):
            raise SettingsError(f'targets is {targets!r}, it must be "soft", "pairs", "classes" or None')
        if dtype != torch.uint8 and not dtype.is_floating_point:
            raise SettingsError(f"dtype is {dtype}, it must be torch.uint8 or a floating-point type")
        settings["rank"], settings["world"] = _ranks(settings.get("rank"), settings.get("world"))
        self._recipe = _native.spec(spec, run=run, **settings)  # Says what is wrong before anything is waited for.
        self._loaders, self._settings = getattr(loaders, "addresses", loaders), settings
        self._source: object = loaders  # Loaders of this machine stop when nobody has them any more.
        self._more: dict[str, Any] = {"spec": spec, "run": run, "tuning": tuning, "run_id": run_id}
        self._dtype, self._device, self._as_dict = dtype, torch.device(device or "cpu"), as_dict
        means, deviations = (torch.as_tensor(each, dtype=torch.float64) for each in (mean, deviation))
        if not bool(((deviations > 0) & deviations.isfinite()).all() and means.isfinite().all()):
            raise SettingsError(f"mean is {mean} and deviation {deviation}: they must be finite, and deviation above 0")
        # As the trainer does: pixel * scale + shift, both rounded to float32 once.
        self._scale, self._shift = (1 / (255 * deviations)).float(), (-means / deviations).float()
        self._targets = targets
        self._stream: _native.Stream | None = None
        self._next = settings.get("start") or 0
        self._expected: str | None = None
        # Rank and world, where the rows of this rank are cut out here.
        self._rows: tuple[int, int] | None = None
        # Whether the next epoch begins exactly at `_next`, and not at the beginning of an epoch.
        self._placed = True

    @property
    def info(self) -> _native.Info:
        """What is fixed about the stream: data, classes, shape of images, lengths."""
        return self._open().info

    @property
    def stats(self) -> dict[str, int]:
        """What happened on the stream so far, by name."""
        return self._open().stats

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._next // len(self)

    def __len__(self) -> int:
        """Batches of an epoch; the same for every rank."""
        return self.info.batches_per_epoch

    def set_epoch(self, epoch: int) -> None:
        """Makes `epoch` the next one to be iterated. In the middle of it, after `load_state_dict`, it goes on there."""
        if not (self._placed and self._next // len(self) == epoch):
            self._next, self._placed = self._before_end(epoch * len(self)), True

    def state_dict(self) -> State:
        """Where the next batch is, and of which stream of which data: everything that resuming takes."""
        return {"next": self._next, "stream": self._open().spec}

    def load_state_dict(self, state: State) -> None:
        """Goes on where `state` was taken, on any number of ranks.

        Raises MismatchError, with names and values, when the stream is another one or the loaders serve other data.
        """
        others = _native.differences(self._recipe, state["stream"])
        if others:
            raise MismatchError(f"the state is of another stream: {'; '.join(others)}")
        self._expected, self._next, self._placed = state["stream"], state["next"], True
        self.close()
        self._open()

    def close(self) -> None:
        """Ends the stream. It is opened again when something is asked of it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is not None:
            raise Error(
                f"num_workers is {worker.num_workers}, it must be 0: the loaders are the workers, and a batch that went "
                "through a worker of this process would be copied once more for nothing"
            )
        batches = len(self)
        if not self._placed and self._next % batches:
            self._next = self._before_end((self._next // batches + 1) * batches)
        self._placed = False
        end = self._before_end((self._next // batches + 1) * batches)
        while self._next < end:
            batch = next(self._open(), None)
            if batch is None:
                raise Error(f"the stream ended before batch {self._next}")
            item = self._item(batch)  # Before it counts as handed out: this may be interrupted, or fail.
            self._next = batch.index + 1
            yield item

    def _open(self) -> _native.Stream:
        """The stream, such that its next batch is `_next`."""
        if self._stream is not None and self._stream.next_index != self._next:
            self.close()
        if self._stream is None:
            self._stream = self._opened()
            # What it reads now is what it reads as long as it lives.
            self._expected = self._stream.spec
        if self._targets == "classes" and self._stream.mixes:
            raise SettingsError('targets is "classes", and the stream mixes: ask for "soft" or "pairs"')
        return self._stream

    def _opened(self) -> _native.Stream:
        settings = self._settings.copy()
        settings["start"] = self._next
        rank, world = settings.get("rank") or 0, settings.get("world") or 1
        if self._rows is not None:
            settings["rank"], settings["world"] = 0, 1
        try:
            return _native.Stream(self._loaders, expect=self._expected, **self._more, **settings)
        except RefusedError as error:
            if world == 1 or self._rows is not None or "shard.world" not in str(error):
                raise
        # Loaders make no batch without rows, and here some rank would have none.
        _LOG.warning("the last batch of an epoch has fewer rows than there are ranks: each of %d reads all rows", world)
        self._rows = rank, world
        return self._opened()

    def _before_end(self, index: int) -> int:
        """The index, or where the stream ends if that is earlier."""
        epochs, steps = self._settings.get("epochs"), self._settings.get("steps")
        ends = [index] if epochs is None else [index, epochs * len(self)]
        return min(ends if steps is None else [*ends, steps])

    def _own(self, rows: torch.Tensor) -> torch.Tensor:
        """Of the rows of a batch those of this rank, as a loader would choose them."""
        if self._rows is None:
            return rows
        (rank, world), count = self._rows, len(rows)
        return rows[count * rank // world : count * (rank + 1) // world]

    def _item(self, batch: _native.Batch) -> Any:
        images = self._own(from_dlpack(batch.images)).permute(0, 3, 1, 2)
        images = images.to(self._device)
        if self._dtype != torch.uint8:
            scale, shift = (each.to(self._device).reshape(1, -1, 1, 1) for each in (self._scale, self._shift))
            images = images.to(torch.float32).mul_(scale).add_(shift).to(self._dtype)
        targets = self._target(batch)
        if self._as_dict:
            return Item(images=images, targets=targets, index=batch.index, epoch=batch.epoch)
        return images, targets

    def _target(self, batch: _native.Batch) -> Targets:
        def tensor(array: _native.Array) -> torch.Tensor:
            return self._own(from_dlpack(array)).to(self._device)

        stream = self._stream or self._open()
        if self._targets == "pairs":
            return tensor(batch.labels), tensor(batch.partner_labels), tensor(batch.lambdas)
        if self._targets == "classes" or (self._targets is None and not stream.mixes):
            return tensor(batch.labels)
        return tensor(batch.soft_targets(len(stream.info.classes)))

    def __getstate__(self) -> dict[str, Any]:
        # Threads and connections do not travel; a copy opens its own.
        return {**self.__dict__, "_stream": None, "_source": None}


def _ranks(rank: int | None, world: int | None) -> tuple[int, int]:
    """Who this process is among those that train together."""
    if rank is None and world is None:
        group = torch.distributed
        if group.is_available() and group.is_initialized():
            return group.get_rank(), group.get_world_size()
        given = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
        if given == (None, None):
            return 0, 1
        try:
            return int(given[0] or ""), int(given[1] or "")
        except ValueError:
            raise SettingsError(
                f"RANK is {given[0]!r} and WORLD_SIZE {given[1]!r} in the environment: both must be whole numbers, or neither "
                "be set; or give rank and world"
            ) from None
    if rank is None or world is None:
        raise SettingsError("rank and world go together")
    return rank, world
