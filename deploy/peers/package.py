"""The package `mixfeed`, and the reader of the .proto alone: the same job, read in Python.

One loader process of this machine with `--workers N` threads, and this process, which turns each batch into tensors of
PyTorch's: by `--reader package` with `mixfeed.torch.Loader`, by `--reader stream` with `mixfeed.Stream` below it, by
`--reader example` into arrays with the file in `proto/examples/python`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

import job

sys.path.append(str(Path(__file__).parents[2] / "proto/examples/python"))


SETTINGS = {
    "batch_size": job.BATCH,
    "remainder": "drop",
    "mixup_alpha": job.ALPHA,
    "mixup_prob": job.MIX_PROBABILITY,
}


def by_package(loaders: object) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    import mixfeed.torch

    loader = mixfeed.torch.Loader(loaders, **SETTINGS)
    while True:
        yield from loader


def by_stream(loaders: object) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    import mixfeed

    with mixfeed.Stream(loaders, **SETTINGS) as stream:
        for batch in stream:
            yield from_dlpack(batch.images).permute(0, 3, 1, 2), from_dlpack(batch.soft_targets())


def by_example(loaders: object) -> Iterator[job.Batch]:
    import mixfeed_stream

    pb = mixfeed_stream.pb
    fields = {"batch_size": job.BATCH, "remainder": pb.REMAINDER_DROP, "pixel_layout": pb.PIXEL_LAYOUT_NCHW}
    spec = mixfeed_stream.stream_spec(job.ALPHA, job.MIX_PROBABILITY, **fields)
    rows = np.arange(job.BATCH)
    stream = mixfeed_stream.MixfeedStream(loaders.addresses[0].replace("unix://", "unix:"), spec)
    while True:
        for batch in stream:
            targets = np.zeros((job.BATCH, job.CLASSES), np.float32)
            targets[rows, batch["labels"]] = batch["lambdas"]
            targets[rows, batch["partner_labels"]] += 1 - batch["lambdas"]
            yield batch["pixels"], targets


def main() -> None:
    import mixfeed

    readers = {"package": by_package, "stream": by_stream, "example": by_example}
    flags = job.parser(__doc__)
    flags.add_argument("--workers", type=int, default=2)
    flags.add_argument("--reader", choices=readers, default="package")
    options = flags.parse_args()
    torch.set_num_threads(1)
    with mixfeed.local(str(options.data), workers=options.workers) as loaders:
        settings = f"{options.reader}, {options.workers} workers"
        batches = readers[options.reader](loaders)
        job.measure(options, batches, "mixfeed in Python", mixfeed.__version__, settings)


if __name__ == "__main__":
    main()
