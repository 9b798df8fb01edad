"""Arrays in JAX: where they lie, how long they last, and what they hold. In a process of its own: JAX has threads, and other
tests fork."""

import importlib.util

import pytest
from conftest import Program

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax: it is not installed")

READING = """import sys, numpy, jax.numpy as jnp, mixfeed
stream = mixfeed.Stream(sys.argv[1], batch_size=20, epochs=2, mixup_alpha=0.2, mixup_prob=0.5)
"""

ALIGNED = """
for batch in stream:
    for array in (batch.images, batch.lambdas, batch.soft_targets()):
        taken, aligned = jnp.from_dlpack(array), array.data_ptr % 64 == 0
        assert (taken.unsafe_buffer_pointer() == array.data_ptr) == aligned
        assert (numpy.asarray(taken) == numpy.from_dlpack(array)).all() and taken.dtype == array.dtype
        try:
            jnp.from_dlpack(array, copy=False)
        except ValueError as error:
            assert not aligned and "not aligned" in str(error)
        else:
            assert aligned
print(batch.index)
"""

KEPT = """
batch = next(stream)
expected = bytes(batch.images), bytes(batch.soft_targets())
kept = jnp.from_dlpack(batch.images), jnp.from_dlpack(batch.soft_targets())
del batch
for batch in stream:
    pass
print(batch.index)
del batch, stream
assert tuple(numpy.asarray(array).tobytes() for array in kept) == expected
"""

LABELS = """
for batch in stream:
    taken = jnp.from_dlpack(batch.labels)
    assert taken.dtype == jnp.int32 and (taken == numpy.from_dlpack(batch.labels)).all()
print(batch.index)
"""


def read(loaders, body):
    assert Program(READING + body, loaders.addresses[0]).succeed() == "99\n", "it read to the end"


def test_arrays_are_taken_where_they_lie_if_aligned_and_copied_if_not(loaders):
    read(loaders, ALIGNED)


def test_arrays_outlive_their_batch_and_what_is_read_after_it(loaders):
    read(loaders, KEPT)


def test_labels_are_those_of_numpy_in_32_bits(loaders):
    read(loaders, LABELS)
