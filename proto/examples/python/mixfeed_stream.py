"""Reads training batches from a mixfeed loader, with gRPC and the .proto file alone.

    pip install grpcio grpcio-tools numpy    (torch is used where it is installed, blake3 for digests=True)

    spec = stream_spec(batch_size=128, seed=1, mixup_alpha=0.2, mixup_probability=0.2)
    for batch in MixfeedStream("127.0.0.1:50051", spec):
        train(batch["pixels"], batch["labels"], batch["partner_labels"], batch["lambdas"])

Pixels are u8, one image after the other (NHWC), and an image's target is
lambda * onehot(label) + (1 - lambda) * onehot(partner_label). Every batch is checked as the Rust client does
it: index, shape, checksum, the range of labels and lambdas. Not here: several loaders at a time, TLS, tokens.
"""

import argparse
import atexit
import collections
import hashlib
import importlib
import importlib.util
import json
import os
import pathlib
import queue
import struct
import sys
import zlib

import grpc
import numpy as np

try:
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError:
    IterableDataset, get_worker_info = object, None

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))
pb, rpc = grpc.protos_and_services("mixfeed/v1/loader.proto")  # Compiled by grpcio-tools.


CREDIT_BYTES = 64 << 20
"""Batches are asked for ahead of time up to so many bytes, but always two."""

KEEPALIVE_MS = 10_000
"""A loader that says nothing for so long is asked whether it is there, and lost after as long again."""

OPEN = set()
"""What ends each stream that is being read; None once the interpreter exits."""


@atexit.register
def end_all():
    """Ends streams, whoever holds them still, while gRPC's threads run: later, to close one waits for them for ever."""
    global OPEN
    streams, OPEN = OPEN, None
    for end in streams:
        end()


ONE = 65536
"""Lambda is sent as a whole number of 1/65536."""


def stream_spec(mixup_alpha=0.0, mixup_probability=None, **fields):
    """A StreamSpec; `fields` win over the defaults, which are spelled out as the Rust client does it:
    the digest of a batch covers how it was asked for."""
    if mixup_probability is None and mixup_alpha > 0:
        raise ValueError("mixup_alpha needs mixup_probability, the share of images to mix: 1 for all")
    common = {"split": pb.SPLIT_TRAIN, "remainder": pb.REMAINDER_KEEP, "shuffle": True}
    pixels = {"pixel_type": pb.PIXEL_TYPE_U8, "pixel_layout": pb.PIXEL_LAYOUT_NHWC}
    spec = pb.StreamSpec(**{**common, **pixels, **fields})
    if mixup_probability:
        how = {"lambda_scope": pb.LAMBDA_SCOPE_SAMPLE, "partner_source": pb.PARTNER_SOURCE_DATASET}
        mixing = {"kind": pb.MIXING_KIND_MIXUP, "alpha": mixup_alpha, "probability": mixup_probability}
        spec.mixing.MergeFrom(pb.Mixing(**mixing, **how))
    return spec


def channel_options(address):
    """Options without which a loader cannot be reached from everywhere."""
    options = {"grpc.max_receive_message_length": 72 << 20, "grpc.enable_http_proxy": 0}
    # A loader that is frozen, or cut off, is found by keepalive pings; also while nothing is sent to it.
    options.update({"grpc.keepalive_time_ms": KEEPALIVE_MS, "grpc.keepalive_timeout_ms": KEEPALIVE_MS})
    options.update({"grpc.http2.max_pings_without_data": 0, "grpc.http2.ping_timeout_ms": KEEPALIVE_MS})
    if address.startswith("unix"):
        # The socket's path, which gRPC names otherwise, is no authority to HTTP/2, and the call would be reset.
        options["grpc.default_authority"] = "localhost"
    return list(options.items())


def canonical(message):
    """The canonical encoding that loader.proto defines; works for fields yet to come."""
    out = b""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            out += struct.pack("<I", field.number)
            if field.type == field.TYPE_MESSAGE:
                inner = canonical(one)
                out += struct.pack("<Q", len(inner)) + inner
            elif field.type == field.TYPE_DOUBLE:
                out += struct.pack("<d", one)
            else:
                out += struct.pack("<Q", int(one) & 0xFFFF_FFFF_FFFF_FFFF)
    return out


