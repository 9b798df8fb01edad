"""Arrays in JAX: where they lie, how long they last, and what they hold."""

import numpy
import pytest
from conftest import MIXUP

import mixfeed

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

ALIGNED = 64


def test_arrays_are_taken_where_they_lie_if_aligned_and_copied_if_not(loaders):
    with mixfeed.Stream(loaders, batch_size=20, epochs=2, **MIXUP) as stream:
        for batch in stream:
            for array in (batch.images, batch.lambdas, batch.soft_targets(10)):
                taken, aligned = jnp.from_dlpack(array), array.data_ptr % ALIGNED == 0
                assert (taken.unsafe_buffer_pointer() == array.data_ptr) == aligned
                assert (numpy.asarray(taken) == numpy.from_dlpack(array)).all() and taken.dtype == array.dtype
                if not aligned:
                    with pytest.raises(ValueError, match="not aligned"):
                        jnp.from_dlpack(array, copy=False)


def test_arrays_outlive_their_batch_and_what_is_read_after_it(loaders):
    with mixfeed.Stream(loaders, batch_size=20, epochs=2, **MIXUP) as stream:
        batch = next(stream)
        expected = bytes(batch.images), bytes(batch.soft_targets(10))
        kept = jnp.from_dlpack(batch.images), jnp.from_dlpack(batch.soft_targets(10))
        del batch
        for _ in stream:
            pass
    del stream
    assert tuple(numpy.asarray(array).tobytes() for array in kept) == expected


def test_labels_are_those_of_numpy_in_the_width_that_jax_is_set_to(loaders):
    with mixfeed.Stream(loaders, batch_size=20, epochs=1) as stream:
        labels = next(stream).labels
    taken = jnp.from_dlpack(labels)
    assert taken.dtype == jnp.int32 and (taken == numpy.from_dlpack(labels)).all()
