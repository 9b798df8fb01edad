"""What a Loader of `mixfeed.torch` is told: refused early, by name and with what it takes."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence

import torch

from mixfeed.errors import SettingsError

DTYPES = (torch.uint8, torch.float32, torch.bfloat16, torch.float16, torch.float64)

INSTEAD = {
    "batch_sampler": "the order follows from seed and shuffle",
    "collate_fn": "batches come ready, and mixed by mixup_alpha and cutmix_alpha",
    "drop_last": 'remainder="drop" drops the smaller last batch',
    "generator": "seed is the seed",
    "multiprocessing_context": "there are no worker processes",
    "num_workers": "the loaders are the workers: mixfeed.local(data, workers=8)",
    "persistent_workers": "there are no worker processes",
    "pin_memory": "what is copied to a CUDA device is pinned on the way",
    "prefetch_factor": 'tuning={"window_bytes": ...} bounds what is fetched ahead',
    "sampler": "the order follows from seed and shuffle, the part of a rank from rank and world",
    "timeout": 'loader_timeout="60s" is how long is waited where no loader is available',
    "transform": "the loaders augment: flip_prob, resized_crop, color_jitter and others, or mixfeed.local(dataset, transform=...)",
    "worker_init_fn": "there are no worker processes",
}
"""What a DataLoader is told and a Loader is not, with what to do instead."""


def ranks(rank: int | None, world: int | None) -> tuple[int, int]:
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


def whole(value: object) -> int | None:
    """A whole number from 0 on, of whichever type."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
    return None if number < 0 or isinstance(value, bool) else number


def normalisation(name: str, given: float | Sequence[float] | None) -> torch.Tensor:
    """One number, or one a channel, each of which may be."""
    try:
        numbers = torch.as_tensor(0.5 if given is None else given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.empty(0, 0)
    allowed = numbers > 0 if name == "deviation" else numbers >= 0
    if numbers.dim() > 1 or not numbers.numel() or not bool((numbers.isfinite() & allowed).all()):
        above = "above 0" if name == "deviation" else "0 or more"
        raise SettingsError(f"{name} is {given}, it must be one number or one a channel, finite and {above}")
    if bool((numbers > 1).any()):
        raise SettingsError(f"{name} is {given}: pixels are in 0 to 1 here, so that numbers of 0 to 255 must be divided by 255")
    return numbers


