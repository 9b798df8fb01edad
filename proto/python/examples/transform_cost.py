"""What a data set and a transform in Python cost beside the built-in ones: images/s of a stream, medians of rounds taken in turn.

    python transform_cost.py [ROUNDS] [torchvision]

20,000 images of 32x32, batches of 128, mixup of one in five; a crop with 4 pixels of padding and a flip. For what BENCHMARKS.md and
PYTORCH.md say, on a machine where nothing else runs.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import sys
import time

import numpy

import mixfeed

COUNT, SIDE, PADDING = 20_000, 32, 4
SECONDS = 3.0


class Pictures:
    classes = [str(number) for number in range(10)]

    def __init__(self) -> None:
        self.pixels = numpy.random.default_rng(1).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=numpy.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[numpy.ndarray, int]:
        return self.pixels[index], index % 10


def crop_and_flip(image: numpy.ndarray, generator: numpy.random.Generator) -> numpy.ndarray:
    padded = numpy.zeros((SIDE + 2 * PADDING, SIDE + 2 * PADDING, 3), numpy.uint8)
    padded[PADDING:-PADDING, PADDING:-PADDING] = image
    top, left = generator.integers(0, 2 * PADDING + 1, 2)
    image = padded[top : top + SIDE, left : left + SIDE]
    return image[:, ::-1] if generator.random() < 0.5 else image


def rate(loaders: mixfeed.LocalLoader, settings: dict[str, object]) -> float:
    with mixfeed.Stream(loaders, batch_size=128, mixup_alpha=0.2, mixup_prob=0.2, **settings) as stream:
        for _ in range(20):
            next(stream)
        images, started = 0, time.perf_counter()
        while time.perf_counter() < started + SECONDS:
            images += len(next(stream))
        return images / (time.perf_counter() - started)


def main() -> None:
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), 8)
    logging.getLogger("mixfeed").setLevel(logging.ERROR)
    built_in, own = {"crop_padding": PADDING, "flip_prob": 0.5}, {"custom_augmentation": "pictures:1"}
    with contextlib.ExitStack() as stack:
        files = stack.enter_context(mixfeed.local(f"synthetic:{COUNT}", workers=2))
        measured = [("all built in, 2 threads", files, built_in)]
        for processes in (1, 2):
            loaders = stack.enter_context(mixfeed.local(Pictures(), processes=processes, transform=crop_and_flip))
            said = f"{processes} process{'es' * (processes > 1)}"
            measured.append((f"data in Python, crop and flip built in, {said}", loaders, built_in))
            measured.append((f"data, crop and flip in NumPy, {said}", loaders, own))
        if "torchvision" in sys.argv:
            from torchvision.transforms import v2

            both = mixfeed.seeded(v2.Compose([v2.RandomCrop(SIDE, PADDING), v2.RandomHorizontalFlip()]))
            loaders = stack.enter_context(mixfeed.local(Pictures(), processes=2, transform=both, kind="torch"))
            measured.append(("data in Python, crop and flip by torchvision, 2 processes", loaders, own))
        found = [[rate(loaders, settings) for _, loaders, settings in measured] for _ in range(rounds)]
    for (name, _, _), rates in zip(measured, zip(*found)):
        print(f"{name:62} {statistics.median(rates):7.0f} ({min(rates):.0f} to {max(rates):.0f})")


if __name__ == "__main__":
    main()
