"""tf.data service: a dispatcher and a worker in processes of their own, and the consumer here.

The settings are those that made it fastest on two cores: no compression, batches over gRPC, everything in one `map` over a
batch's indices, only the mixed rows computed in f32. For PNG files that `map` holds one decoder for each row, which the
runtime spreads over the cores.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import job

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["CUDA_VISIBLE_DEVICES"] = ""


def start(role: str) -> subprocess.Popen:
    command = [sys.executable, str(Path(__file__).with_name("tf_server.py")), role]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(server: subprocess.Popen) -> str:
    text = server.stdout.readline().strip()
    if not text:
        raise SystemExit(f"a server ended before it served: {server.args}")
    return text


def dataset(options: argparse.Namespace):
    """What the worker runs."""
    import tensorflow as tf

    samples = job.read(options)
    count, floats = len(samples.labels), options.pixels == "f32" and options.normalise == "worker"
    labels = tf.constant(samples.labels)
    source = tf.constant(samples.pixels if samples.paths is None else samples.paths)

    def decoded(path):
        image = tf.ensure_shape(tf.io.decode_png(tf.io.read_file(path), channels=3), [job.SIDE, job.SIDE, 3])
        if options.augment == "crop-flip":
            border = [[job.PADDING, job.PADDING], [job.PADDING, job.PADDING], [0, 0]]
            image = tf.image.random_crop(tf.pad(image, border), [job.SIDE, job.SIDE, 3])
            image = tf.image.random_flip_left_right(image)
        return image

    def whole(index):
        """Pixels of a batch, whose number of rows is known when the graph is made."""
        found = tf.gather(source, index)
        return found if samples.paths is None else tf.stack([decoded(path) for path in tf.unstack(found, job.BATCH)])

    def few(index):
        """Pixels of as many partners as there happen to be."""
        found = tf.gather(source, index)
        if samples.paths is None:
            return found
        return tf.map_fn(decoded, found, fn_output_signature=tf.TensorSpec([job.SIDE, job.SIDE, 3], tf.uint8))

    def hot(index):
        return tf.one_hot(tf.gather(labels, index), job.CLASSES)

    def shares(number):
        # Two gamma variates make a beta variate; both may underflow to 0 with so small a shape.
        kept, given = tf.random.gamma([number], job.ALPHA), tf.random.gamma([number], job.ALPHA)
        return kept / tf.maximum(kept + given, 1e-12)

    def batch(index):
        x, y = whole(index), hot(index)
        rows = tf.where(tf.random.uniform([job.BATCH]) < job.MIX_PROBABILITY)
        number = tf.shape(rows)[0]
        partner = tf.random.uniform([number], 0, count, tf.int32)
        share = shares(number)
        of_label, of_pixel = tf.reshape(share, [-1, 1]), tf.reshape(share, [-1, 1, 1, 1])
        own = tf.cast(tf.gather_nd(x, rows), tf.float32)
        other = tf.cast(few(partner), tf.float32)
        mixed = own * of_pixel + other * (1 - of_pixel)
        mixed_label = tf.gather_nd(y, rows) * of_label + hot(partner) * (1 - of_label)
        y = tf.tensor_scatter_nd_update(y, rows, mixed_label)
        if floats:
            x = tf.tensor_scatter_nd_update(tf.cast(x, tf.float32), rows, mixed)
        else:
            x = tf.tensor_scatter_nd_update(x, rows, tf.cast(tf.round(mixed), tf.uint8))
        if samples.paths is not None:
            x = tf.transpose(x, [0, 3, 1, 2])
        return (x * job.SCALE - job.SHIFT if floats else x), y

    indices = tf.data.Dataset.range(count).shuffle(count, reshuffle_each_iteration=True).repeat()
    indices = indices.batch(job.BATCH, drop_remainder=True)
    return indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False).prefetch(tf.data.AUTOTUNE)


def served(options: argparse.Namespace, pipeline, dispatcher: str):
    """What the consumer sees of it."""
    import tensorflow as tf

    def normalised(x, y):
        return tf.cast(x, tf.float32) * job.SCALE - job.SHIFT, y

    service = tf.data.experimental.service
    distributed = service.distribute(
        processing_mode=service.ShardingPolicy.OFF,
        service=f"grpc://{dispatcher}",
        compression=None,
        data_transfer_protocol="grpc",
    )
    any_order = tf.data.Options()
    any_order.deterministic = False
    batches = pipeline.with_options(any_order).apply(distributed)
    if options.pixels == "f32" and options.normalise == "consumer":
        batches = batches.map(normalised, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(any_order)


def main() -> None:
    flags = job.parser(__doc__)
    flags.add_argument(
        "--normalise",
        choices=("worker", "consumer"),
        default="worker",
        help="who makes f32 of u8; as consumer the wire carries u8, mixed and rounded, as mixfeed's does",
    )
    options = flags.parse_args()
    # Both import TensorFlow, which takes seconds, while this process does.
    servers = [start("worker"), start("dispatcher")]
    try:
        import tensorflow as tf

        pipeline = dataset(options)
        worker, dispatcher = servers
        address = line(dispatcher)
        worker.stdin.write(f"{address}\n")
        worker.stdin.flush()
        line(worker)
        batches = served(options, pipeline, address).as_numpy_iterator()
        settings = "one worker, no compression, grpc"
        if options.pixels == "f32":
            settings += f", f32 made by the {options.normalise}"
        job.measure(options, batches, "tf.data service", tf.__version__, settings)
    finally:
        for server in servers:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
