"""Writes augment.bin: an image, and what torchvision and Pillow make of it, given the parameters.

    pip install torch==2.11.0 torchvision==0.26.0 numpy pillow==13.0.0
    python augment.py

A record is the length of a name (one byte), the name, and 16 x 20 pixels of three bytes. The tests in
`../augment.rs` apply the same parameters by name and say how close they have to come.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandAugment, RandomGrayscale
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import _apply_op

HEIGHT, WIDTH = 16, 20

# The names of torchvision's changes in mixfeed, where they differ.
NAMES = {"Color": "Saturation"}

TRIVIAL = [
    ("ShearX", 17), ("ShearX", -30), ("ShearY", 11), ("ShearY", -26),
    ("TranslateX", 13), ("TranslateX", -5), ("TranslateY", 9), ("TranslateY", -3),
    ("Rotate", 7), ("Rotate", -12), ("Rotate", 20), ("Rotate", 30), ("Rotate", -30),
    ("Brightness", 21), ("Brightness", -30), ("Color", 15), ("Color", -28),
    ("Contrast", 30), ("Contrast", -9), ("Sharpness", 30), ("Sharpness", -25),
    ("Posterize", 12), ("Posterize", 30), ("Solarize", 0), ("Solarize", 14),
    ("AutoContrast", 0), ("Equalize", 0),
]  # fmt: skip

RAND = [
    *((op, level) for op in ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate") for level in (9, -30, -4)),
    *((op, level) for op in ("Brightness", "Color", "Contrast", "Sharpness") for level in (9, -14, 30)),
    *((op, level) for op in ("Posterize", "Solarize") for level in (3, 4, 9, 30)),
    *(("Rotate", level * (-1) ** level) for level in range(1, 31)),
    ("AutoContrast", 0), ("Equalize", 0),
]  # fmt: skip


def picture():
    """Soft colours with some noise; neither black nor white, so that every change shows."""
    random = np.random.default_rng(20211103)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    channels = [40 + 8 * x + 2 * y, 200 - 7 * y - 3 * x, 60 + 9 * abs(x - 9) + 3 * y]
    soft = np.stack(channels, axis=-1) + random.integers(-20, 21, (HEIGHT, WIDTH, 3))
    soft[4:7, 5:9] = [[[90, 90, 90]]]
    return Image.fromarray(soft.clip(15, 235).astype(np.uint8))


def magnitude(op, level):
    """TrivialAugmentWide's strengths, before they are rounded to 32 bits."""
    share = level / 30
    if op.startswith("Translate"):
        return 32.0 * level / 30
    return {"Rotate": 135.0 * share, "Posterize": 8 - round(level / 5), "Solarize": 255.0 - 255.0 * share}.get(
        op, 0.99 * level / 30
    )


def rand_magnitude(op, level):
    """RandAugment's strengths, before they are rounded to 32 bits."""
    share = level / 30
    values = {"Rotate": 30.0 * share, "Posterize": 8 - round(abs(share) * 4), "Solarize": 255.0 - 255.0 * share}
    values |= {"TranslateX": 150 / 331 * WIDTH * share, "TranslateY": 150 / 331 * HEIGHT * share}
    values |= {"ShearX": 0.3 * share, "ShearY": 0.3 * share}
    value = values.get(op, 0.9 * share)
    bins, _ = RandAugment()._augmentation_space(31, (HEIGHT, WIDTH))[op]
    assert bins.ndim == 0 or abs(bins[abs(level)] - abs(value)) < 1e-4, (op, level)
    return value


def results(image):
    yield "input", image
    for top, left, height, width in [(2, 3, 9, 7), (0, 0, 16, 5), (5, 6, 1, 1), (1, 0, 14, 20)]:
        size = [HEIGHT, WIDTH]
        part = F.resized_crop(image, top, left, height, width, size, InterpolationMode.BILINEAR)
        yield f"resized {top} {left} {height} {width}", part
    for down, right, flipped in [(3, -4, 1), (-2, 1, 0), (0, 0, 1)]:
        shown = F.crop(F.pad(image, 5), down + 5, right + 5, HEIGHT, WIDTH)
        yield f"crop {down} {right} {flipped}", F.hflip(shown) if flipped else shown
    for op, level in TRIVIAL:
        shown = _apply_op(image, op, magnitude(op, level), InterpolationMode.NEAREST, None)
        yield f"trivial {NAMES.get(op, op)} {level}", shown
    for op, level in dict.fromkeys(RAND):
        shown = _apply_op(image, op, rand_magnitude(op, level), InterpolationMode.NEAREST, None)
        yield f"rand {NAMES.get(op, op)} {level}", shown
    for q16 in [0, 30_001, 65_536, 91_763, 300_000]:
        yield f"brightness {q16}", F.adjust_brightness(image, q16 / 65536)
        yield f"contrast {q16}", F.adjust_contrast(image, q16 / 65536)
        yield f"saturation {q16}", F.adjust_saturation(image, q16 / 65536)
    for shift in [-127, -60, -1, 25, 100]:
        # Half a part more, so that no rounding of the product takes one off.
        yield f"hue {shift}", F.adjust_hue(image, (abs(shift) + 0.5) / 255 * np.sign(shift))
    yield "grayscale 1", RandomGrayscale(p=1)(image)
    for top, left, height, width, value in [(2, 3, 9, 7, 128), (0, 15, 16, 5, 0)]:
        erased = F.erase(F.pil_to_tensor(image), top, left, height, width, torch.tensor(value, dtype=torch.uint8))
        yield f"erased {top} {left} {height} {width} {value}", F.to_pil_image(erased)


def main():
    with open(Path(__file__).with_name("augment.bin"), "wb") as file:
        for name, image in results(picture()):
            file.write(bytes([len(name)]) + name.encode() + np.asarray(image).tobytes())


if __name__ == "__main__":
    main()
