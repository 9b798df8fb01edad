"""Photographs with another loader: `photographs.py PEER --data SET`, SET/train/CLASS/*.jpg, or of another `--ending`.

The job: each file in a new order each epoch, a random resized crop of the original to 224 x 224 (area 0.08 to 1, ratio 3/4 to
4/3, bilinear), a horizontal flip of one in two, batches of 64, u8 in the consumer's memory. Peers: `tf-service` (a dispatcher, a
worker and this consumer, three processes), `tf-local`, `dataloader-pillow` and `dataloader-io` (torchvision.io and its v2
transforms), these two with `--workers N` processes, `package` (the package `mixfeed`, with a loader of N threads), `dali` (on the CPU) and `ffcv`, these two with `--workers N` threads in this
process. Prints one JSON object, which `cargo xtask pairs` reads.

tf.data resizes without antialiasing; torchvision and DALI with it, as mixfeed does. FFCV shrinks by averaging areas, and reads a
file of its own, `--beton FILE`, in which it has the photographs anew as JPEG of quality 95 (`--write` makes it).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

import job

BATCH = 64
SIDE = 224
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
WARM_UP_SECONDS = 3.0


def tf_batches(files, service):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    servers = []
    if service:
        for role in ("dispatcher", "worker"):
            command = [sys.executable, str(Path(__file__).with_name("tf_server.py")), role]
            servers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        address = servers[0].stdout.readline().strip()
        servers[1].stdin.write(address + "\n")
        servers[1].stdin.flush()
        servers[1].stdout.readline()
    import tensorflow as tf

    is_jpeg = files[0].endswith(".jpg")
    is_webp = files[0].endswith(".webp")

    def decoded(raw):
        # A WebP may be a film, of which this is the first frame.
        return tf.io.decode_webp(raw, channels=3)[0] if is_webp else tf.io.decode_png(raw, channels=3)

    def image(path):
        raw = tf.io.read_file(path)
        whole = None if is_jpeg else decoded(raw)
        shape = tf.io.extract_jpeg_shape(raw) if is_jpeg else tf.shape(whole)
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            shape,
            tf.zeros([0, 0, 4]),
            use_image_if_no_bounding_boxes=True,
            min_object_covered=0.0,
            aspect_ratio_range=RATIO,
            area_range=AREA,
            max_attempts=10,
        )
        (top, left, _), (height, width, _) = tf.unstack(begin), tf.unstack(size)
        if is_jpeg:
            crop = tf.io.decode_and_crop_jpeg(raw, tf.stack([top, left, height, width]), channels=3)
        else:
            crop = tf.image.crop_to_bounding_box(whole, top, left, height, width)
        crop = tf.image.random_flip_left_right(tf.image.resize(crop, [SIDE, SIDE]))
        return tf.cast(crop, tf.uint8)

    auto = tf.data.AUTOTUNE
    images = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).repeat()
    batches = images.map(image, num_parallel_calls=auto).batch(BATCH, drop_remainder=True)
    if service:
        kind = tf.data.experimental.service
        batches = batches.apply(
            kind.distribute(processing_mode=kind.ShardingPolicy.OFF, service=f"grpc://{address}", compression=None)
        )
    return batches.prefetch(auto).as_numpy_iterator(), tf.__version__, servers


class Photographs:
    """Decodes with Pillow, or with torchvision.io."""

    def __init__(self, files, pillow):
        self.files, self.pillow = files, pillow
        from torchvision.transforms import v2

        crop = v2.RandomResizedCrop(SIDE, AREA, RATIO, antialias=True)
        steps = [crop, v2.RandomHorizontalFlip()]
        self.transform = v2.Compose([*steps, v2.PILToTensor()] if pillow else steps)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        if self.pillow:
            from PIL import Image

            return self.transform(Image.open(self.files[index]).convert("RGB"))
        from torchvision.io import ImageReadMode, decode_image

        return self.transform(decode_image(self.files[index], ImageReadMode.RGB))


def torch_batches(files, pillow, workers):
    import torch

    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(
        Photographs(files, pillow), BATCH, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )

    def epochs():
        while True:
            for batch in loader:
                yield batch.numpy()

    return epochs(), torch.__version__, []


def package_batches(data, workers):
    import mixfeed.torch

    loaders = mixfeed.local(str(data), workers=workers, cache="none")
    crop = {"image_size": str(SIDE), "resized_crop": str(AREA[0]), "flip_prob": 0.5}
    loader = mixfeed.torch.Loader(loaders, batch_size=BATCH, remainder="drop", **crop)

    def epochs():
        while True:
            for images, _ in loader:
                yield images.numpy()

    return epochs(), mixfeed.__version__, []


def dali_batches(files, threads):
    import nvidia.dali as dali
    from nvidia.dali import fn, types

    @dali.pipeline_def(batch_size=BATCH, num_threads=threads, device_id=None, seed=1)
    def pipeline():
        encoded, _ = fn.readers.file(files=files, random_shuffle=True, initial_fill=len(files), name="reader")
        crop = fn.decoders.image_random_crop(
            encoded, device="cpu", output_type=types.RGB, random_area=AREA, random_aspect_ratio=RATIO
        )
        crop = fn.resize(crop, resize_x=SIDE, resize_y=SIDE, interp_type=types.INTERP_LINEAR, antialias=True)
        return fn.flip(crop, horizontal=fn.random.coin_flip())

    built = pipeline()
    built.build()

    def epochs():
        while True:
            (images,) = built.run()
            yield images.as_array()

    return epochs(), dali.__version__, []


def ffcv_batches(files, threads, beton, write):
    from ffcv.fields import RGBImageField
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor

    if write:
        from ffcv.writer import DatasetWriter
        from PIL import Image

        class Files:
            def __len__(self):
                return len(files)

            def __getitem__(self, index):
                return (np.asarray(Image.open(files[index]).convert("RGB")),)

        fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=95)}
        DatasetWriter(beton, fields, num_workers=2).from_indexed_dataset(Files())
    steps = [RandomResizedCropRGBImageDecoder((SIDE, SIDE), AREA, RATIO), RandomHorizontalFlip(0.5), ToTensor()]
    loader = Loader(
        beton, BATCH, num_workers=threads, os_cache=True, order=OrderOption.RANDOM, drop_last=True, pipelines={"image": steps}
    )

    def epochs():
        while True:
            for (images,) in loader:
                yield images.numpy()

    return epochs(), version("ffcv"), []


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peers = ("package", "tf-service", "tf-local", "dataloader-pillow", "dataloader-io", "dali", "ffcv")
    flags.add_argument("peer", choices=peers)
    flags.add_argument("--data", type=Path, required=True)
    flags.add_argument("--workers", type=int, default=2)
    flags.add_argument("--seconds", type=float, default=5.0)
    flags.add_argument("--ending", choices=("jpg", "png", "webp"), default="jpg")
    flags.add_argument("--beton", help="the file that FFCV reads")
    flags.add_argument("--write", action="store_true", help="make it first")
    options = flags.parse_args()
    files = sorted(str(file) for file in options.data.glob(f"train/*/*.{options.ending}"))
    if options.peer.startswith("tf"):
        batches, release, servers = tf_batches(files, options.peer == "tf-service")
    elif options.peer == "package":
        batches, release, servers = package_batches(options.data, options.workers)
    elif options.peer == "dali":
        batches, release, servers = dali_batches(files, options.workers)
    elif options.peer == "ffcv":
        batches, release, servers = ffcv_batches(files, options.workers, options.beton, options.write)
    else:
        batches, release, servers = torch_batches(files, options.peer.endswith("pillow"), options.workers)
    first = next(batches)
    if first.dtype != np.uint8 or sorted(first.shape) != sorted((BATCH, SIDE, SIDE, 3)):
        raise SystemExit(f"another job: {first.dtype} {first.shape}")
    end = time.perf_counter() + WARM_UP_SECONDS
    while time.perf_counter() < end:
        next(batches)
    before, start, images = job.cpu_seconds(), time.perf_counter(), 0
    while time.perf_counter() - start < options.seconds:
        images += len(next(batches))
    took = time.perf_counter() - start
    spent = sum(seconds - before.get(pid, 0.0) for pid, seconds in job.cpu_seconds().items())
    report = {
        "peer": options.peer,
        "version": release,
        "images_per_second": images / took,
        "cpu_seconds_per_million": spent / images * 1e6,
    }
    print(json.dumps(report), flush=True)
    for server in servers:
        server.kill()
    # DataLoader's workers and TensorFlow's threads need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
