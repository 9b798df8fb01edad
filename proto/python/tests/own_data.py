"""Data sets and transforms of Python's that tests serve: in a module, so that other processes find them."""

import os
import random

import numpy


NAMED = {"name": "drawings", "version": 2}


class Drawings:
    """Images that follow from their numbers, in as many classes as said."""

    classes = ["zero", "one", "two"]

    def __init__(self, count=60, size=(8, 10), channels=3):
        self.count, self.size, self.channels = count, size, channels

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        shape = (*self.size, self.channels)
        return numpy.random.default_rng(index).integers(0, 256, shape, dtype=numpy.uint8), index % 3


class OfManySizes(Drawings):
    def __getitem__(self, index):
        whole, label = Drawings(self.count, (40, 40))[index]
        return whole[: 20 + index % 20, : 39 - index % 20], label


class Restless(Drawings):
    """Another image each time."""

    def __getitem__(self, index):
        return numpy.random.default_rng().integers(0, 256, (8, 10, 3), dtype=numpy.uint8), 0


class Breaking(Drawings):
    """One that cannot read a sample any more once a file is there."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def __getitem__(self, index):
        if index == 7 and os.path.exists(self.path):
            raise RuntimeError("no picture of a cat")
        return super().__getitem__(index)


def flip_and_shift(image, generator):
    """A mirror and a brightness, both drawn from the generator."""
    if generator.random() < 0.5:
        image = image[:, ::-1]
    return numpy.clip(image.astype(int) + generator.integers(-40, 40), 0, 255).astype(numpy.uint8)


def fails_on_bright_images(image, generator):
    if image.mean() > 140:
        raise ValueError(f"too bright: {image.mean():.0f}")
    return image


def grows(image, generator):
    return numpy.concatenate([image, image])


class OwnGenerator:
    """Draws from a generator of its own, and of images of more rows than those that every transform is tried on at the start."""

    def __init__(self, rows=32):
        self.rows, self.random = rows, random.Random(1)

    def __call__(self, image, generator):
        if len(image) > self.rows:
            image[0, 0] = self.random.randrange(256)
        return image


class OwnSeed:
    """Draws the same each time in one process, and something else in another."""

    value = 0

    def __setstate__(self, state):
        self.value = os.getpid() % 256

    def __getstate__(self):
        return {"nothing": 0}

    def __call__(self, image, generator):
        if len(image) > 32:
            image[0, 0] = self.value
        return image


def of_its_process(image, generator):
    """Another image in each process."""
    return image ^ numpy.uint8(os.getpid() % 251)


class Wordy(Drawings):
    """One that says what is wrong in two lines."""

    def __getitem__(self, index):
        raise ValueError("too bright:\n  255\n")
