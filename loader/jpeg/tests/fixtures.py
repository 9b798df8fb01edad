"""Makes fixtures/: a JPEG of each kind, and in expected.txt the BLAKE3 of what Pillow decodes of it.

    apt-get install libjpeg-turbo-progs       # 2.1.5: cjpeg and jpegtran, for the kinds that Pillow does not write
    pip install pillow==13.0.0 numpy blake3   # Pillow's wheel has libjpeg-turbo 3.2.0
    python fixtures.py

A line of expected.txt: name, divisor of the sides, width, height, BLAKE3 of the pixels in red, green, blue.
A line of damaged.txt: two bytes of 420-restart.jpg from this place on that are others, which they are, and the beginning of the
BLAKE3 of the pixels, or "error".
"""

import io
import subprocess
from pathlib import Path

import numpy as np
from blake3 import blake3
from PIL import Image

FOLDER = Path(__file__).parent / "fixtures"
# Odd, more than one block of every kind beyond a multiple of 32 and of 24.
WIDTH, HEIGHT = 139, 93


def picture(width, height):
    """Soft colours, hard edges and some noise, in every block."""
    random = np.random.default_rng(20261128)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / a + y / b) for a, b in ((9, 31), (17, -11), (-23, 7))]
    image = np.stack(waves, axis=-1)
    for _ in range(12):
        top, left = random.integers(0, height), random.integers(0, width)
        image[top : top + height // 5 + 1, left : left + width // 6 + 1] = random.integers(0, 256, 3)
    return np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def pillow(image, quality=80, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def cjpeg(image, *options, scans=None):
    source = io.BytesIO()
    image.save(source, "PPM")
    options = ["-quality", "80", *options]
    if scans:
        (FOLDER / "scans").write_text(scans)
        options += ["-scans", str(FOLDER / "scans")]
    file = subprocess.run(["cjpeg", *options], input=source.getvalue(), capture_output=True, check=True).stdout
    (FOLDER / "scans").unlink(missing_ok=True)
    return file


def with_transform(file, transform):
    """With another colour transform in Adobe's segment: of CMYK, 2 makes YCCK."""
    at = file.index(b"Adobe") + 11
    return file[:at] + bytes([transform]) + file[at + 1 :]


def all_kinds():
    rgb = Image.fromarray(picture(WIDTH, HEIGHT))
    grey, cmyk = rgb.convert("L"), rgb.convert("CMYK")
    # CMYK of Pillow has no black; this has some.
    cmyk.putdata([(c, m, y, (c * 3 + y) // 5) for c, m, y, _ in cmyk.get_flattened_data()])
    separate, chroma_first, pair = "0;\n1;\n2;\n", "1;\n2;\n0;\n", "0,1;\n2;\n"
    yield "444", pillow(rgb, subsampling=0)
    yield "422", pillow(rgb, subsampling=1)
    yield "420", pillow(rgb, subsampling=2)
    yield "420-optimized", pillow(rgb, subsampling=2, optimize=True)
    yield "420-restart", pillow(rgb, subsampling=2, restart_marker_blocks=7)
    yield "440", cjpeg(rgb, "-sample", "1x2")
    yield "411", cjpeg(rgb, "-sample", "4x1")
    yield "441", cjpeg(rgb, "-sample", "1x4")
    yield "410", cjpeg(rgb, "-sample", "4x2")
    yield "311", cjpeg(rgb, "-sample", "3x1")
    yield "244", cjpeg(rgb, "-sample", "2x4")
    yield "mixed", cjpeg(rgb, "-sample", "2x2,2x1,1x2")
    yield "chroma-finer", cjpeg(rgb, "-sample", "1x1,2x1,2x1")
    yield "chroma-much-finer", cjpeg(rgb, "-sample", "1x1,2x2,1x2")
    yield "extended", cjpeg(rgb, "-sample", "2x2", "-quality", "3")
    yield "grey", pillow(grey)
    yield "grey-2x2", cjpeg(rgb, "-grayscale", "-sample", "2x2")
    yield "grey-progressive", pillow(grey, progressive=True)
    yield "rgb", pillow(rgb, 40, keep_rgb=True)
    yield "cmyk", pillow(cmyk, 40)
    yield "cmyk-progressive", pillow(cmyk, 40, progressive=True)
    yield "ycck", with_transform(pillow(cmyk, 40), 2)
    yield "420-progressive", pillow(rgb, subsampling=2, progressive=True)
    yield "444-progressive", pillow(rgb, subsampling=0, progressive=True)
    yield "440-progressive", cjpeg(rgb, "-sample", "1x2", "-progressive")
    yield "422-progressive-restart", cjpeg(rgb, "-sample", "2x1", "-progressive", "-restart", "2")
    # What refines the coefficients is missing, and blocks are smoothed.
    yield "420-unrefined", cjpeg(rgb, "-sample", "2x2", scans="0,1,2: 0-0, 0, 0;\n")
    yield "444-unrefined", cjpeg(rgb, "-sample", "1x1", scans="0,1,2: 0-0, 0, 0;\n0: 1-5, 0, 2;\n")
    yield "420-arithmetic", cjpeg(rgb, "-sample", "2x2", "-arithmetic")
    yield "422-arithmetic-progressive", cjpeg(rgb, "-sample", "2x1", "-arithmetic", "-progressive")
    yield "420-scans", cjpeg(rgb, "-sample", "2x2", scans=separate)
    yield "440-scans", cjpeg(rgb, "-sample", "1x2", scans=separate)
    yield "422-two-scans", cjpeg(rgb, "-sample", "2x1", scans=pair)
    yield "444-scans-restart", cjpeg(rgb, "-sample", "1x1", "-restart", "5B", scans=separate)
    yield "444-chroma-first", cjpeg(rgb, "-sample", "1x1", scans=chroma_first)
    for width, height in ((1, 1), (2, 2), (3, 4), (5, 7), (1, 60), (60, 1), (16, 16), (17, 33), (34, 18)):
        yield f"420-{width}x{height}", pillow(Image.fromarray(picture(width, height)), subsampling=2)
    for width, height in ((4, 3), (34, 9)):
        yield f"440-{width}x{height}", cjpeg(Image.fromarray(picture(width, height)), "-sample", "1x2")
        yield f"422-{width}x{height}", cjpeg(Image.fromarray(picture(width, height)), "-sample", "2x1")


def decoded(file, divisor):
    image = Image.open(io.BytesIO(file))
    width, height = image.size
    if divisor > 1:
        image.draft(None, (max(width // divisor, 1), max(height // divisor, 1)))
        if image.decoderconfig != (divisor, 0):
            return None  # A side is shorter than the divisor, and Pillow takes a smaller one.
    return image.convert("RGB")


def damaged(file):
    """Two bytes changed, in the data and in most cases near a restart marker or in the last interval."""
    random = np.random.default_rng(20261129)
    begin = file.index(b"\xff\xda") + 14
    restarts = [at for at in range(begin, len(file)) if file[at] == 0xFF and 0xD0 <= file[at + 1] <= 0xD7]
    for case in range(400):
        near = [range(begin, len(file) - 3), range(restarts[-1] - 3, len(file) - 3), restarts, restarts][case % 4]
        at = int(random.choice(near))
        second = (random.integers(0, 256), random.integers(0xC0, 256), random.integers(0xD0, 0xDA))[case % 3]
        pair = bytes([255 if case % 5 else random.integers(0, 256), second])
        try:
            digest = blake3(decoded(file[:at] + pair + file[at + 2 :], 1).tobytes()).hexdigest()[:16]
        except OSError:
            digest = "error"
        yield f"{at} {pair.hex()} {digest}\n"


def main():
    FOLDER.mkdir(exist_ok=True)
    lines = []
    for name, file in all_kinds():
        (FOLDER / f"{name}.jpg").write_bytes(file)
        for divisor in (1, 2, 4, 8):
            image = decoded(file, divisor)
            if image is not None:
                lines.append(f"{name} {divisor} {image.width} {image.height} {blake3(image.tobytes()).hexdigest()}\n")
    (FOLDER / "expected.txt").write_text("".join(lines))
    (FOLDER / "damaged.txt").write_text("".join(damaged((FOLDER / "420-restart.jpg").read_bytes())))


if __name__ == "__main__":
    main()
