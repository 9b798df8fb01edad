"""FFCV, in process, from its own file of raw pixels (`--beton FILE`, made by `--write`).

An FFCV transform sees its own batch and nothing else: partners come from the batch, not from the whole split. It has no PNG field.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ffcv.fields import IntField, NDArrayField
from ffcv.fields.decoders import IntDecoder, NDArrayDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.pipeline.allocation_query import AllocationQuery
from ffcv.pipeline.compiler import Compiler
from ffcv.pipeline.operation import Operation
from ffcv.pipeline.state import State
from ffcv.transforms import ToTensor
from ffcv.writer import DatasetWriter

import job

SHAPE = (3, job.SIDE, job.SIDE)
PLANE = job.SIDE * job.SIDE


def draws(indices, rows):
    """Shares (1: not mixed) and partners of a batch.

    Pixels and labels pass through code that shares no memory, so both draw, from a seed that the batch's indices give.
    """
    np.random.seed((indices[0] * 50021 + indices[rows - 1]) % 4294967291)
    shares, partners = np.ones(rows, np.float32), np.zeros(rows, np.int64)
    for row in range(rows):
        if np.random.random() < job.MIX_PROBABILITY:
            shares[row] = np.random.beta(job.ALPHA, job.ALPHA)
            partners[row] = np.random.randint(0, rows)
    return shares, partners


class MixBytes(Operation):
    """Mixes u8 in place: only mixed rows are written, aside first, for another row may want the original."""

    def generate_code(self) -> Callable:
        drawn, parallel = Compiler.compile(draws), Compiler.get_iterator()

        def mix(pixels, aside, indices):
            rows = pixels.shape[0]
            shares, partners = drawn(indices, rows)
            of, to = pixels.reshape(rows, 3 * PLANE), aside.reshape(rows, 3 * PLANE)
            for row in parallel(rows):
                share = shares[row]
                if share < 1:
                    other = partners[row]
                    for at in range(3 * PLANE):
                        value = of[row, at] * share + of[other, at] * (np.float32(1) - share)
                        to[row, at] = np.uint8(value + np.float32(0.5))
            for row in parallel(rows):
                if shares[row] < 1:
                    for at in range(3 * PLANE):
                        of[row, at] = to[row, at]
            return pixels

        mix.is_parallel = mix.with_indices = True
        return mix

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, AllocationQuery]:
        return replace(previous_state, jit_mode=True), AllocationQuery(SHAPE, np.dtype("uint8"))


class MixFloats(Operation):
    """Mixes and normalises in one pass."""

    def generate_code(self) -> Callable:
        drawn, parallel = Compiler.compile(draws), Compiler.get_iterator()
        scales, shifts = job.SCALE.reshape(3), job.SHIFT.reshape(3)

        def mix(pixels, out, indices):
            rows = pixels.shape[0]
            shares, partners = drawn(indices, rows)
            of, to = pixels.reshape(rows, 3, PLANE), out.reshape(rows, 3, PLANE)
            for row in parallel(rows):
                other = partners[row]
                for plane in range(3):
                    shift, own = shifts[plane], scales[plane] * shares[row]
                    rest = scales[plane] - own
                    if shares[row] < 1:
                        for at in range(PLANE):
                            to[row, plane, at] = of[row, plane, at] * own + of[other, plane, at] * rest - shift
                    else:
                        for at in range(PLANE):
                            to[row, plane, at] = of[row, plane, at] * own - shift
            return out

        mix.is_parallel = mix.with_indices = True
        return mix

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, AllocationQuery]:
        dtype = np.dtype("float32")
        return replace(previous_state, jit_mode=True, dtype=dtype), AllocationQuery(SHAPE, dtype)


class MixLabels(Operation):
    def generate_code(self) -> Callable:
        drawn = Compiler.compile(draws)

        def mix(labels, out, indices):
            rows = labels.shape[0]
            shares, partners = drawn(indices, rows)
            out[:] = 0
            for row in range(rows):
                out[row, labels[row, 0]] += shares[row]
                out[row, labels[partners[row], 0]] += np.float32(1) - shares[row]
            return out

        mix.with_indices = True
        return mix

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, AllocationQuery]:
        shape, dtype = (job.CLASSES,), np.dtype("float32")
        return replace(previous_state, jit_mode=True, dtype=dtype, shape=shape), AllocationQuery(shape, dtype)


class Pairs:
    def __init__(self, samples: job.Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.samples.pixels[index], int(self.samples.labels[index])


def endless(loader: Loader) -> Iterator[job.Batch]:
    while True:
        for x, y in loader:
            yield x.numpy(), y.numpy()


def main() -> None:
    flags = job.parser(__doc__)
    flags.add_argument("--beton", type=Path, required=True)
    flags.add_argument("--write", action="store_true", help="make the file, and measure nothing")
    options = flags.parse_args()
    if options.write:
        samples = job.read(options)
        if samples.pixels is None:
            raise SystemExit("only for data_batch_*.bin")
        fields = {"x": NDArrayField(np.dtype("uint8"), SHAPE), "y": IntField()}
        DatasetWriter(str(options.beton), fields, num_workers=1).from_indexed_dataset(Pairs(samples))
        return
    mixing = MixFloats() if options.pixels == "f32" else MixBytes()
    loader = Loader(
        str(options.beton),
        batch_size=job.BATCH,
        num_workers=os.cpu_count(),
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=True,
        pipelines={"x": [NDArrayDecoder(), mixing, ToTensor()], "y": [IntDecoder(), MixLabels(), ToTensor()]},
    )
    settings = f"{os.cpu_count()} threads, partners from the same batch"
    job.measure(options, endless(loader), "FFCV", version("ffcv"), settings)


if __name__ == "__main__":
    main()
    # Its threads wait for room in a queue, and would hold the process back.
    os._exit(0)
