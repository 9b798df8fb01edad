"""Holds a loader's pixels against Pillow and torchvision: random resized crops of photographs, byte for byte.

    pip install torchvision==0.26.0 pillow==13.0.0 numpy blake3
    python pixels.py LOADER DATA BATCHES     # DATA/train/CLASS/*: images in class folders

`replay` names the box of each row and the digest of each batch; here the same boxes are cut out of what Pillow decodes, and
the digest is computed of these. A batch whose digest differs has a differing byte. Exits with 1 if there is one.
"""

import glob
import json
import os
import struct
import subprocess
import sys
import tempfile

import blake3
import numpy as np
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

SIDE = 224
SPEC = f"""seed = 5
batch-size = 50
output = {{ size = "{SIDE}" }}
[augmentation.resized-crop]
min-area = 0.08
max-area = 1.0
min-ratio = 0.75
max-ratio = 1.3333333333333333
"""


def expected(file, view):
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    assert view["original"] == f"{image.height}x{image.width}", (file, view)
    box = [view[name] for name in ("top", "left", "height", "width")]
    crop = F.resized_crop(image, *box, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True)
    return np.asarray(crop).tobytes()


def main():
    loader, data, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # The order of samples: by path, class after class.
    files = sorted(glob.glob(f"{data}/train/*/*"))
    classes = sorted({os.path.basename(os.path.dirname(file)) for file in files})
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as spec:
        spec.write(SPEC)
        spec.flush()
        images, differing = 0, []
        for index in range(batches):
            command = [loader, "replay", "--spec", spec.name, "--data", data, "--index", str(index), "--json"]
            batch = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            rows = batch["rows"]
            pixels = b"".join(expected(files[row["sample"]], row["view"]["resized"]) for row in rows)
            labels = b"".join(struct.pack("<I", classes.index(row["class"])) for row in rows)
            header = bytes.fromhex(batch["spec_digest"]) + struct.pack("<Q", index)
            lambdas = struct.pack("<I", 1 << 16) * len(rows)
            if blake3.blake3(header + pixels + labels + labels + lambdas).hexdigest() != batch["digest"]:
                differing.append(index)
            images += len(rows)
    print(f"{images} images in {batches} batches, {len(differing)} batches differ {differing or ''}")
    sys.exit(1 if differing else 0)


main()
