"""Writes resize.bin: what torchvision and Pillow make of an image of noise that they resize, crop and pad.

    pip install torch==2.11.0 torchvision==0.26.0 numpy pillow==13.0.0
    python resize.py

A record is the length of a name (one byte), the name, and the pixels of the result, three bytes each. The name says what is
done, to an image of which size, and to which size (height x width), so that the test in `../resize.rs` can do it too.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

BILINEAR = InterpolationMode.BILINEAR


def noise(height, width):
    """The image that the test makes by the same formula."""
    i = np.arange(height * width * 3, dtype=np.uint64)
    values = ((i * i * 2654435761 + i * 40503) >> 13) & 255
    return Image.fromarray(values.astype(np.uint8).reshape(height, width, 3))


def center_crop(image, side, height, width):
    return F.center_crop(F.resize(image, side, BILINEAR, antialias=True), [height, width])


def stretch(image, height, width):
    return F.resize(image, [height, width], BILINEAR, antialias=True)


def resized_crop(image, top, left, part_height, part_width, height, width):
    return F.resized_crop(image, top, left, part_height, part_width, [height, width], BILINEAR, antialias=True)


def letterbox(image, fill, height, width):
    """In its own proportions, in the middle; sides are rounded down, and an odd pixel goes where Python's round puts it."""
    flatter = image.height * width <= image.width * height
    if flatter:
        size = (width, max(1, width * image.height // image.width))
    else:
        size = (max(1, height * image.width // image.height), height)
    canvas = Image.new("RGB", (width, height), (fill,) * 3)
    canvas.paste(image.resize(size, Image.BILINEAR), (-round((size[0] - width) / 2), -round((size[1] - height) / 2)))
    return canvas


CASES = [
    (center_crop, (37, 53), (24,), (20, 24)), (center_crop, (53, 37), (24,), (24, 24)),
    (center_crop, (300, 400), (32,), (28, 28)), (center_crop, (9, 7), (31,), (30, 31)),
    (center_crop, (200, 333), (27,), (20, 26)), (center_crop, (33, 33), (21,), (16, 16)),
    (stretch, (37, 53), (), (24, 20)), (stretch, (8, 100), (), (30, 30)), (stretch, (251, 13), (), (17, 16)),
    (stretch, (24, 20), (), (24, 31)), (stretch, (1, 1), (), (5, 6)), (stretch, (1000, 3), (), (2, 9)),
    (resized_crop, (100, 120), (10, 20, 60, 70), (24, 24)), (resized_crop, (100, 120), (0, 0, 100, 120), (24, 24)),
    (resized_crop, (100, 120), (99, 119, 1, 1), (24, 24)), (resized_crop, (100, 120), (40, 50, 12, 9), (24, 24)),
    (resized_crop, (100, 120), (3, 7, 24, 80), (24, 24)), (resized_crop, (375, 500), (33, 101, 291, 307), (32, 32)),
    (letterbox, (37, 53), (9,), (24, 24)), (letterbox, (53, 37), (0,), (24, 25)), (letterbox, (10, 12), (255,), (31, 24)),
    (letterbox, (500, 2), (128,), (24, 24)),
]  # fmt: skip


def main():
    with open(Path(__file__).parent / "resize.bin", "wb") as file:
        for transform, image, numbers, size in CASES:
            words = [transform.__name__, *image, *numbers, *size]
            name = " ".join(map(str, words)).encode()
            result = np.asarray(transform(noise(*image), *numbers, *size))
            assert result.shape == (*size, 3)
            file.write(bytes([len(name)]) + name + result.tobytes())


main()
