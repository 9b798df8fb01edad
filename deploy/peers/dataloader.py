"""PyTorch's DataLoader, tuned: a whole batch is one item of its dataset, made by numpy.

Without workers it has no other process to hand batches over from, which is the fastest for pixels in memory on two cores; image files want
`--workers 2`. The usual way, a sample at a time, takes a multiple of the time.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

import job


class Order(Sampler):
    """Batches of indices, in a new order every epoch."""

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[np.ndarray]:
        order = torch.randperm(self.samples).numpy()
        for start in range(0, self.samples - job.BATCH + 1, job.BATCH):
            yield order[start : start + job.BATCH]


class Batches(Dataset):
    """The item at a batch's indices is that batch, mixed."""

    def __init__(self, samples: job.Samples, floats: bool, augmented: bool) -> None:
        self.samples, self.floats, self.augmented = samples, floats, augmented
        self.random: np.random.Generator | None = None

    def __getitem__(self, index: np.ndarray) -> job.Batch:
        if self.random is None:
            # Not before there are workers: copies of one generator would draw the same.
            worker = get_worker_info()
            self.random = np.random.default_rng(worker.seed if worker else None)
        labels = self.samples.labels
        mixed, shares, partners = job.draw(self.random, len(index), len(labels))
        x, other = self.images(index), self.images(partners)
        share = shares.reshape(-1, 1, 1, 1)
        blended = x[mixed] * share + other * (1 - share)
        if self.floats:
            x = x.astype(np.float32)
            x[mixed] = blended
            x *= job.SCALE
            x -= job.SHIFT
        else:
            x[mixed] = np.rint(blended).astype(np.uint8)
        y = np.zeros((len(index), job.CLASSES), np.float32)
        y[np.arange(len(index)), labels[index]] = 1
        y[mixed, labels[index[mixed]]] = shares
        # Each row is there once, so a partner of the same class adds to what the row has.
        y[mixed, labels[partners]] += 1 - shares
        return x, y

    def images(self, index: np.ndarray) -> np.ndarray:
        """u8 [n, 3, 32, 32], the caller's own."""
        if self.samples.pixels is not None:
            return self.samples.pixels[index]
        images = np.empty((len(index), job.SIDE, job.SIDE, 3), np.uint8)
        for image, number in zip(images, index, strict=True):
            # Faster than imread, which goes through the C library's buffered files.
            with open(self.samples.paths[number], "rb", buffering=0) as file:
                image[:] = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
        if self.augmented:
            return job.crop_flip(self.random, images)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def endless(loader: DataLoader) -> Iterator[job.Batch]:
    while True:
        for x, y in loader:
            yield x.numpy(), y.numpy()


def main() -> None:
    flags = job.parser(__doc__)
    flags.add_argument("--workers", type=int, default=0)
    options = flags.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    samples = job.read(options)
    data = Batches(samples, options.pixels == "f32", options.augment == "crop-flip")
    loader = DataLoader(
        data,
        sampler=Order(len(samples.labels)),
        batch_size=None,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
    )
    settings = f"whole batches, {options.workers} workers"
    job.measure(options, endless(loader), "DataLoader", torch.__version__, settings)


if __name__ == "__main__":
    main()
