"""Loaders lost and added in the middle of a stream: nobody can tell from its batches."""

import os
import signal

from conftest import DATA, MIXUP, serving, until

import mixfeed

SETTINGS = {"batch_size": 10, "epochs": 2, "seed": 5, **MIXUP}
# Nothing may be fetched so far ahead that no loss is noticed.
TUNING = {"window_batches": 8, "idle_timeout": 0.5, "retry_cap": 0.2}


def test_a_loader_killed_and_one_added_leave_no_trace(loaders, socket):
    with mixfeed.Stream(loaders, **SETTINGS) as calm:
        expected = [batch.digest() for batch in calm]
    with mixfeed.local(DATA, workers=1, processes=2) as own:
        with mixfeed.Stream([*own.addresses, socket], tuning=TUNING, **SETTINGS) as stream:
            until(lambda: stream.stats["replicas_serving"] == 2, "both loaders serve")
            digests = [next(stream).digest() for _ in range(50)]
            os.kill(own.pids[0], signal.SIGKILL)
            digests += [next(stream).digest() for _ in range(50)]
            until(lambda: stream.stats["replicas_serving"] == 1, "one loader is left")
            with serving(DATA, socket):
                until(lambda: stream.stats["replicas_serving"] == 2, "the new loader serves")
                os.kill(own.pids[1], signal.SIGKILL)
                digests += [batch.digest() for batch in stream]
            assert stream.stats["replicas_seen"] == 3
    assert len(digests) == 200 and digests == expected
