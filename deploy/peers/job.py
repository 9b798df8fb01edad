"""The job that every peer does, and the one way in which it is measured.

Batches of 128 images of 32 x 32, endless epochs, each in a new order. One sample in five, by chance, is mixed
with another one of the training split; its share is drawn from Beta(0.2, 0.2), its label is soft. Batches leave in
planes, as u8, or as f32 normalised by the mean and deviation of CIFAR-10.

What is deliberately not here: how a peer makes its batches.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

BATCH = 128
CLASSES = 10
SIDE = 32
PADDING = 4
MIX_PROBABILITY = 0.2
ALPHA = 0.2
RECORD_BYTES = 1 + 3 * SIDE * SIDE

# Normalised is pixel * SCALE - SHIFT.
_MEAN = np.array([0.4914, 0.4822, 0.4465]).reshape(1, 3, 1, 1)
_DEVIATION = np.array([0.2470, 0.2435, 0.2616]).reshape(1, 3, 1, 1)
SCALE = (1 / (255 * _DEVIATION)).astype(np.float32)
SHIFT = (_MEAN / _DEVIATION).astype(np.float32)

# Peers that compile or tune themselves need more time than mixfeed before their rate is steady.
WARM_UP_SECONDS = 2.0

# Pixels and labels: arrays, or what becomes one without a copy.
Batch = tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class Samples:
    """A training split: `pixels` u8 [n, 3, 32, 32] in memory, or `paths` of PNG files; `labels` int64 [n]."""

    labels: np.ndarray
    pixels: np.ndarray | None = None
    paths: list[str] | None = None


def parser(description: str | None) -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--data", type=Path, required=True, help="data_batch_*.bin, or train/CLASS/*.png")
    flags.add_argument("--pixels", choices=("u8", "f32"), default="u8")
    flags.add_argument("--augment", choices=("none", "crop-flip"), default="none", help="only for PNG files")
    flags.add_argument("--drop", action="store_true", help="drop each batch unread, as `mixfeed-loader bench` does")
    flags.add_argument("--seconds", type=float, default=5.0, help="how long to measure, after the warm-up")
    return flags


def read(options: argparse.Namespace) -> Samples:
    """Tells by what the folder holds which of the two layouts it has."""
    files = sorted(options.data.glob("data_batch_*.bin"))
    if files:
        if options.augment != "none":
            raise SystemExit("--augment crop-flip: only for a folder of PNG files")
        records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, RECORD_BYTES) for file in files])
        pixels = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, SIDE, SIDE)
        return Samples(records[:, 0].astype(np.int64), pixels=pixels)
    classes = sorted(folder for folder in options.data.glob("train/*") if folder.is_dir())
    found = [(str(file), label) for label, folder in enumerate(classes) for file in sorted(folder.glob("*.png"))]
    if not found:
        raise SystemExit(f"{options.data}: neither data_batch_*.bin nor train/CLASS/*.png")
    paths, labels = zip(*found, strict=True)
    return Samples(np.array(labels, np.int64), paths=list(paths))


def draw(random: np.random.Generator, rows: int, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns which rows are mixed, the share that each of them keeps (f32), and its partner's index."""
    mixed = np.flatnonzero(random.random(rows) < MIX_PROBABILITY)
    shares = random.beta(ALPHA, ALPHA, mixed.size).astype(np.float32)
    return mixed, shares, random.integers(0, samples, mixed.size)


def crop_flip(random: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Crops u8 [n, 32, 32, 3] out of a black border of 4 and mirrors half of them: u8 [n, 3, 32, 32]."""
    rows = len(images)
    bordered = np.zeros((rows, SIDE + 2 * PADDING, SIDE + 2 * PADDING, 3), np.uint8)
    bordered[:, PADDING : PADDING + SIDE, PADDING : PADDING + SIDE] = images
    windows = np.lib.stride_tricks.sliding_window_view(bordered, (SIDE, SIDE), axis=(1, 2))
    top, left = random.integers(0, 2 * PADDING + 1, (2, rows))
    cropped = windows[np.arange(rows), top, left]
    mirrored = np.flatnonzero(random.random(rows) < 0.5)
    cropped[mirrored] = cropped[mirrored][..., ::-1]
    return np.ascontiguousarray(cropped)


def measure(options: argparse.Namespace, batches: Iterator[Batch], peer: str, version: str, settings: str) -> None:
    """Takes batches, reads a value of each sample's pixels and label unless told not to, drops them, and prints what it
    saw as JSON."""
    check(options, *map(np.asarray, next(batches)))
    first_batch_seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - _own_start()
    mixed = []
    end = time.perf_counter() + WARM_UP_SECONDS
    while time.perf_counter() < end:
        mixed.append((np.asarray(next(batches)[1]).max(axis=1) < 0.9999).mean())
    gaps, images, total = [], 0, 0.0
    before = cpu_seconds()
    start = last = time.perf_counter()
    while last - start < options.seconds:
        x, y = next(batches)
        if not options.drop:
            total += float(np.asarray(x)[:, 0, 0, 0].sum()) + float(np.asarray(y)[:, 0].sum())
        images += len(x)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    after = cpu_seconds()
    if not np.isfinite(total):
        raise SystemExit("a batch holds a value that is no number")
    spent = sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
    median, p99 = float(np.median(gaps)), float(np.percentile(gaps, 99))
    report = {
        "peer": peer,
        "version": version,
        "settings": f"{settings}, unread" if options.drop else settings,
        "pixels": options.pixels,
        "augment": options.augment,
        "images_per_second": images / (last - start),
        "cpu_seconds_per_million": spent / images * 1e6,
        "first_batch_seconds": first_batch_seconds,
        "pss_megabytes": sum(map(_pss_megabytes, after)),
        "gap_median_seconds": median,
        "gap_p99_seconds": p99,
        "gap_p99_over_median": p99 / median,
        # About 0.148 and not 0.2: partners of the same class and shares next to 0 or 1 leave a hard label.
        "mixed_fraction": float(np.mean(mixed)),
    }
    print(json.dumps(report), flush=True)


def check(options: argparse.Namespace, x: np.ndarray, y: np.ndarray) -> None:
    """Refuses to measure a peer whose batches are not those of the job."""
    dtype = {"u8": np.uint8, "f32": np.float32}[options.pixels]
    if x.shape != (BATCH, 3, SIDE, SIDE) or x.dtype != dtype or y.shape != (BATCH, CLASSES):
        raise SystemExit(f"another job: pixels {x.dtype} {x.shape}, labels {y.shape}")
    # The package `mixfeed` hands out channels-last, as its loaders send it and as networks on a CPU take it.
    if not (x.flags.c_contiguous or x.transpose(0, 2, 3, 1).flags.c_contiguous):
        raise SystemExit("pixels lie neither in planes nor channels-last")
    if not np.allclose(y.sum(axis=1), 1, atol=1e-4):
        raise SystemExit("labels do not add up to 1")
    if options.pixels == "f32" and not (x.min() > -2.5 and -1 < x.mean() < 1 and x.max() < 2.5):
        raise SystemExit(f"pixels are not normalised: {x.min()} to {x.max()}")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _own_start() -> float:
    """When this process began, in seconds since the machine did."""
    return int(_stat(os.getpid())[19]) / os.sysconf("SC_CLK_TCK")


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _tree(int(child))


def cpu_seconds() -> dict[int, float]:
    """User and system time of this process and all that descend from it."""
    fields = {pid: _stat(pid) for pid in _tree(os.getpid())}
    return {pid: (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK") for pid, f in fields.items()}


def _pss_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