class MixfeedStream(IterableDataset):
    """Batches in order of their index, from `start` up to `stop` (None: the end of that epoch).

    Iterating anew, or a new object with start=position, resumes. A ConnectionError says that this may help: the
    loader is shutting down, or cannot read a file at this moment. `credits` batches at most are asked for or
    held at a time, fewer where they are large. digests=True names each batch by its BLAKE3.

    In a DataLoader: batch_size=None, for batches come ready, and best without workers, for the loader is the
    worker. Of `num_workers` each reads its share, and batches come in order all the same. Their positions are
    their own, so that it takes a new object for each epoch then, or persistent_workers=True.
    """

    def __init__(self, address, spec, start=0, stop=None, credits=8, digests=False):
        self.address, self.spec, self.position, self.stop, self.credits = address, spec, start, stop, credits
        self.spec_digest = hashlib.sha256(b"mixfeed.v1.StreamSpec" + canonical(spec)).digest()
        self.blake3 = importlib.import_module("blake3").blake3 if digests else None

    def __iter__(self):
        if OPEN is None:
            raise RuntimeError("the interpreter exits: no stream can be opened any more")
        channel = grpc.insecure_channel(self.address, channel_options(self.address))
        requests, calls, process = queue.SimpleQueue(), [], os.getpid()

        def end():
            if process == os.getpid():
                requests.put(None)
                calls.clear()
                channel.close()

        OPEN.add(end)
        try:
            stub = rpc.LoaderServiceStub(channel)
            classes = len(plainly(lambda: stub.Describe(pb.DescribeRequest())).dataset.classes)
            calls.append(stub.StreamBatches(iter(requests.get, None)))
            opening = pb.StreamOpen(
                spec=self.spec, spec_digest=self.spec_digest, run_id="python", accepts_parts=True
            )
            requests.put(pb.StreamBatchesRequest(open=opening))
            shape = Shape(self.spec, plainly(lambda: next(calls[0])).opened, classes)
            end_of_epoch = (self.position // shape.batches + 1) * shape.batches
            stop = end_of_epoch if self.stop is None else self.stop
            due = collections.deque(self._share(range(self.position, stop)))
            credits = max(2, min(self.credits, CREDIT_BYTES // shape.batch_bytes))
            asked, held = collections.deque(), {}  # Batches come in the order in which they were finished.
            while due or asked:
                if wanted := [due.popleft() for _ in range(min(credits - len(asked), len(due)))]:
                    requests.put(pb.StreamBatchesRequest(request=pb.BatchRequest(wanted=wanted)))
                    asked.extend(wanted)
                while asked[0] not in held:
                    index, batch = self._next(calls, shape)
                    if index not in asked or index in held:
                        raise ValueError(f"batch {index} came and was not asked for")
                    held[index] = batch
                batch = held.pop(asked.popleft())
                self.position = batch["index"] + 1
                yield batch
                if process != os.getpid():
                    raise RuntimeError("a stream cannot be read on in a forked process: open one there")
                if not calls:
                    raise RuntimeError("the interpreter exits: its streams have ended")
            self.position = max(self.position, stop)
        finally:
            if OPEN is not None:
                OPEN.discard(end)
                end()

    @staticmethod
    def _share(indices):
        """What this worker of a DataLoader is to read: a DataLoader asks its workers in turn."""
        worker = get_worker_info() if get_worker_info else None
        return indices if worker is None else indices[worker.id :: worker.num_workers]

    def _next(self, calls, shape):
        before, size = [], 0  # Pixels of a batch larger than a message, in order.
        while (answer := plainly(lambda: next(calls[0], None))) is not None and answer.HasField("part"):
            part = answer.part
            if before and part.index != before[0].index or part.offset != size:
                raise ValueError(f"a part of batch {part.index} came out of turn")
            before.append(part)
            size += len(part.pixels)
            if size >= shape.batch_bytes:
                raise ValueError(f"the parts of batch {part.index} have more than its pixels")
        if answer is None:
            raise ConnectionError(f"the loader is shutting down; resume at batch {self.position}")
        if answer.HasField("failure"):
            failure = answer.failure
            may_pass = failure.reason in (pb.FAILURE_REASON_UNAVAILABLE, pb.FAILURE_REASON_CHANGED)
            error = ConnectionError if may_pass else RuntimeError
            raise error(f"batch {failure.index}: {failure.message}")
        message = answer.batch
        if before and message.index != before[0].index:
            raise ValueError(f"batch {before[0].index} lacks its last part")
        # Each is taken out of the message once: that copies it.
        pixels = b"".join([*(part.pixels for part in before), message.pixels]) if before else message.pixels
        parts = [pixels, message.labels, message.partner_labels, message.lambdas, message.samples]
        shape.check(message.index, parts)
        head = self.spec_digest + struct.pack("<Q", message.index)
        crc = zlib.crc32(head)
        for part in parts:
            crc = zlib.crc32(part, crc)
        if crc != message.checksum:
            raise ValueError(f"batch {message.index} was damaged on the way")
        labels, partner_labels, lambdas = (np.frombuffer(part, "<u4") for part in parts[1:4])
        shape.check_ranges(message.index, labels, partner_labels, lambdas)
        pixels = np.frombuffer(parts[0], shape.dtype).reshape(shape.pixels)
        digest = None
        if self.blake3:
            digest = self.blake3(head)
            for part in parts:
                digest.update(part)
        return message.index, {
            "index": message.index,
            # PyTorch warns of memory that it must not write to.
            "pixels": pixels if get_worker_info is None else pixels.copy(),
            "labels": labels.astype(np.int64),
            "partner_labels": partner_labels.astype(np.int64),
            "lambdas": lambdas.astype(np.float32) / ONE,
            # Of each row, and of what is mixed into it, with `sample_ids` in the spec.
            "samples": np.frombuffer(parts[4], "<u8").astype(np.int64).reshape(-1, 2),
            "digest": digest and digest.hexdigest(),
        }


STAYS = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED")
"""What a loader answers that trying again does not change."""


def plainly(ask):
    """What a call gives, with its error as a ConnectionError or, if that stays, a RuntimeError.

    grpcio raises the call itself. To delete one takes a lock, which a thread may have that is gone when the interpreter
    exits: nothing is to hold a call then.
    """
    try:
        return ask()
    except grpc.RpcError as error:
        code, text = error.code().name, f"{error.code().name}: {error.details()}"
        error.with_traceback(None)  # Its frames hold the call, too.
    except BaseException as error:  # So do those of what comes from elsewhere, as by Ctrl-C.
        raise error.with_traceback(None)
    raise (RuntimeError if code in STAYS else ConnectionError)(text)


class Shape:
    """What every batch of a stream must look like."""

    def __init__(self, spec, opened, classes):
        h, w, c = opened.image.height, opened.image.width, opened.image.channels
        self.pixels = (-1, c, h, w) if spec.pixel_layout == pb.PIXEL_LAYOUT_NCHW else (-1, h, w, c)
        self.dtype = "<f4" if spec.pixel_type == pb.PIXEL_TYPE_F32 else "u1"
        self.row_bytes = h * w * c * np.dtype(self.dtype).itemsize
        self.spec, self.classes = spec, classes
        self.samples, self.batches = opened.samples_per_epoch, opened.batches_per_epoch
        if self.batches == 0 or self.row_bytes == 0:
            raise ValueError("the loader says that there are no batches")
        self.batch_bytes = self.rows(0) * self.row_bytes + 1

    def rows(self, index):
        """Rows of a batch: all are full but the last of an epoch. Of a shard, its part of each."""
        rows = min(self.spec.batch_size, self.samples - index % self.batches * self.spec.batch_size)
        if not self.spec.HasField("shard"):
            return rows
        rank, world = self.spec.shard.rank, self.spec.shard.world
        return rows * (rank + 1) // world - rows * rank // world

    def check(self, index, parts):
        """Refuses a batch that has not as many rows as it must."""
        rows = self.rows(index)
        names = ("pixels", "labels", "partner labels", "lambdas", "sample ids")
        for name, part, size in zip(names, parts, (self.row_bytes, 4, 4, 4, 16 * self.spec.sample_ids)):
            if len(part) != rows * size:
                raise ValueError(f"batch {index} has {len(part)} bytes of {name}, {rows * size} are due")

    def check_ranges(self, index, labels, partner_labels, lambdas):
        """Refuses labels that are none, and lambdas above 1."""
        for values, most, what in (
            (labels, self.classes - 1, "label"),
            (partner_labels, self.classes - 1, "partner label"),
            (lambdas, ONE, "lambda"),
        ):
            if len(values) and values.max() > most:
                raise ValueError(f"batch {index} has {what} {values.max()}, at most {most} can be")


def main():
    parser = argparse.ArgumentParser(description="Reads one epoch from a loader; prints JSON about it.")
    parser.add_argument("address", help="HOST:PORT or unix:PATH of a loader")
    defaults = {"batch-size": 128, "seed": 0, "start": 0, "mixup-alpha": 0.2, "mixup-probability": 0.0}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default: {default}")
    args = parser.parse_args()
    spec = stream_spec(args.mixup_alpha, args.mixup_probability, batch_size=args.batch_size, seed=args.seed)
    samples, digests = 0, []
    try:
        digests_too = importlib.util.find_spec("blake3") is not None
        for batch in MixfeedStream(args.address, spec, args.start, digests=digests_too):
            samples += len(batch["labels"])
            digests.append(batch["digest"])
    except (ConnectionError, RuntimeError) as error:
        sys.exit(f"{args.address}: {error}")
    print(json.dumps({"batches": len(digests), "samples": samples, "digests": digests}))


if __name__ == "__main__":
    main()
