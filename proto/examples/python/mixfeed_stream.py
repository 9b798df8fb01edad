"""Reads training batches from a mixfeed loader, with gRPC and the .proto file alone.

    pip install grpcio grpcio-tools numpy    (blake3 and torch are used where they are installed)

    spec = stream_spec(batch_size=128, seed=1, mixup_alpha=0.2, mixup_probability=0.2)
    for batch in MixfeedStream("127.0.0.1:50051", spec):
        train(batch["pixels"], batch["labels"], batch["partner_labels"], batch["lambdas"])

Pixels are u8, one image after the other (NHWC), and an image's target is
lambda * onehot(label) + (1 - lambda) * onehot(partner_label). Not here: several loaders at a time.
"""

import argparse
import hashlib
import json
import pathlib
import queue
import struct
import sys
import zlib

import grpc
import numpy as np

try:
    from torch.utils.data import IterableDataset
except ImportError:
    IterableDataset = object
try:
    from blake3 import blake3
except ImportError:
    blake3 = None

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))
pb, rpc = grpc.protos_and_services("mixfeed/v1/loader.proto")  # Compiled by grpcio-tools.


def stream_spec(mixup_alpha=0.0, mixup_probability=0.0, **fields):
    """A StreamSpec; `fields` win over the defaults, which are spelled out as the Rust client does it:
    the digest of a batch covers how it was asked for."""
    common = {"split": pb.SPLIT_TRAIN, "remainder": pb.REMAINDER_KEEP, "shuffle": True}
    pixels = {"pixel_type": pb.PIXEL_TYPE_U8, "pixel_layout": pb.PIXEL_LAYOUT_NHWC}
    spec = pb.StreamSpec(**{**common, **pixels, **fields})
    if mixup_probability > 0:
        how = {"lambda_scope": pb.LAMBDA_SCOPE_SAMPLE, "partner_source": pb.PARTNER_SOURCE_DATASET}
        mixing = {"kind": pb.MIXING_KIND_MIXUP, "alpha": mixup_alpha, "probability": mixup_probability}
        spec.mixing.MergeFrom(pb.Mixing(**mixing, **how))
    return spec


def canonical(message):
    """The canonical encoding that loader.proto defines; works for fields yet to come."""
    out = b""
    for field, value in message.ListFields():
        out += struct.pack("<I", field.number)
        if field.type == field.TYPE_MESSAGE:
            inner = canonical(value)
            out += struct.pack("<Q", len(inner)) + inner
        elif field.type == field.TYPE_DOUBLE:
            out += struct.pack("<d", value)
        else:
            out += struct.pack("<Q", int(value) & 0xFFFF_FFFF_FFFF_FFFF)
    return out


class MixfeedStream(IterableDataset):
    """Batches in order of their index, from `start` up to `stop` (None: the end of that epoch).

    Iterating anew, or a new object with start=position, resumes. `credits` batches are asked for or
    held at a time. In a DataLoader: batch_size=None, and no workers, for the loader is the worker.
    """

    def __init__(self, address, spec, start=0, stop=None, credits=8):
        self.address, self.spec, self.position, self.stop, self.credits = address, spec, start, stop, credits
        self.spec_digest = hashlib.sha256(b"mixfeed.v1.StreamSpec" + canonical(spec)).digest()

    def __iter__(self):
        with grpc.insecure_channel(self.address, [("grpc.max_receive_message_length", 72 << 20)]) as channel:
            requests = queue.SimpleQueue()
            call = rpc.LoaderServiceStub(channel).StreamBatches(iter(requests.get, None))
            try:
                opening = pb.StreamOpen(spec=self.spec, spec_digest=self.spec_digest, run_id="python")
                requests.put(pb.StreamBatchesRequest(open=opening))
                opened = next(call).opened
                end_of_epoch = (self.position // opened.batches_per_epoch + 1) * opened.batches_per_epoch
                stop = end_of_epoch if self.stop is None else self.stop
                wanted = range(self.position, min(self.position + self.credits, stop))
                held = {}  # Batches come in the order in which they were finished.
                while self.position < stop:
                    if wanted:
                        requests.put(pb.StreamBatchesRequest(request=pb.BatchRequest(wanted=wanted)))
                    while self.position not in held:
                        batch = self._next(call)
                        held[batch.index] = batch
                    batch = held.pop(self.position)
                    self.position += 1
                    wanted = [i for i in [self.position + self.credits - 1] if i < stop]
                    yield self._arrays(batch, opened.image)
            finally:
                requests.put(None)
                call.cancel()

    def _next(self, call):
        if (answer := next(call, None)) is None:
            raise ConnectionError(f"the loader is shutting down; resume at batch {self.position}")
        if answer.HasField("failure"):
            raise RuntimeError(f"batch {answer.failure.index}: {answer.failure.message}")
        if zlib.crc32(self._bytes(answer.batch)) != answer.batch.checksum:
            raise ValueError(f"batch {answer.batch.index} was damaged on the way")
        return answer.batch

    def _bytes(self, batch):
        """What checksum and digest are computed over."""
        head = self.spec_digest + struct.pack("<Q", batch.index)
        return head + batch.pixels + batch.labels + batch.partner_labels + batch.lambdas

    def _arrays(self, batch, image):
        dtype = "<f4" if self.spec.pixel_type == pb.PIXEL_TYPE_F32 else "u1"
        h, w, c = image.height, image.width, image.channels
        shape = (-1, c, h, w) if self.spec.pixel_layout == pb.PIXEL_LAYOUT_NCHW else (-1, h, w, c)
        return {
            "index": batch.index,
            "pixels": np.frombuffer(bytearray(batch.pixels), dtype).reshape(shape),
            "labels": np.frombuffer(batch.labels, "<u4").astype(np.int64),
            "partner_labels": np.frombuffer(batch.partner_labels, "<u4").astype(np.int64),
            "lambdas": np.frombuffer(batch.lambdas, "<u4").astype(np.float32) / 65536,
            "digest": blake3(self._bytes(batch)).hexdigest() if blake3 else None,
        }


def main():
    parser = argparse.ArgumentParser(description="Reads one epoch from a loader; prints JSON about it.")
    parser.add_argument("address", help="HOST:PORT of a loader")
    defaults = {"batch-size": 128, "seed": 0, "start": 0, "mixup-alpha": 0.2, "mixup-probability": 0.0}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default: {default}")
    args = parser.parse_args()
    spec = stream_spec(args.mixup_alpha, args.mixup_probability, batch_size=args.batch_size, seed=args.seed)
    samples, digests = 0, []
    try:
        for batch in MixfeedStream(args.address, spec, args.start):
            samples += len(batch["labels"])
            digests.append(batch["digest"])
    except grpc.RpcError as error:
        sys.exit(f"{args.address}: {error.code().name}: {error.details()}")
    print(json.dumps({"batches": len(digests), "samples": samples, "digests": digests}))


if __name__ == "__main__":
    main()
